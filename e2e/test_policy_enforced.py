"""NetworkPolicies decide about packets, and do so no longer when the enforcer is gone with its rules."""

from collections.abc import Iterator

import pytest
from hack.lab.controlplane import SERVICE_API
from hack.lab.network import METADATA_ADDRESS, OUTSIDE_ADDRESS
from hack.lab.nodelab import NodeLab
from tests.support.eventually import eventually
from tests.support.pods import PORT, Pods

PROTOCOLS = ("tcp", "udp")


def policy(name: str, **spec: object) -> dict[str, object]:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}


def deny_all(subject: str) -> dict[str, object]:
    return policy(f"deny-{subject}", podSelector={"matchLabels": {"app": subject}}, policyTypes=["Ingress", "Egress"])


def from_friend(subject: str) -> dict[str, object]:
    peer = {"podSelector": {"matchLabels": {"app": "friend"}}}
    ports = [{"port": PORT, "protocol": protocol} for protocol in ("TCP", "UDP")]
    return policy(
        f"allow-{subject}",
        podSelector={"matchLabels": {"app": subject}},
        policyTypes=["Ingress"],
        ingress=[{"from": [peer], "ports": ports}],
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_only_whom_a_policy_names_gets_in(pods: Pods, protocol: str) -> None:
    pods.serve("app", "friend", "stranger")
    app = pods.address("app")
    assert pods.reaches("stranger", app, protocol=protocol)
    pods.apply(from_friend("app"))
    eventually(lambda: pods.reaches("stranger", app, protocol=protocol), wanted=False)
    assert pods.reaches("friend", app, protocol=protocol)


def test_nothing_gets_out_of_a_pod_that_may_go_nowhere(pods: Pods, lab: NodeLab) -> None:
    pods.serve("app", "other")
    targets = [
        (pods.address("other"), PORT, "tcp"),
        (pods.address("other"), PORT, "udp"),
        (lab.nodes[1].address, 10250, "tcp"),
        (SERVICE_API, 443, "tcp"),
        (OUTSIDE_ADDRESS, 443, "tcp"),
        (OUTSIDE_ADDRESS, 443, "udp"),
        (METADATA_ADDRESS, 80, "tcp"),
    ]

    def reached() -> list[tuple[str, int, str]]:
        return [target for target in targets if pods.reaches("app", target[0], target[1], protocol=target[2])]

    assert reached() == targets
    pods.apply(deny_all("app"))
    eventually(lambda: pods.reaches("app", targets[0][0]), wanted=False)
    assert reached() == []


@pytest.fixture
def enforcer_back(lab: NodeLab) -> Iterator[None]:
    yield
    for node in lab.nodes:
        node.stop("kube-router")
        node.start("kube-router")


@pytest.mark.usefixtures("enforcer_back")
def test_a_policy_means_nothing_while_the_enforcer_is_gone_with_its_rules(pods: Pods, lab: NodeLab) -> None:
    pods.serve("app", "other")
    app = pods.address("app")
    pods.apply(deny_all("app"))
    eventually(lambda: pods.reaches("other", app), wanted=False)
    for node in lab.nodes:
        node.stop("kube-router")
    assert not pods.reaches("other", app)
    for node in lab.nodes:
        node.flush_rules()
    assert pods.reaches("other", app)
    for node in lab.nodes:
        node.start("kube-router")
    eventually(lambda: pods.reaches("other", app), wanted=False)
