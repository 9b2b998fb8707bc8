"""A Service for the gateway, and an operator that is told of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports
from hack.process import OperatorProcess

from tests.component.conftest import Tenant, installed, tenant
from tests.support.samples import LOGGING
from tests.support.settings import settings_flag

__all__ = ["Tenant", "installed", "tenant"]
_ANSWERS_NOBODY = "192.0.2.1"
"""Of a network for documentation (RFC 5737)."""


@pytest.fixture(scope="package")
def address(kubectl: Kubectl, installed: None) -> Iterator[str]:  # noqa: ARG001
    """Of the gateway's Service; its one pod doesn't answer."""
    space = LOGGING.namespace
    kubectl("create", "namespace", space)
    port = {"name": "otlp-http", "port": LOGGING.port}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": LOGGING.service}, "spec": {"ports": [port]}}
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "pods", "labels": {"kubernetes.io/service-name": LOGGING.pods_service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [_ANSWERS_NOBODY]}],
        "ports": [{"name": "forwarding", "port": 8889}, {"name": "telemetry", "port": 8888}],
    }
    for each in (service, slices):
        kubectl("create", "-n", space, "-f", "-", stdin=json.dumps(each))
    place = "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}"
    yield kubectl("get", "service", LOGGING.service, "-n", space, "-o", place)
    kubectl("delete", "namespace", space, "--wait=false")


@dataclass(frozen=True)
class RegistryPlace:
    """Where the operator looks for a registry; whether there is one is for each test to say."""

    folder: Path
    port: int

    @property
    def prefix(self) -> str:
        return f"127.0.0.1:{self.port}/"


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> RegistryPlace:
    """One that the operator may ask, without TLS."""
    return RegistryPlace(tmp_path_factory.mktemp("registry"), free_ports(1)[0])


@pytest.fixture(scope="package")
def operator(
    cluster: Cluster,
    address: str,  # noqa: ARG001
    place: RegistryPlace,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorProcess]:
    """One operator for all tests here."""
    folder = tmp_path_factory.mktemp("operator")
    registries = folder / "registries.yaml"
    registries.write_text(yaml.safe_dump({"plainHttp": [place.prefix.removesuffix("/")]}))
    file = folder / "logging.yaml"
    file.write_text(yaml.safe_dump(LOGGING.model_dump(mode="json", by_alias=True)))
    flags = (settings_flag(folder, place.prefix), f"--logging={file}", f"--image-registries={registries}")
    with OperatorProcess(cluster.kubeconfig, folder / "operator.log", flags) as process:
        yield process
