"""The Deployment of profiles container and wasm.

Imports model, settings, context, gate, metadata, pod, sidecars, sizes and wasm only.
"""

from typing import Any, Final

from microapp_operator.desired.context import RuntimeChoice
from microapp_operator.desired.gate import build_gate
from microapp_operator.desired.metadata import build_child, child_labels, pod_selector
from microapp_operator.desired.pod import build_pod_spec, replica_size
from microapp_operator.desired.sidecars import sidecar_size
from microapp_operator.desired.sizes import parse_size
from microapp_operator.desired.wasm import build_module_pod
from microapp_operator.model import Manifest, MicroApp, RiskTier
from microapp_operator.settings import Images

PORT_NAME: Final = "http"
_HISTORY: Final = 2
"""ReplicaSets kept; accepted revisions are recorded elsewhere."""
_DEADLINE: Final = 300
"""Seconds without progress after which the Deployment says so."""


def build_deployment(app: MicroApp, tier: RiskTier, runtime: RuntimeChoice, images: Images) -> Manifest:
    """The Deployment named after ``app``; without replicas while it is suspended."""
    meta, replicas = app.metadata, app.spec.runtime.replicas
    spec = {
        "replicas": 0 if app.spec.suspend else replicas,
        "revisionHistoryLimit": _HISTORY,
        "progressDeadlineSeconds": _DEADLINE,
        "selector": {"matchLabels": pod_selector(meta.namespace, meta.name)},
        "strategy": build_strategy(app, tier),
        "template": {"metadata": {"labels": child_labels(app)}, "spec": _pod_spec(app, tier, runtime, images)},
    }
    return build_child(app, "Deployment", name=meta.name, body={"spec": spec})


def build_probes(port: int | str) -> Manifest:
    """Probes of the app's container: asked every second until it listens, from then on every five.

    Only a startup probe lets the pace differ (core/v1 Container). One that doesn't listen within ten minutes, twice
    what the Deployment waits, is started again.
    """
    listens = {"tcpSocket": {"port": port}, "timeoutSeconds": 2}
    return {
        "startupProbe": {**listens, "periodSeconds": 1, "failureThreshold": 2 * _DEADLINE},
        "readinessProbe": {**listens, "periodSeconds": 5},
    }


def build_strategy(app: MicroApp, tier: RiskTier) -> dict[str, Any]:
    """How pods are replaced: without a gap where ``tier``'s quota has room for one more, else one by one.

    With storage the old pod must be gone first: its volume is mounted by one node at a time.
    """
    if app.spec.storage:
        return {"type": "Recreate"}
    surge = _has_room(app, tier, pods=app.spec.runtime.replicas + 1)
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": int(surge), "maxUnavailable": int(not surge)},
    }


def _has_room(app: MicroApp, tier: RiskTier, *, pods: int) -> bool:
    quota = tier.spec.quota
    size = replica_size(app).plus(sidecar_size(app, tier))
    return pods <= quota.pods and size.times(pods).fits(parse_size(quota.cpu, quota.memory))


def _pod_spec(app: MicroApp, tier: RiskTier, runtime: RuntimeChoice, images: Images) -> Manifest:
    port = app.spec.runtime.port
    if runtime.wasm_runner:
        spec = build_module_pod(app, runtime.runtime_class, runtime.wasm_runner)
    else:
        spec = build_pod_spec(app, runtime.runtime_class, runtime.entrypoint)
    if images.gate:
        spec["initContainers"] = [build_gate(app, tier, images.gate)]
    container = spec["containers"][0]
    container["ports"] = [{"name": PORT_NAME, "containerPort": port, "protocol": "TCP"}]
    container.update(build_probes(PORT_NAME))
    hardened = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec["securityContext"] = {**hardened, **spec.get("securityContext", {})}
    if app.spec.runtime.replicas > 1:
        spec["topologySpreadConstraints"] = [
            _spread(app, key) for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ]
    return spec


def _spread(app: MicroApp, key: str) -> dict[str, Any]:
    """Soft: a single node must be able to run all replicas."""
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": pod_selector(app.metadata.namespace, app.metadata.name)},
    }
