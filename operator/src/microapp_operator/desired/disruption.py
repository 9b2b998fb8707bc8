"""How many replicas may be away at once. Imports model and metadata only."""

from microapp_operator.desired.metadata import build_child, pod_selector
from microapp_operator.model import Manifest, MicroApp


def needs_budget(app: MicroApp) -> bool:
    """Whether a budget means anything: with one replica it would only block the node's drain."""
    return app.spec.runtime.replicas > 1 and not app.spec.suspend


def build_budget(app: MicroApp) -> Manifest:
    """The PodDisruptionBudget named after ``app``: one pod away at a time.

    Pods that aren't ready don't hold up a drain (policy/v1, unhealthyPodEvictionPolicy).
    """
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": pod_selector(app.metadata.namespace, app.metadata.name)},
    }
    return build_child(app, "PodDisruptionBudget", name=app.metadata.name, body={"spec": spec})
