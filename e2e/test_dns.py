"""Pods find Services by name, and of what is beyond the cluster the registry alone."""

import pytest
from hack.kubectl import KubectlError
from tests.support.eventually import eventually
from tests.support.pods import Pods


def test_a_service_is_found_by_its_name(pods: Pods) -> None:
    pods.serve("client", "server")
    pods.expose("server")
    eventually(lambda: pods.reaches("client", f"server.{pods.namespace}.svc.cluster.local"))


@pytest.mark.usefixtures("lab")
def test_names_beyond_the_cluster_are_unknown(pods: Pods) -> None:
    pods.serve("client")
    with pytest.raises(KubectlError, match="DNS:"):
        pods.reaches("client", "www.example.com", 443)
