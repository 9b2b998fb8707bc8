"""A node whose kubelet ends keeps its pods running, and is looked into again when the kubelet is back."""

import pytest
from hack.kubectl import KubectlError
from hack.lab.nodelab import NodeLab
from tests.support.eventually import eventually
from tests.support.pods import Pods


def test_pods_outlive_their_kubelet(pods: Pods, lab: NodeLab) -> None:
    first, second = lab.nodes
    pods.serve("client", node=first.name)
    pods.serve("server", node=second.name)
    second.stop("kubelet")
    try:
        with pytest.raises(KubectlError, match="refused"):
            pods.kubectl("logs", "-n", pods.namespace, "server")
        assert pods.reaches("client", pods.address("server"))
    finally:
        second.start("kubelet")

    def logged() -> bool:
        try:
            return "Started HTTP server" in pods.kubectl("logs", "-n", pods.namespace, "server")
        except KubectlError:
            return False

    eventually(logged)
