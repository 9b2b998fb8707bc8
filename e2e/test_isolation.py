"""Isolation as measured: proven while the enforcer works, and said to be broken as soon as it doesn't."""

import time
from collections.abc import Iterator

import pytest
from hack.kubectl import Kubectl
from hack.lab.nodelab import NodeLab
from hack.product import PROBE_INTERVAL, Product
from tests.support.apps import Apps, tenant_of
from tests.support.eventually import eventually

from microapp_operator.desired.gate import CONTAINER as GATE


@pytest.fixture(scope="module")
def apps(kubectl: Kubectl, platform: Product, image: str) -> Iterator[Apps]:  # noqa: ARG001
    with tenant_of(kubectl, image) as apps:
        yield apps


@pytest.fixture
def broken(lab: NodeLab) -> Iterator[str]:
    """A node whose enforcer is gone with its rules; mended afterwards."""
    node = lab.nodes[1]
    node.stop("kube-router")
    node.flush_rules()
    yield node.name
    node.start("kube-router")


def enforced(platform: Product, node: str) -> bool:
    line = f'microapp_operator_isolation_enforced{{node="{node}"}} '
    return any(row == f"{line}1.0" for row in platform.metrics().splitlines())


def test_it_is_proven_on_every_node_and_each_pod_waited_for_its_own(
    apps: Apps, platform: Product, lab: NodeLab
) -> None:
    apps.apply("proven")
    apps.wait("proven")
    apps.wait("proven", condition="IsolationEnforced")
    status, reason, message = apps.condition("proven", "IsolationEnforced")
    assert (status, reason) == ("True", "ProbePassed")
    assert f"On {len(lab.nodes)} nodes" in message
    assert all(enforced(platform, node.name) for node in lab.nodes)
    (gate,) = apps.pod("proven")["status"]["initContainerStatuses"]
    assert (gate["name"], gate["state"]["terminated"]["exitCode"]) == (GATE, 0)


def test_a_dead_enforcer_shows_within_an_interval_and_nothing_that_wants_proof_starts(
    apps: Apps, platform: Product, lab: NodeLab, request: pytest.FixtureRequest
) -> None:
    apps.apply("runs")
    apps.wait("runs", condition="IsolationEnforced")
    request.getfixturevalue("broken")
    begin = time.monotonic()
    apps.wait("runs", condition="IsolationEnforced", value="False")
    print(f"the leak showed after {time.monotonic() - begin:.1f} s; the interval is {PROBE_INTERVAL} s")
    status, reason, message = apps.condition("runs", "IsolationEnforced")
    assert (status, reason) == ("False", "LeakDetected")
    assert f"From node {lab.nodes[1].name} a fresh pod reaches" in message
    assert "the API server" in message
    assert not enforced(platform, lab.nodes[1].name)
    apps.apply("waits", riskTier="medium")
    apps.wait("waits", condition="NetworkIsolated")
    assert apps.condition("waits", "WorkloadAvailable")[:2] == ("False", "Held")
    assert apps.pods("waits") == []
    assert len(apps.pods("runs")) == 1


def test_once_it_is_enforced_again_what_waited_starts(apps: Apps) -> None:
    apps.wait("waits", "runs", condition="IsolationEnforced")
    apps.wait("waits")


def test_on_an_unguarded_node_no_container_of_an_app_ever_runs(
    apps: Apps, lab: NodeLab, kubectl: Kubectl, broken: str
) -> None:
    """The gate in each pod: for tiers that want no proof, and for pods that come faster than any probe."""
    kubectl("cordon", lab.nodes[0].name)
    try:
        apps.apply("gated")

        def gate() -> bool:
            pods = apps.pods("gated")
            states = [s for pod in pods for s in pod["status"].get("initContainerStatuses", ())]
            return any("running" in s["state"] and s["name"] == GATE for s in states)

        eventually(gate, timeout=60)
        pod = apps.pod("gated")
        assert pod["spec"]["nodeName"] == broken
        (app,) = pod["status"]["containerStatuses"]
        assert "waiting" in app["state"]
        assert apps.condition("gated", "WorkloadAvailable")[0] == "False"
    finally:
        kubectl("uncordon", lab.nodes[0].name)


def test_the_gate_lets_the_app_start_as_soon_as_its_pod_is_confined(apps: Apps) -> None:
    apps.wait("gated")
