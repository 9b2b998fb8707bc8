"""The pod that looks at the network from one node, and what it is told to try.

Imports model, probe, settings and pod only.
"""

from dataclasses import dataclass
from typing import Final

from microapp_operator.constants import GROUP, LABEL_MANAGED_BY, MANAGED_BY
from microapp_operator.desired.pod import build_security_context
from microapp_operator.model import Manifest
from microapp_operator.probe import (
    API_HOST_VARIABLE,
    API_PORT_VARIABLE,
    CLOSED_BY_TARGET,
    CLOSED_TO_CALLERS,
    DEADLINE_VARIABLE,
    OPEN_PORT,
    TARGETS_VARIABLE,
)
from microapp_operator.probe.wire import Target, write_targets
from microapp_operator.settings import ProbeSettings

LABEL_PROBE: Final = f"{GROUP}/probe"
"""Role of a pod in the probe's namespace, by which its NetworkPolicies select: ``check`` or ``target``."""
CHECK: Final = "check"
TARGET: Final = "target"
CONTAINER: Final = "check"
COMMAND: Final = ("python3", "-m", "microapp_operator.probe", "check")
_METADATA: Final = "169.254.169.254"
_KUBELET: Final = 10250
_NODE_ADDRESS: Final = "NODE_ADDRESS"
_SIZE: Final = {"cpu": "100m", "memory": "64Mi"}


@dataclass(frozen=True, slots=True)
class TargetPod:
    """A pod that answers on the probe's ports. addresses: one of each family it has."""

    node: str
    addresses: tuple[str, ...]


def build_targets(node: str, pods: tuple[TargetPod, ...], outside: tuple[tuple[str, int], ...]) -> tuple[Target, ...]:
    """What a pod on ``node`` tries: a target pod here and one elsewhere, and what no app may reach.

    The addresses of node and API server are filled in by the kubelet (core/v1 EnvVar.value). No target pod at all:
    nothing that has to answer, so the caller must not take the silence for a proof.
    """
    near = sorted((p for p in pods if p.node == node), key=lambda p: p.addresses)[:1]
    far = sorted((p for p in pods if p.node != node), key=lambda p: (p.node < node, p.node, p.addresses))[:1]
    within = [target for pod in (*near, *far) for address in pod.addresses for target in _of_pod(pod.node, address)]
    return (
        *within,
        Target("the API server", f"$({API_HOST_VARIABLE})", f"$({API_PORT_VARIABLE})"),
        Target("the node's kubelet", f"$({_NODE_ADDRESS})", _KUBELET),
        Target("the metadata service", _METADATA, 80),
        *(Target(f"the outside ({address}:{port})", address, port) for address, port in outside),
    )


def build_probe_pod(node: str, targets: tuple[Target, ...], settings: ProbeSettings) -> Manifest:
    """A pod that runs once on ``node``, at Pod Security ``restricted``, under the policies of its namespace."""
    env = [
        {"name": _NODE_ADDRESS, "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        {"name": TARGETS_VARIABLE, "value": write_targets(targets)},
        {"name": DEADLINE_VARIABLE, "value": f"{settings.deadline:g}"},
    ]
    container = {
        "name": CONTAINER,
        "image": settings.image,
        "command": list(COMMAND),
        "env": env,
        "resources": {"requests": _SIZE, "limits": _SIZE},
        "securityContext": build_security_context(),
    }
    spec = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": int(settings.deadline) + 50,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "affinity": _only_on(node),
        "containers": [container],
    }
    labels = {LABEL_MANAGED_BY: MANAGED_BY, LABEL_PROBE: CHECK}
    metadata = {"generateName": "check-", "namespace": settings.namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _of_pod(node: str, address: str) -> tuple[Target, ...]:
    family = " (IPv6)" if ":" in address else ""
    what = f"a pod on {node}{family}"
    return (
        Target(f"{what}, TCP, allowed", address, OPEN_PORT, "TCP", open=True),
        Target(f"{what}, UDP, allowed", address, OPEN_PORT, "UDP", open=True),
        Target(f"{what}, TCP, not in the egress policy", address, CLOSED_TO_CALLERS),
        Target(f"{what}, UDP, not in the egress policy", address, CLOSED_TO_CALLERS, "UDP"),
        Target(f"{what}, TCP, not in its ingress policy", address, CLOSED_BY_TARGET),
    )


def _only_on(node: str) -> Manifest:
    """Through the scheduler, so that a full node shows as such; not by nodeName, which skips it."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"nodeAffinity": required}
