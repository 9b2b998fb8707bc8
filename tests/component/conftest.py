"""A real API server with the product installed, the operator as its own process, and a tenant per test."""

import json
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hack.approve import grant_reviewers
from hack.install import install
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.process import OperatorProcess
from hack.samples import app_manifest

from microapp_operator.desired.forwarding.sinks import build_otlp, build_sinks
from tests.support.apppods import AppPods, Line
from tests.support.eventually import eventually
from tests.support.gateway import READABLE, Gateway
from tests.support.otlp import Receiver
from tests.support.settings import settings_flag
from tests.support.tls import Webhook


@pytest.fixture(scope="session")
def installed(kubectl: Kubectl) -> None:
    """What ships besides the processes, and people who may review."""
    install(kubectl)
    grant_reviewers(kubectl)


@pytest.fixture(scope="package")
def operator(cluster: Cluster, installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:  # noqa: ARG001
    """One operator for all tests here that don't stop it.

    It ends with this package: other suites have operators with other settings, and two would undo each other's work.
    """
    folder = tmp_path_factory.mktemp("operator")
    with OperatorProcess(cluster.kubeconfig, folder / "operator.log", (settings_flag(folder),)) as process:
        yield process


@dataclass
class Tenant:
    """A namespace for MicroApps, and what a test does in it."""

    name: str
    kubectl: Kubectl

    def apply(self, name: str = "app", **spec: Any) -> str:
        """Apply a MicroApp; returns the name of the namespace it gets."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(app_manifest(name, self.name, **spec)))
        return f"ma-{self.name}-{name}"

    def patch(self, name: str, spec: dict[str, Any]) -> None:
        """Merge ``spec`` into the MicroApp's."""
        self.kubectl("patch", "mapp", name, "-n", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def wait(self, name: str, condition: str, value: str = "True") -> None:
        """Wait for a condition the way a user would."""
        self.kubectl("wait", f"--for=condition={condition}={value}", f"mapp/{name}", "-n", self.name, "--timeout=30s")

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """One object."""
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-n", namespace or self.name, "-o", "json"))
        return found

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """(status, reason, message) of one condition, of the present generation; empty while there is none."""
        app = self.get("mapp", name)
        for each in app.get("status", {}).get("conditions", ()):
            if each["type"] == kind and each["observedGeneration"] == app["metadata"]["generation"]:
                return each["status"], each["reason"], each["message"]
        return "", "", ""

    def reasons(self, name: str, kind: str) -> tuple[str, str]:
        """(status, reason) of one condition."""
        return self.condition(name, kind)[:2]

    def settle(self, name: str = "app") -> None:
        """Wait until the scan, which comes last, has found nothing wrong: from then on nothing is written."""
        eventually(lambda: self.condition(name, "PolicyCompliant")[0], "True")

    def exists(self, kind: str, name: str, namespace: str) -> bool:
        """Whether the object is there and not on its way out."""
        found = self.kubectl("get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "json")
        return bool(found) and "deletionTimestamp" not in json.loads(found)["metadata"]


@pytest.fixture
def tenant(kubectl: Kubectl, installed: None) -> Iterator[Tenant]:  # noqa: ARG001
    """A tenant of its own; its apps are deleted afterwards, which must work."""
    name = f"t{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield Tenant(name, kubectl)
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def unregistered(tenant: Tenant) -> Iterator[Webhook]:
    """A webhook of its own that the API server isn't told of."""
    webhook = Webhook(tenant.kubectl, tenant.name)
    yield webhook
    webhook.delete()


@pytest.fixture
def webhook(unregistered: Webhook) -> Webhook:
    """A webhook of its own."""
    unregistered.create()
    return unregistered


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Takes what a launcher sends, until told otherwise."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Where records of a launcher wait."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def gateway() -> Iterator[Receiver]:
    """Takes what the sidecar sends."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def siem() -> Iterator[Receiver]:
    """Takes what the gateway sends."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def log_gateway(cluster: Cluster, siem: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that runs."""
    sinks = build_sinks(build_otlp(f"http://127.0.0.1:{siem.port}"), queue_bytes=2**26)
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), cluster, sinks, READABLE, key=secrets.token_hex(16))
    with gateway.running():
        yield gateway


@pytest.fixture(scope="module")
def app_pods(kubectl: Kubectl) -> Iterator[AppPods]:
    """Pods for the gateway to know."""
    pods = AppPods(kubectl)
    yield pods
    pods.close()


@pytest.fixture(scope="module")
def finance(log_gateway: Gateway, siem: Receiver, app_pods: AppPods) -> Line:
    """From a pod of finance's expense-helper-v2 to the SIEM."""
    return Line(log_gateway, siem, app_pods.pod(app_pods.namespace("expense-helper-v2", "finance")))
