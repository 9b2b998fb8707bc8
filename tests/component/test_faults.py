"""An API server that misbehaves: the operator converges, loses nothing, and its metrics show it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.lab.context import Cluster
from hack.process import OperatorProcess

from tests.component.conftest import Tenant
from tests.support.eventually import eventually
from tests.support.faults import FaultProxy
from tests.support.settings import settings_flag

OPEN = {"podSelector": {}, "ingress": [{}]}


@pytest.fixture
def proxy(cluster: Cluster, installed: None, tmp_path: Path) -> Iterator[FaultProxy]:  # noqa: ARG001
    with FaultProxy(cluster.kubeconfig, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: FaultProxy, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator that sees the API server through the proxy only, and gives silence one second."""
    flags = ("--watch-inactivity=1", settings_flag(tmp_path))
    with OperatorProcess(proxy.kubeconfig, tmp_path / "operator.log", flags) as process:
        yield process


@pytest.mark.parametrize("code", [409, 429, 500, 503])
def test_it_converges_through_failing_writes(
    proxy: FaultProxy, behind: OperatorProcess, tenant: Tenant, code: int
) -> None:
    for method, path in (("PATCH", "microapps"), ("POST", "namespaces$"), ("PATCH", "networkpolicies|deployments")):
        proxy.fail(method, path, code, times=2, retry_after=1 if code == 429 else None)
    proxy.fail("PATCH", "/status", code, times=2)
    tenant.apply()
    tenant.wait("app", "Ready")
    assert proxy.pending_faults() == 0
    assert behind.total("microapp_operator_writes_total", code=str(code)) >= 4
    assert behind.total("microapp_operator_reconcile_total", outcome="retry") >= 1


@pytest.mark.usefixtures("behind")
def test_a_rejected_child_is_told_with_the_servers_words_and_mended_by_the_next_edit(
    proxy: FaultProxy, tenant: Tenant
) -> None:
    proxy.fail("PATCH", "deployments", 422, times=1000)
    tenant.apply()
    tenant.wait("app", "Stalled")
    status, reason, message = tenant.condition("app", "Ready")
    assert (status, reason) == ("False", "RejectedByAPI")
    assert "injected 422" in message
    proxy.heal()
    tenant.patch("app", {"description": "again"})
    tenant.wait("app", "Ready")


def test_closed_watches_lose_nothing(proxy: FaultProxy, behind: OperatorProcess, tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    proxy.close_watches()
    tenant.kubectl("delete", "networkpolicy", "default-deny", "-n", namespace)
    eventually(lambda: tenant.exists("networkpolicy", "default-deny", namespace))
    tenant.patch("app", {"suspend": True})
    eventually(lambda: tenant.reasons("app", "Ready"), ("True", "Suspended"))
    assert behind.total("microapp_operator_watch_restarts_total") >= 1


def test_a_silent_api_server_is_noticed_and_caught_up_with(
    proxy: FaultProxy, behind: OperatorProcess, tenant: Tenant
) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    proxy.silence_watches(True)
    tenant.kubectl("delete", "networkpolicy", "default-deny", "-n", namespace)
    eventually(lambda: behind.total("microapp_operator_watch_restarts_total", cause="silent") >= 1)
    proxy.silence_watches(False)
    eventually(lambda: tenant.exists("networkpolicy", "default-deny", namespace))


def test_what_the_feed_does_not_bring_is_fetched(proxy: FaultProxy, behind: OperatorProcess, tenant: Tenant) -> None:
    """kopf's own watch is held back; the second look at MicroApps notices and feeds by hand."""
    tenant.apply()
    tenant.wait("app", "Ready")
    tenant.settle()
    proxy.silence_feed(True)
    tenant.patch("app", {"suspend": True})
    eventually(lambda: tenant.reasons("app", "Ready"), ("True", "Suspended"), timeout=60)
    assert behind.total("microapp_operator_watch_restarts_total", cause="lagged") >= 1


def test_readyz_fails_while_nothing_is_heard(proxy: FaultProxy, tmp_path: Path) -> None:
    arguments = ("--watch-inactivity=1", "--watch-stale=2")
    with OperatorProcess(proxy.kubeconfig, tmp_path / "operator.log", arguments) as process:
        proxy.blackhole(True)
        eventually(process.ready, False)
        proxy.blackhole(False)
        eventually(process.ready, timeout=60)


def test_a_stop_in_the_middle_leaves_nothing_half_done(proxy: FaultProxy, tenant: Tenant, tmp_path: Path) -> None:
    """Killed while the first writes fail; the next process finishes what this one began."""
    proxy.fail("PATCH", "deployments", 500, times=1000)
    first = OperatorProcess(proxy.kubeconfig, tmp_path / "first.log")
    first.start()
    namespace = tenant.apply()
    eventually(lambda: tenant.exists("networkpolicy", "default-deny", namespace))
    first.stop(9)
    assert not tenant.exists("deployment", "app", namespace)
    uid = tenant.get("ns", namespace)["metadata"]["uid"]
    with FaultProxy(proxy.upstream, tmp_path) as clean, OperatorProcess(clean.kubeconfig, tmp_path / "second.log"):
        tenant.wait("app", "Ready")
        assert tenant.get("mapp", "app")["status"]["namespace"] == {"name": namespace, "uid": uid}
        tenant.kubectl("delete", "mapp", "app", "-n", tenant.name, "--timeout=60s")


@pytest.mark.usefixtures("behind")
def test_what_others_do_while_a_pass_is_at_work_is_undone_by_the_next(proxy: FaultProxy, tenant: Tenant) -> None:
    """A foreign policy in another app's namespace comes by the same watch, later: once it is told of, all was seen."""
    tenant.apply("witness")
    tenant.wait("witness", "Ready")
    namespace = f"ma-{tenant.name}-app"
    with proxy.hold("PATCH", f"/{namespace}/deployments/") as held:
        tenant.apply(ingress={"from": [{"microApp": {"namespace": tenant.name, "name": "witness"}}]})
        assert held.wait(30)
        own = tenant.get("networkpolicy", "default-deny", namespace)
        own["metadata"] = {"name": "copy", "namespace": namespace, "labels": own["metadata"]["labels"]}
        tenant.kubectl("create", "-f", "-", stdin=json.dumps(own))
        tenant.kubectl("delete", "networkpolicy", "default-deny", "-n", namespace)
        opened = json.dumps({"spec": {"egress": [{}]}})
        tenant.kubectl("patch", "networkpolicy", "allow-ingress", "-n", namespace, "--type=merge", "-p", opened)
        foreign = {**own, "metadata": {"name": "foreign", "namespace": f"ma-{tenant.name}-witness"}, "spec": OPEN}
        tenant.kubectl("create", "-f", "-", stdin=json.dumps(foreign))
        eventually(lambda: "foreign" in tenant.condition("witness", "NetworkIsolated")[2])
    tenant.wait("app", "Ready")
    eventually(lambda: tenant.exists("networkpolicy", "copy", namespace), False)
    eventually(lambda: tenant.exists("networkpolicy", "default-deny", namespace))
    eventually(lambda: "egress" in tenant.get("networkpolicy", "allow-ingress", namespace)["spec"], False)


@pytest.mark.usefixtures("behind")
def test_each_app_takes_one_write_a_child_and_four_others(proxy: FaultProxy, tenant: Tenant) -> None:
    """Counted where it can't be fudged: at the API server's door."""
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    for kind in ("networkpolicies", "deployments", "resourcequotas", "rolebindings", "serviceaccounts"):
        assert proxy.count("PATCH", f"/{namespace}/{kind}/") == 1
    assert proxy.count("POST", "/namespaces$") == 1
    tenant.settle()
    assert proxy.count("PATCH", f"/{tenant.name}/microapps/app") <= 4
    assert json.loads(tenant.kubectl("get", "mapp", "app", "-n", tenant.name, "-o", "json"))["status"]["renderedHash"]
