"""What the verdict of the probes does to apps, on a real API server. The node is simulated here, so what probes
report is written into their status by the test; that a real node's leak is seen is shown in e2e/.
"""

import json
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hack.kubectl import Kubectl, KubectlError
from hack.lab.context import Cluster, kubectl_binary
from hack.process import OperatorProcess
from hack.samples import IMAGE

from tests.component.conftest import Tenant
from tests.support.eventually import eventually
from tests.support.samples import tier_manifest
from tests.support.settings import settings_flag

GOOD = {"leaks": [], "unreached": [], "confined_after": 0.1}
LEAK = {"leaks": ["the API server"], "unreached": [], "confined_after": None}


@dataclass
class Ground:
    """The probe's namespace, with a target, and the hand that writes the probes' reports."""

    kubectl: Kubectl
    cluster: Cluster
    name: str
    report: dict[str, Any] = field(default_factory=lambda: GOOD)
    seen: list[str] = field(default_factory=list)

    def add_target(self) -> None:
        container = {"name": "c", "image": IMAGE}
        metadata = {"name": "target", "namespace": self.name, "labels": {"microapps.dev/probe": "target"}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        self.kubectl("wait", "--for=condition=Ready", "pod/target", "-n", self.name, "--timeout=30s")
        self.patch("target", {"podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}]})

    def patch(self, pod: str, status: dict[str, Any]) -> None:
        flags = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
        self.kubectl("patch", "pod", pod, "-n", self.name, *flags)

    def watch(self) -> "subprocess.Popen[str]":
        flags = ("get", "pods", "-n", self.name, "-l", "microapps.dev/probe=check", "--watch-only", "-o", "name")
        where = ("--kubeconfig", str(self.cluster.kubeconfig), "--context", self.cluster.context)
        return subprocess.Popen([kubectl_binary(self.cluster), *where, *flags], stdout=subprocess.PIPE, text=True)

    def serve(self, watch: "subprocess.Popen[str]") -> None:
        assert watch.stdout is not None
        for line in watch.stdout:
            pod = line.strip().removeprefix("pod/")
            if pod in self.seen:
                continue
            self.seen.append(pod)
            ended = {"exitCode": 0, "message": json.dumps(self.report)}
            status: dict[str, Any] = {"name": "check", "image": IMAGE, "imageID": "", "ready": False, "restartCount": 0}
            status["state"] = {"terminated": ended}
            with suppress(KubectlError):  # gone already: its operator ended
                self.patch(pod, {"phase": "Succeeded", "containerStatuses": [status]})


@pytest.fixture
def ground(kubectl: Kubectl, cluster: Cluster, installed: None) -> Iterator[Ground]:  # noqa: ARG001
    ground = Ground(kubectl, cluster, f"probe-{uuid.uuid4().hex[:6]}")
    kubectl("create", "namespace", ground.name)
    watch = ground.watch()
    thread = threading.Thread(target=ground.serve, args=(watch,))
    thread.start()
    yield ground
    watch.terminate()
    watch.wait()
    thread.join()
    kubectl("delete", "namespace", ground.name, "--wait=false")


@pytest.fixture
def strict(kubectl: Kubectl) -> Iterator[str]:
    """A tier that wants proof."""
    name = f"strict-{uuid.uuid4().hex[:6]}"
    kubectl("apply", "-f", "-", stdin=json.dumps(tier_manifest(name, isolation={"required": True})))
    yield name
    kubectl("delete", "risktier", name)


def flags(ground: Ground) -> tuple[str, ...]:
    return (f"--probe-image={IMAGE}", f"--probe-namespace={ground.name}", "--probe-interval=20")


def isolation(tenant: Tenant, name: str) -> tuple[str, str]:
    return tenant.reasons(name, "IsolationEnforced")


def test_a_leak_shows_on_every_app_and_keeps_those_that_want_proof_from_starting(
    ground: Ground, tenant: Tenant, strict: str, cluster: Cluster, tmp_path: Path
) -> None:
    ground.add_target()
    with OperatorProcess(cluster.kubeconfig, tmp_path / "operator.log", flags(ground)) as operator:
        home = tenant.apply("runs", riskTier=strict)
        tenant.wait("runs", "IsolationEnforced")
        tenant.wait("runs", "Ready")
        ground.report = LEAK
        tenant.wait("runs", "IsolationEnforced", "False")
        assert isolation(tenant, "runs") == ("False", "LeakDetected")
        assert tenant.reasons("runs", "Ready") == ("False", "LeakDetected")
        assert tenant.exists("deployment", "runs", home)
        gauge = "microapp_operator_isolation_enforced"
        assert {v for series, v in operator.metrics().items() if series.startswith(gauge)} == {0.0}
        waiting, low = tenant.apply("waits", riskTier=strict), tenant.apply("low")
        tenant.wait("waits", "NetworkIsolated")
        tenant.wait("low", "WorkloadAvailable")
        assert tenant.exists("networkpolicy", "default-deny", waiting)
        assert not tenant.exists("deployment", "waits", waiting)
        assert tenant.reasons("waits", "WorkloadAvailable") == ("False", "Held")
        assert isolation(tenant, "low") == ("False", "LeakDetected")
        assert tenant.exists("deployment", "low", low)
        ground.report = GOOD
        tenant.wait("waits", "Ready")
        assert isolation(tenant, "waits") == ("True", "ProbePassed")


def test_a_restart_keeps_the_verdict_and_writes_nothing(
    ground: Ground, tenant: Tenant, cluster: Cluster, tmp_path: Path
) -> None:
    ground.add_target()
    with OperatorProcess(cluster.kubeconfig, tmp_path / "one.log", (*flags(ground), settings_flag(tmp_path))):
        tenant.apply()
        tenant.wait("app", "IsolationEnforced")
        tenant.wait("app", "Ready")
        tenant.settle()
    before = tenant.get("mapp", "app")["metadata"]["resourceVersion"]
    probes = len(ground.seen)
    with OperatorProcess(cluster.kubeconfig, tmp_path / "two.log", (*flags(ground), settings_flag(tmp_path))):
        eventually(lambda: len(ground.seen) > probes + 1)
    assert tenant.get("mapp", "app")["metadata"]["resourceVersion"] == before


def test_no_target_is_doubt_and_says_so(ground: Ground, tenant: Tenant, cluster: Cluster, tmp_path: Path) -> None:
    with OperatorProcess(cluster.kubeconfig, tmp_path / "operator.log", flags(ground)):
        tenant.apply()
        eventually(lambda: "silence proves nothing" in tenant.condition("app", "IsolationEnforced")[2])
        assert isolation(tenant, "app") == ("Unknown", "ProbeInconclusive")
        tenant.wait("app", "Ready")


def test_an_image_without_a_digest_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    process = OperatorProcess(
        cluster.kubeconfig, tmp_path / "o.log", ("--probe-image=registry.example.com/operator:1",)
    )
    with pytest.raises(Exception, match="has no digest"):
        process.start()
