"""Two operators and one Lease: one works, the other takes over, and who lost it writes nothing."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.process import OperatorProcess

from tests.component.conftest import Tenant
from tests.support.eventually import eventually
from tests.support.frozen import frozen
from tests.support.settings import settings_flag

LEASE = ("get", "lease", "microapp-operator", "-o", "json", "-n")


class Pair:
    """Two processes that stand for one Lease in ``namespace``."""

    def __init__(self, kubectl: Kubectl, cluster: Cluster, namespace: str, folder: Path) -> None:
        self.kubectl, self.namespace = kubectl, namespace
        flags = (f"--lease-namespace={namespace}", settings_flag(folder))
        self.both = [OperatorProcess(cluster.kubeconfig, folder / f"{n}.log", flags) for n in ("one", "two")]

    def leaders(self) -> list[OperatorProcess]:
        return [p for p in self.both if p.running() and p.metrics().get("microapp_operator_leader") == 1]

    def settled(self) -> tuple[OperatorProcess, OperatorProcess]:
        """The leader and the other, once there is one leader."""
        eventually(lambda: len(self.leaders()), 1)
        leader = self.leaders()[0]
        return leader, next(p for p in self.both if p is not leader)

    def lease(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl(*LEASE, self.namespace))["spec"]
        return found


@pytest.fixture
def pair(kubectl: Kubectl, cluster: Cluster, tenant: Tenant, tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(kubectl, cluster, tenant.name, tmp_path)
    for process in pair.both:
        process.start()
    yield pair
    for process in pair.both:
        if process.running():
            process.stop(signal.SIGKILL)


def test_one_of_two_works_and_the_other_is_ready_and_writes_nothing(pair: Pair, tenant: Tenant) -> None:
    leader, other = pair.settled()
    tenant.apply()
    tenant.wait("app", "Ready")
    assert leader.writes() > 0
    assert other.ready()
    assert other.writes() == 0


def test_a_leader_that_ends_hands_over_at_once(pair: Pair, tenant: Tenant) -> None:
    leader, other = pair.settled()
    before = pair.lease()
    assert leader.stop() == 0
    assert pair.leaders() in ([], [other])
    tenant.apply()
    tenant.wait("app", "Ready")
    after = pair.lease()
    assert after["holderIdentity"] not in ("", before["holderIdentity"])
    assert after["leaseTransitions"] == before["leaseTransitions"] + 1


def test_a_leader_that_is_killed_is_replaced(pair: Pair, tenant: Tenant) -> None:
    leader, other = pair.settled()
    leader.stop(signal.SIGKILL)
    eventually(pair.leaders, [other])
    tenant.apply()
    tenant.wait("app", "Ready")


def test_a_leader_that_wakes_up_deposed_writes_nothing_and_ends(pair: Pair, tenant: Tenant) -> None:
    leader, other = pair.settled()
    with frozen(leader):
        eventually(lambda: other.metrics().get("microapp_operator_leader"), 1.0)
        namespace = tenant.apply()
        tenant.wait("app", "Ready")
        tenant.patch("app", {"runtime": {"port": 9000}})
        eventually(lambda: tenant.get("mapp", "app")["status"]["observedGeneration"], 2)
        tenant.wait("app", "Ready")
        tenant.settle()
        seen = versions(tenant, namespace)
    assert leader.ended() == 1
    assert '"deposed"' in leader.log.read_text()
    assert versions(tenant, namespace) == seen


def versions(tenant: Tenant, namespace: str) -> list[str]:
    """resourceVersion of the app and of its children, none of which changes by itself."""
    path = "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion} {end}"
    children = tenant.kubectl("get", "quota,networkpolicy,rolebinding,service,deployment", "-n", namespace, "-o", path)
    return [*children.split(), tenant.get("mapp", "app")["metadata"]["resourceVersion"]]
