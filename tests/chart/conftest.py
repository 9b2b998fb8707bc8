"""A lab of its own: a release claims the whole cluster, and its API server keeps an audit log."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.kubectl import Kubectl, kubectl_for
from hack.lab.context import Cluster
from hack.lab.hollow import HollowLab
from hack.lab.lab import CONTEXT


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HollowLab]:
    lab = HollowLab(tmp_path_factory.mktemp("lab") / "lab", audit=True)
    lab.up()
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def cluster(lab: HollowLab) -> Cluster:
    return Cluster(lab.kubeconfig, CONTEXT, "lab")


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Kubectl:
    return kubectl_for(cluster)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For logs and credentials."""
    return tmp_path_factory.mktemp("release")
