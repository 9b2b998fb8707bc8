"""The Service in front of a Deployment; Knative makes its own. Imports model, metadata and workload only."""

from typing import Final

from microapp_operator.desired.metadata import build_child, pod_selector
from microapp_operator.desired.workload import PORT_NAME
from microapp_operator.model import Manifest, MicroApp

SERVICE_PORT: Final = 80


def build_service(app: MicroApp) -> Manifest:
    """The ClusterIP Service named after ``app``: port 80 to ``runtime.port``."""
    spec = {
        "type": "ClusterIP",
        "selector": pod_selector(app.metadata.namespace, app.metadata.name),
        "ports": [{"name": PORT_NAME, "protocol": "TCP", "port": SERVICE_PORT, "targetPort": PORT_NAME}],
    }
    return build_child(app, "Service", name=app.metadata.name, body={"spec": spec})
