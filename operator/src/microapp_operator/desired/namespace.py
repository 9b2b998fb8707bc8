"""The app's own namespace, confined by Pod Security admission. Imports model, constants and metadata only."""

from typing import Final

from microapp_operator.constants import (
    LABEL_CLASSIFICATION,
    LABEL_LOG_RETENTION,
    LABEL_PROFILE,
    LABEL_STAGE,
    LABEL_TIER,
    POD_SECURITY_VERSION,
)
from microapp_operator.desired.metadata import build_child, namespace_name
from microapp_operator.model import Manifest, MicroApp, RiskTier

POD_SECURITY_LABEL: Final = "pod-security.kubernetes.io"
POD_SECURITY_LEVEL: Final = "restricted"


def build_namespace(app: MicroApp, tier: RiskTier | None = None) -> Manifest:
    """The Namespace of ``app``, labelled with its tier, classification, stage and profile.

    With its ``tier`` also with how long records are kept: the log gateway knows an app by its namespace alone.

    All three modes of Pod Security admission stand at ``restricted`` in a pinned version, so that an upgrade
    of the cluster can't change what is refused (KEP-2579).
    """
    spec = app.spec
    labels = {
        LABEL_TIER: spec.risk_tier,
        LABEL_CLASSIFICATION: spec.data_classification.value,
        LABEL_STAGE: spec.stage.value,
        LABEL_PROFILE: spec.runtime.profile.value,
    }
    if tier is not None:
        labels[LABEL_LOG_RETENTION] = str(tier.spec.log_retention_days)
    for mode in ("enforce", "audit", "warn"):
        labels[f"{POD_SECURITY_LABEL}/{mode}"] = POD_SECURITY_LEVEL
        labels[f"{POD_SECURITY_LABEL}/{mode}-version"] = POD_SECURITY_VERSION
    name = namespace_name(app.metadata.namespace, app.metadata.name)
    return build_child(app, "Namespace", name=name, body={}, labels=labels)
