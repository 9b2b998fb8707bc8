"""The release on real nodes: tested, upgraded, rolled back, uninstalled, its operator killed meanwhile."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hack.helm import CHART
from hack.kubectl import Kubectl, KubectlError
from hack.product import Product, build_values
from hack.samples import app_manifest
from tests.support.apps import Apps, tenant_of
from tests.support.eventually import eventually

OPERATOR = ("-l", "app.kubernetes.io/component=operator")


@pytest.fixture(scope="module")
def apps(kubectl: Kubectl, platform: Product, image: str) -> Iterator[Apps]:  # noqa: ARG001
    with tenant_of(kubectl, image) as apps:
        apps.apply("carried")
        apps.wait("carried")
        yield apps


@pytest.fixture
def values(image: str, tmp_path: Path) -> str:
    """The flag for values that differ from the installed ones."""
    file = tmp_path / "values.json"
    file.write_text(json.dumps({**build_values(image), "operator": {"workers": 8}}))
    return f"--values={file}"


@contextmanager
def asking(apps: Apps) -> Iterator[list[str]]:
    """Ask admission over and over inside; what it answered that was neither yes nor a rule's no."""
    failures: list[str] = []
    ended = threading.Event()
    bad = json.dumps(app_manifest("asked", apps.tenant, dataClassification="restricted"))

    def ask() -> None:
        while not ended.is_set():
            try:
                apps.kubectl("create", "--dry-run=server", "-f", "-", stdin=bad)
                failures.append("let in")
            except KubectlError as error:
                if "MA-CLS-002" not in str(error):
                    failures.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield failures
    finally:
        ended.set()
        thread.join()


def kill_operators(platform: Product) -> None:
    platform.kubectl("delete", "pods", *OPERATOR, "-n", platform.namespace, "--force", "--grace-period=0")


def pod_of(apps: Apps) -> str:
    return str(apps.pod("carried")["metadata"]["uid"])


def test_helm_test_passes(platform: Product) -> None:
    assert "Phase:          Succeeded" in platform.helm("test", platform.name, "--timeout=120s")


def test_an_upgrade_and_a_rollback_deny_what_they_should_all_the_while(
    apps: Apps, platform: Product, values: str
) -> None:
    before = pod_of(apps)
    for command in (("upgrade", platform.name, str(CHART), values), ("rollback", platform.name)):
        with asking(apps) as failures:
            kill_operators(platform)
            platform.helm(*command, "--wait", "--timeout=180s")
        assert failures == []
        apps.apply(f"after-{command[0]}")
        apps.wait(f"after-{command[0]}")
    assert pod_of(apps) == before


def test_an_uninstall_with_a_dead_operator_leaves_nothing_terminating_and_apps_guarded(
    apps: Apps, platform: Product, kubectl: Kubectl, image: str, tmp_path: Path
) -> None:
    before = pod_of(apps)
    kubectl("scale", "deployment", platform.name, "-n", platform.namespace, "--replicas=0")
    platform.helm("uninstall", platform.name, "--wait", "--timeout=120s")
    kinds = "namespaces,crds,validatingwebhookconfigurations,mapp,risktiers"
    left = json.loads(kubectl("get", kinds, "-A", "-o", "json"))["items"]
    gone = ("microapp-probe",)
    stuck = [o for o in left if "deletionTimestamp" in o["metadata"] and o["metadata"]["name"] not in gone]
    assert stuck == []
    assert kubectl("get", "networkpolicy", "default-deny", "-n", apps.home("carried"), "-o", "name")
    assert pod_of(apps) == before
    eventually(lambda: kubectl("get", "namespace", *gone, "--ignore-not-found", "-o", "name"), "", timeout=90)
    file = tmp_path / "again.json"
    file.write_text(json.dumps(build_values(image)))
    platform.helm("install", platform.name, str(CHART), f"--values={file}", "--wait", "--timeout=180s")
    apps.wait("carried")
    assert pod_of(apps) == before
