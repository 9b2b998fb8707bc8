"""A release through its life with the real Helm: installed, upgraded, rolled back, uninstalled, its operator killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.helm import CHART, NAMESPACE, RELEASE, helm_command, helm_environment
from hack.install import ROOT
from hack.kubectl import Kubectl, KubectlError
from hack.lab.context import Cluster
from hack.lab.hollow import HollowLab
from hack.process import OperatorProcess
from hack.samples import app_manifest
from tests.component.conftest import Tenant
from tests.support.eventually import eventually
from tests.support.release import Release

CONFIGURATION = "validatingwebhookconfigurations"
BUNDLES = "{range .webhooks[*]}{.clientConfig.caBundle},{end} {.metadata.annotations.seen}{'\\n'}"
CHILDREN = "quota,limits,networkpolicies,serviceaccounts,rolebindings,services,deployments"


class World:
    """A release, its processes, and one app."""

    def __init__(self, release: Release, operator: OperatorProcess, webhook: OperatorProcess) -> None:
        self.release, self.operator, self.webhook = release, operator, webhook
        self.kubectl = release.kubectl
        self.tenant = Tenant("finance", release.kubectl)

    @property
    def home(self) -> str:
        return f"ma-{self.tenant.name}-app"

    def versions(self) -> list[str]:
        """UID and generation of what the app consists of."""
        path = "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.generation}.{.metadata.uid} {end}"
        return sorted(self.kubectl("get", CHILDREN, "-n", self.home, "-o", path).split())

    def denied(self) -> str:
        """What an app that breaks a rule is answered."""
        try:
            self.kubectl(
                "create",
                "--dry-run=server",
                "-f",
                "-",
                stdin=json.dumps(app_manifest("bad", "finance", riskTier="none")),
            )
        except KubectlError as error:
            return str(error)
        return ""

    @contextmanager
    def operator_killed(self, *helm: str) -> Iterator[None]:
        """``helm …`` under way inside and done afterwards, the operator killed meanwhile and started again."""
        process = self.release.start_helm(*helm)
        self.operator.stop(signal.SIGKILL)
        yield
        said = process.communicate(timeout=120)[0]
        assert process.returncode == 0, said


@pytest.fixture
def release(cluster: Cluster, kubectl: Kubectl, tmp_path: Path) -> Iterator[Release]:
    """Not yet installed; whatever a test leaves is removed as docs/install.md says, and nothing may be left of it."""
    yield Release(cluster, kubectl, tmp_path)
    kubectl("delete", "namespace", "finance", "--ignore-not-found", "--wait=false")
    purge(cluster, tmp_path)
    eventually(lambda: terminating(kubectl), [])
    assert "microapps.dev" not in kubectl("api-resources", "-o", "name")


@pytest.fixture
def world(release: Release) -> Iterator[World]:
    release.install()
    with release.webhook() as webhook, release.operator() as operator:
        assert release.run_hook("tiers").returncode == 0
        world = World(release, operator, webhook)
        release.kubectl("create", "namespace", world.tenant.name)
        world.tenant.apply("app")
        world.tenant.wait("app", "Ready")
        yield world


def purge(cluster: Cluster, folder: Path) -> None:
    """Do what the documentation says removes everything."""
    (script,) = re.findall(r"```sh purge\n(.*?)```", (ROOT / "docs" / "install.md").read_text(), re.DOTALL)
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    command = helm_command(cluster=None)
    for name, target in (("helm", command[0]), ("kubectl", str(cluster.kubeconfig.parent / "bin" / "kubectl"))):
        (tools / name).unlink(missing_ok=True)
        (tools / name).symlink_to(target)
    environment = {**helm_environment(), "PATH": f"{tools}:{os.environ['PATH']}", "KUBECONFIG": str(cluster.kubeconfig)}
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def terminating(kubectl: Kubectl) -> list[str]:
    """Every object of the cluster that waits to be gone."""
    kinds = kubectl("api-resources", "--verbs=list", "-o", "name").split()
    path = "jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.kind}/{.metadata.name} {end}"
    return kubectl("get", ",".join(kinds), "-A", "-o", path).split()


@contextmanager
def trusted_throughout(kubectl: Kubectl, cluster: Cluster) -> Iterator[None]:
    """At no moment inside does a webhook lack its caBundle, nor is it another than before."""
    read = ("get", CONFIGURATION, "microapps", "-o", f"jsonpath={BUNDLES}")
    before = kubectl(*read).split()[0]
    assert "" not in before.rstrip(",").split(",")
    line = [str(cluster.kubeconfig.parent / "bin" / "kubectl"), f"--kubeconfig={cluster.kubeconfig}", *read, "--watch"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline().split()[0] == before
        yield
        end = uuid.uuid4().hex
        kubectl("annotate", CONFIGURATION, "microapps", f"seen={end}", "--overwrite")
        for seen in watch.stdout:
            bundles, *marks = seen.split()
            assert bundles == before
            if end in marks:
                break
        watch.terminate()


def next_version(folder: Path) -> Path:
    """The chart as a next version might be: a new field in a CRD, a new version of the app."""
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    meta = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump({**meta, "version": "0.2.0", "appVersion": "0.2.0"}))
    file = chart / "files" / "crds" / "tenants.yaml"
    crd = yaml.safe_load(file.read_text())
    properties(crd)["motto"] = {"type": "string", "maxLength": 10}
    file.write_text(yaml.safe_dump(crd))
    return chart


def properties(crd: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return found


def test_after_an_install_apps_run_rules_hold_and_the_check_passes(release: Release) -> None:
    process = release.start_helm("install", RELEASE, str(CHART), "--create-namespace", "--wait", release.values())
    eventually(
        lambda: (
            "deployment"
            in release.kubectl("get", "deployment", RELEASE, "-n", NAMESPACE, "-o", "name", "--ignore-not-found")
        )
    )
    early = release.operator()
    early.start(ready=False)
    early.stop(signal.SIGKILL)
    assert process.wait(120) == 0
    release.point_here()
    with release.webhook() as webhook, release.operator() as operator:
        assert release.run_hook("tiers").returncode == 0
        world = World(release, operator, webhook)
        release.kubectl("create", "namespace", "finance")
        world.tenant.apply("app")
        world.tenant.wait("app", "Ready")
        assert "MA-TIR-001" in world.denied()
        eventually(lambda: operator.metrics().get("microapp_operator_leader"), 1.0)
        check = release.run_hook("check")
        assert check.returncode == 0, check.stderr


def test_the_check_fails_for_each_part_that_is_missing(world: World) -> None:
    assert world.operator.stop() == 0
    world.kubectl("delete", "validatingadmissionpolicybinding", "microapps-floor-approvals")
    world.kubectl("delete", "mutatingadmissionpolicybinding", "microapps-stamp-editors")
    world.kubectl("delete", "validatingadmissionpolicybinding", "microapps-floor-editors")
    world.kubectl("delete", CONFIGURATION, "microapps")

    def failed() -> set[str]:
        check = world.release.run_hook("check")
        assert check.returncode == 1
        return set(re.findall(r"check_failed.*check=(\w+)", check.stderr))

    eventually(failed, {"editors_are_stamped", "rules_judge", "approvers_are_proven", "an_operator_leads"})


@pytest.mark.parametrize("server_side", ["true", "false"])
def test_an_upgrade_and_its_rollback_leave_apps_trust_and_keys_alone(
    world: World, cluster: Cluster, tmp_path: Path, server_side: str
) -> None:
    release, kubectl = world.release, world.kubectl
    keys = release.get("secret", f"{RELEASE}-webhook-certificates")["data"]
    before, chart = world.versions(), next_version(tmp_path)
    for command in (
        ("upgrade", RELEASE, str(chart), release.values(operator={"workers": 8})),
        ("rollback", RELEASE, "1"),
    ):
        with (
            trusted_throughout(kubectl, cluster),
            world.operator_killed(*command, "--wait", f"--server-side={server_side}"),
        ):
            pass
        world.operator.start()
        world.tenant.patch("app", {"description": command[0]})
        world.tenant.wait("app", "Ready")
        assert release.get("secret", f"{RELEASE}-webhook-certificates")["data"] == keys
        assert world.versions() == before
        assert "MA-TIR-001" in world.denied()
        crd = release.get("crd", "tenants.microapps.dev")
        assert ("motto" in properties(crd)) == (command[0] == "upgrade")
        arguments = release.get("deployment", RELEASE)["spec"]["template"]["spec"]["containers"][0]["args"]
        assert ("--workers=8" in arguments) == (command[0] == "upgrade")


def test_an_upgrade_leaves_a_tier_as_an_admin_changed_it(world: World) -> None:
    change = json.dumps({"spec": {"replicasMax": 4}})
    world.kubectl("patch", "risktier", "low", "--type=merge", "-p", change)
    world.release.helm(
        "upgrade", RELEASE, str(CHART), world.release.values(riskTiers={"overrides": {"medium": {"replicasMax": 6}}})
    )
    hook = world.release.run_hook("tiers")
    assert hook.returncode == 0
    assert '"tier_left_as_changed","tier":"low"' in hook.stderr
    assert world.release.get("risktier", "low")["spec"]["replicasMax"] == 4
    assert world.release.get("risktier", "medium")["spec"]["replicasMax"] == 6


def test_an_uninstall_leaves_apps_guarded_and_another_install_carries_on(world: World, lab: HollowLab) -> None:
    before = world.versions()
    with world.operator_killed("uninstall", RELEASE, "--wait"):
        pass
    assert world.webhook.stop() == 0
    assert terminating(world.kubectl) == []
    assert deletions(lab) == [CONFIGURATION, "deployments"]
    assert world.versions() == before
    assert world.kubectl("get", "risktiers", "-o", "name").split() == [
        f"risktier.microapps.dev/{t}" for t in ("high", "low", "medium")
    ]
    for kind in (CONFIGURATION, "validatingadmissionpolicies", "mutatingadmissionpolicies", "clusterroles"):
        assert "microapp" not in world.kubectl("get", kind, "-o", "name")
    world.release.install()
    with world.release.webhook(), world.release.operator() as operator:
        eventually(lambda: operator.total("microapp_operator_reconcile_total", outcome="done") > 0)
        assert operator.total("microapp_operator_writes_total", kind="(?!leases|events).*") == 0
        world.tenant.patch("app", {"description": "again"})
        world.tenant.wait("app", "Ready")
        assert world.versions() == before


def deletions(lab: HollowLab) -> list[str]:
    """What of webhook configurations and deployments an administrator's last deletions were, in their order."""
    events = [json.loads(line) for line in lab.audit_log.read_text().splitlines()]
    mine = [e["objectRef"] for e in events if e["verb"] == "delete" and e["userAgent"].lower().startswith("helm")]
    resources = [
        ref["resource"]
        for ref in mine
        if "microapp" in ref["name"] and ref["resource"] in (CONFIGURATION, "deployments")
    ]
    return list(dict.fromkeys(resources[-3:]))


def test_with_everything_dead_an_uninstall_ends_and_the_purge_leaves_nothing(world: World) -> None:
    world.operator.stop(signal.SIGKILL)
    world.webhook.stop(signal.SIGKILL)
    assert "failed calling webhook" in world.denied()
    world.release.helm("uninstall", RELEASE, "--wait", "--timeout=60s")
    assert terminating(world.kubectl) == []
    world.kubectl("delete", "microapp", "app", "-n", "finance", "--wait=false")
    assert terminating(world.kubectl) == ["MicroApp/app"]
    purge(world.release.cluster, world.release.folder)
    eventually(lambda: terminating(world.kubectl), [])


def test_the_purge_works_although_the_webhook_still_stands_in_the_way(world: World) -> None:
    world.operator.stop(signal.SIGKILL)
    world.webhook.stop(signal.SIGKILL)
    world.kubectl("delete", "secret", "-n", NAMESPACE, "-l", "owner=helm")
    purge(world.release.cluster, world.release.folder)
    eventually(lambda: terminating(world.kubectl), [])
    assert "microapps" not in world.kubectl("get", CONFIGURATION, "-o", "name")
