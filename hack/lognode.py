"""The log gateway on a lab of real nodes: its images, the values the chart needs, and the volume its queue is on."""

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hack.helm import RELEASE
from hack.image.static import push_static
from hack.kubectl import Kubectl
from hack.lab.components import FORWARDER, GATEWAY, LAUNCHER
from hack.lab.nodelab import REGISTRY, NodeLab

KEY = "log-redaction"
CLASS = "lab-log-queue"
SIZE = "1Gi"


def logging_values(lab: NodeLab, endpoint: str) -> dict[str, Any]:
    """Values of the chart: everything on, one sink, at ``endpoint``."""
    images = {each.name: push_static(lab, each) for each in (LAUNCHER, FORWARDER, GATEWAY)}
    host, _, port = endpoint.removeprefix("http://").partition(":")
    egress = {"namespace": host.split(".")[1], "ports": [int(port)]}
    return {
        "logging": {
            "enabled": True,
            "images": images,
            "redactionKey": {"existingSecret": KEY},
            "sinks": {"otlp": {"endpoint": endpoint, "egress": egress}},
            "gateway": {"persistence": {"size": SIZE, "storageClassName": CLASS}},
        },
        "imageRegistries": {"plainHttp": [REGISTRY]},
    }


@contextmanager
def volume_for(lab: NodeLab, kubectl: Kubectl, namespace: str) -> Iterator[None]:
    """A volume of the first node for the gateway's queue, and the key its redaction needs; both gone afterwards."""
    folder = lab.folder / "log-queue"
    folder.mkdir(exist_ok=True)
    node = lab.nodes[0].name
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": CLASS},
        "spec": {
            "capacity": {"storage": SIZE},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
        },
    }
    key = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": KEY, "namespace": namespace},
        "stringData": {"key": secrets.token_hex(32)},
    }
    for each in (volume, key):
        kubectl("apply", "-f", "-", stdin=json.dumps(each))
    try:
        yield
    finally:
        kubectl("delete", "secret", KEY, "-n", namespace)
        claims = ("-l", f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=log-gateway")
        kubectl("delete", "pvc", "-n", namespace, *claims)
        kubectl("delete", "pv", CLASS)
        shutil.rmtree(folder)
