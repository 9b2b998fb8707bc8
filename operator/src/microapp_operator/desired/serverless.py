"""The Knative Service of profile serverless. Imports model, context, metadata and pod only."""

from typing import Final

from microapp_operator.desired.context import RuntimeChoice
from microapp_operator.desired.metadata import build_child, child_labels
from microapp_operator.desired.pod import build_pod_spec
from microapp_operator.model import Manifest, MicroApp

LABEL_VISIBILITY: Final = "networking.knative.dev/visibility"
_SCALE: Final = "autoscaling.knative.dev"


def is_stopped(app: MicroApp) -> bool:
    """Whether no pod may run: suspended, or no replica asked for.

    Such an app has no Knative Service at all: any request would start a pod, and max-scale 0 means no limit
    (Knative, autoscaling: scale bounds).
    """
    return app.spec.suspend or app.spec.runtime.replicas == 0


def build_knative_service(app: MicroApp, runtime: RuntimeChoice) -> Manifest:
    """The Knative Service named after ``app``: from no pod up to ``runtime.replicas``, inside the cluster only.

    The pod has only fields Knative takes by default (knative/serving, fieldmask.go); storage and a runtime
    class need its flags for PersistentVolumeClaims, the pod's security context and the runtime class.
    ValueError when the app is stopped.
    """
    if is_stopped(app):
        raise ValueError("a stopped app has no Knative Service")
    spec = build_pod_spec(app, runtime.runtime_class)
    spec["containers"][0]["ports"] = [{"containerPort": app.spec.runtime.port, "protocol": "TCP"}]
    scale = {f"{_SCALE}/min-scale": "0", f"{_SCALE}/max-scale": str(app.spec.runtime.replicas)}
    template = {"metadata": {"labels": child_labels(app), "annotations": scale}, "spec": spec}
    return build_child(
        app,
        "KnativeService",
        name=app.metadata.name,
        body={"spec": {"template": template}},
        labels={LABEL_VISIBILITY: "cluster-local"},
    )
