"""The cluster of these tests: one with two real nodes, the lab's own unless kind or a named cluster is there.

What reaches into nodes takes the fixture ``lab``; on a cluster that is no lab of ours those tests are deselected, which
pytest's summary counts.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.image.static import push_static
from hack.kubectl import Kubectl
from hack.lab.components import AGNHOST_PUBLISHED, GATEWAY
from hack.lab.context import Cluster, e2e_cluster_from_environment, lab_of
from hack.lab.nodelab import NodeLab
from hack.lognode import logging_values, volume_for
from hack.product import Product, installed, push_image, upgraded
from tests.support.apps import tenant_of
from tests.support.cluster import kubectl, running
from tests.support.host import observe_host
from tests.support.logsink import LogSink, log_sink
from tests.support.pods import Pods
from tests.support.talkers import Talkers

__all__ = ["kubectl"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if e2e_cluster_from_environment(os.environ).kind == "lab":
        return
    unasked = [item for item in items if "lab" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=unasked)
    items[:] = [item for item in items if item not in unasked]


@pytest.fixture(scope="session")
def host_before() -> dict[str, object]:
    """The host before this session's lab, unless one was up already."""
    return observe_host()


@pytest.fixture(scope="session")
def cluster(host_before: dict[str, object]) -> Iterator[Cluster]:  # noqa: ARG001
    """A running cluster with two real nodes; one of ours that wasn't running before is gone after the session."""
    yield from running(e2e_cluster_from_environment(os.environ))


@pytest.fixture(scope="session")
def lab(cluster: Cluster) -> NodeLab:
    """A hold on the nodes themselves."""
    found = lab_of(cluster)
    assert isinstance(found, NodeLab)
    return found


@pytest.fixture
def guest(lab: NodeLab, tmp_path: Path) -> Iterator[NodeLab]:  # noqa: ARG001
    """A lab of a test's own, not yet up, beside the session's."""
    another = NodeLab(tmp_path / "guest-node", 1)
    yield another
    another.down()


@pytest.fixture(scope="session")
def image(lab: NodeLab) -> str:
    """The operator's image by digest, in the lab's registry. Apps of the tests run it too: it has a Python."""
    return push_image(lab)


@pytest.fixture(scope="session")
def platform(cluster: Cluster, image: str) -> Iterator[Product]:
    """The product, installed as a user installs it."""
    with installed(cluster, image) as product:
        product.wait_ready()
        yield product


@pytest.fixture(scope="session")
def agnhost(cluster: Cluster) -> str:
    """The reference of Kubernetes' own test image, by digest where the registry is ours."""
    found = lab_of(cluster) if cluster.kind == "lab" else None
    return found.push_agnhost() if isinstance(found, NodeLab) else AGNHOST_PUBLISHED


@pytest.fixture
def pods(kubectl: Kubectl, agnhost: str) -> Iterator[Pods]:
    """Pods in a namespace of its own, deleted afterwards."""
    namespace = f"e2e-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", namespace)
    yield Pods(kubectl, namespace, agnhost)
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture(scope="module")
def sink(lab: NodeLab, kubectl: Kubectl, image: str) -> Iterator[LogSink]:
    """Where the log gateway delivers to."""
    with log_sink(kubectl, push_static(lab, GATEWAY), image) as sink:
        yield sink


@pytest.fixture(scope="module")
def logging(lab: NodeLab, kubectl: Kubectl, platform: Product, sink: LogSink) -> Iterator[Product]:
    """The release with a log gateway; without one again afterwards."""
    values, off = logging_values(lab, sink.endpoint), {"logging": {"enabled": False}}
    with volume_for(lab, kubectl, platform.namespace), upgraded(platform, values, off):
        yield platform


@pytest.fixture(scope="module")
def talkers(kubectl: Kubectl, logging: Product, image: str, sink: LogSink) -> Iterator[Talkers]:  # noqa: ARG001
    """Apps of a tenant of their own."""
    with tenant_of(kubectl, image) as apps:
        yield Talkers(apps, sink)
