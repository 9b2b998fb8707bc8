"""The product as a user gets it: its image in the lab's registry, installed by the chart, on the lab's nodes."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.helm import CHART, NAMESPACE, RELEASE, helm
from hack.image.build import build_image
from hack.kubectl import Kubectl, kubectl_for
from hack.lab.context import Cluster
from hack.lab.network import OUTSIDE_ADDRESS
from hack.lab.nodelab import NodeLab

REPOSITORY = "lab/microapp-operator"
PROBE_INTERVAL = 20
"""Seconds; the shortest the operator takes."""


def push_image(lab: NodeLab) -> str:
    """Build the operator's image and push it; returns its reference by digest."""
    return lab.registry.push(build_image().archive, REPOSITORY)


@dataclass(frozen=True)
class Product:
    """An installed release."""

    cluster: Cluster
    kubectl: Kubectl
    name: str = RELEASE
    namespace: str = NAMESPACE

    def helm(self, *arguments: str) -> str:
        """``helm …`` on this cluster and namespace."""
        return helm(*arguments, f"--namespace={self.namespace}", cluster=self.cluster)

    def wait_ready(self) -> None:
        """Until every Deployment of the release is rolled out."""
        for name in (self.name, f"{self.name}-webhook"):
            self.kubectl("rollout", "status", f"deployment/{name}", "-n", self.namespace, "--timeout=120s")

    def upgrade(self, values: Mapping[str, Any], *, reset: bool = False) -> None:
        """The release with these ``values`` besides those it has, or with ``reset`` with these alone; ready then."""
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "values.json"
            file.write_text(json.dumps(values))
            flags = ("--reset-values" if reset else "--reuse-values", f"--values={file}", "--wait", "--timeout=240s")
            self.helm("upgrade", self.name, str(CHART), *flags)
        self.wait_ready()

    def leader(self) -> str:
        """Name of the operator's pod that reconciles."""
        holder = ("get", "lease", RELEASE, "-n", self.namespace, "-o", "jsonpath={.spec.holderIdentity}")
        return self.kubectl(*holder).partition("_")[0]

    def metrics(self) -> str:
        """What the leader counts, as Prometheus reads it. From inside: its policy lets pods ask, and no API server."""
        code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/metrics').read().decode())"
        return self.kubectl("exec", self.leader(), "-n", self.namespace, "--", "python3", "-c", code)


def build_values(image: str) -> dict[str, Any]:
    """Values for the lab: the image by digest, and the probe at its shortest interval."""
    repository, _, digest = image.partition("@")
    registry = repository.partition("/")[0]
    return {
        "image": {"repository": repository, "digest": digest},
        "settings": {"registries": [f"{registry}/"], "gitops": []},
        "isolationProbe": {"intervalSeconds": PROBE_INTERVAL, "outside": [f"{OUTSIDE_ADDRESS}:443"]},
    }


@contextmanager
def upgraded(product: Product, values: Mapping[str, Any], afterwards: Mapping[str, Any]) -> Iterator[None]:
    """The release with these ``values`` besides its own inside, and with those ``afterwards``."""
    product.upgrade(values)
    yield
    product.upgrade(afterwards)


@contextmanager
def installed(cluster: Cluster, image: str, values: Mapping[str, Any] | None = None) -> Iterator[Product]:
    """The release, ready inside and uninstalled afterwards."""
    product = Product(cluster, kubectl_for(cluster))
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "values.json"
        file.write_text(json.dumps({**build_values(image), **(values or {})}))
        flags = ("--create-namespace", "--wait", "--timeout=240s", f"--values={file}")
        product.helm("install", product.name, str(CHART), *flags)
    try:
        yield product
    finally:
        product.helm("uninstall", product.name, "--wait", "--timeout=120s")
