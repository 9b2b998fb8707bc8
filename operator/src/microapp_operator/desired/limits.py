"""What one container and one volume may use. Imports model, metadata and sizes only."""

from typing import Any, Final

from microapp_operator.desired.metadata import build_child
from microapp_operator.desired.sizes import canonical_memory, parse_size
from microapp_operator.model import Manifest, MicroApp, RiskTier

_FLOOR: Final = parse_size("1m", "1Mi")
"""A limit of 0 means no limit to the kubelet and nothing to the quota, so there is a least size."""


def build_limits(app: MicroApp, tier: RiskTier) -> Manifest:
    """The LimitRange ``tier-limits``: the largest container is the tier's quota without the sidecar's reserve.

    Who declares nothing gets the reserve: that is a sidecar someone injected (Knative's queue-proxy), and the
    quota has room for it. ``min <= default <= max`` holds for any tier, as core/v1 LimitRange demands.
    """
    spec = tier.spec
    reserve = parse_size(spec.sidecar_reserve.cpu, spec.sidecar_reserve.memory)
    largest = parse_size(spec.quota.cpu, spec.quota.memory).minus(reserve)
    smallest = _FLOOR.at_most(largest)
    default = reserve.at_least(smallest).at_most(largest).render()
    container: dict[str, Any] = {
        "type": "Container",
        "max": largest.render(),
        "min": smallest.render(),
        "default": default,
        "defaultRequest": dict(default),
    }
    claim = {"type": "PersistentVolumeClaim", "max": {"storage": canonical_memory(spec.quota.storage)}}
    return build_child(app, "LimitRange", name="tier-limits", body={"spec": {"limits": [container, claim]}})
