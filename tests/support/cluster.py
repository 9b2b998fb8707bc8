"""The cluster tests act on, and kubectl against it. Fixtures for the conftest files of tests/ and e2e/."""

from collections.abc import Iterator

import pytest
from hack.kubectl import Kubectl, kubectl_for
from hack.lab.build import LabError
from hack.lab.context import Cluster, cluster_from_environment, started


def running(chosen: Cluster) -> Iterator[Cluster]:
    """``chosen``, running; a local one that wasn't running before is gone afterwards. Without it the session ends."""
    try:
        with started(chosen):
            yield chosen
    except LabError as error:
        pytest.exit(f"no cluster for the tests: {error}", returncode=1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster; a local one that wasn't running before is gone after the session."""
    yield from running(cluster_from_environment())


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """``kubectl("get", "ns")``: what it printed, or KubectlError; ``stdin=`` is handed to it."""
    return kubectl_for(cluster)
