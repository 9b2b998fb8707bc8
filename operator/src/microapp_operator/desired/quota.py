"""What all pods of the app may use together. Imports model, metadata and sizes only."""

from typing import Final

from microapp_operator.desired.metadata import build_child
from microapp_operator.desired.sizes import canonical_memory, parse_size
from microapp_operator.model import Manifest, MicroApp, RiskTier

VOLUME_CLAIMS: Final = 8
"""spec.storage has at most as many entries."""
_CONFIG_OBJECTS: Final = 20
"""The operator's own, the cluster's CA bundles, and room; enough to run, too few to fill etcd."""


def build_quota(app: MicroApp, tier: RiskTier) -> Manifest:
    """The ResourceQuota ``tier-quota``, sized by ``tier``; platform sidecars are counted in.

    No NodePort and no LoadBalancer: both would open the app to callers no NetworkPolicy of ours knows.
    Names of the resources: core/v1 ResourceQuota.
    """
    quota = tier.spec.quota
    size = parse_size(quota.cpu, quota.memory).render()
    hard = {
        "requests.cpu": size["cpu"],
        "limits.cpu": size["cpu"],
        "requests.memory": size["memory"],
        "limits.memory": size["memory"],
        "pods": str(quota.pods),
        "requests.storage": canonical_memory(quota.storage),
        "persistentvolumeclaims": str(VOLUME_CLAIMS),
        "services.nodeports": "0",
        "services.loadbalancers": "0",
        "configmaps": str(_CONFIG_OBJECTS),
        "secrets": str(_CONFIG_OBJECTS),
    }
    return build_child(app, "ResourceQuota", name="tier-quota", body={"spec": {"hard": hard}})
