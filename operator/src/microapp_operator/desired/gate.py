"""The init container that holds the app back until the pod's network policies are seen to be in force.

Imports model, pod and sizes only.
"""

from typing import Final

from microapp_operator.desired.pod import build_security_context, replica_size
from microapp_operator.desired.sizes import parse_size
from microapp_operator.model import Manifest, MicroApp, RiskTier

CONTAINER: Final = "isolation-gate"
COMMAND: Final = ("python3", "-m", "microapp_operator.probe", "gate")


def build_gate(app: MicroApp, tier: RiskTier, image: str) -> Manifest:
    """The container, from ``image`` of this operator.

    It gets what the app and its sidecars get later: a pod counts as the larger of its init containers and the sum of
    the others (core/v1 ResourceRequirements), so it takes nothing from the quota. Never more than ``build_limits``
    allows a container.
    """
    quota, reserve = tier.spec.quota, tier.spec.sidecar_reserve
    kept = parse_size(reserve.cpu, reserve.memory)
    largest = parse_size(quota.cpu, quota.memory).minus(kept)
    size = replica_size(app).plus(kept).at_most(largest).render()
    return {
        "name": CONTAINER,
        "image": image,
        "command": list(COMMAND),
        "resources": {"requests": size, "limits": dict(size)},
        "securityContext": build_security_context(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
