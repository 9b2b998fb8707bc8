"""Which objects admission is asked about, as ``charts/microapp-operator/admission/webhook.yaml`` has it. Pure."""

from collections.abc import Mapping
from typing import Final

from microapp_operator.constants import GROUP, LABEL_APP_UID, LABEL_PROFILE
from microapp_operator.model import Approval, Connector, Manifest, MicroApp, Profile, RiskTier, Tenant

OURS: Final[Mapping[str, type[MicroApp] | type[RiskTier] | type[Connector] | type[Tenant] | type[Approval]]] = {
    "MicroApp": MicroApp,
    "RiskTier": RiskTier,
    "Connector": Connector,
    "Tenant": Tenant,
    "Approval": Approval,
}
"""The product's own kinds."""
ASKED: Final[Mapping[str, frozenset[str]]] = {
    GROUP: frozenset(OURS),
    "": frozenset({"Pod", "ReplicationController", "PodTemplate", "Service", "ServiceAccount", "Namespace"}),
    "apps": frozenset({"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"}),
    "batch": frozenset({"Job", "CronJob"}),
    "networking.k8s.io": frozenset({"NetworkPolicy"}),
    "rbac.authorization.k8s.io": frozenset({"RoleBinding"}),
}
"""Kinds by API group of which a rule judges the content; of others admission only asks who writes them."""
WITHOUT_NAMESPACE: Final = frozenset({"Namespace", "RiskTier", "Connector", "Tenant"})
ASSUMED: Final[Mapping[str, str]] = {LABEL_APP_UID: "", LABEL_PROFILE: Profile.CONTAINER.value}
"""Labels of a namespace nothing is known of: an app's, of no known tier, so that every violation denies."""
_LEFT_ALONE: Final = ("kube-system", "microapp-system")


def split_version(manifest: Manifest) -> tuple[str, str]:
    """Group and version of its API; the core group is empty."""
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    return group, version


def explain_unasked(manifest: Manifest, namespaces: Mapping[str, Mapping[str, str]]) -> str:
    """Why admission isn't asked about ``manifest``; empty when it is, or would be in an app's namespace.

    namespaces: labels of those that are known, by name.
    """
    group, _ = split_version(manifest)
    kind, metadata = manifest["kind"], manifest["metadata"]
    if group == GROUP:
        return ""
    if kind not in ASKED.get(group, ()):
        return "no rule looks at this kind."
    if kind == "Namespace":
        return "" if LABEL_APP_UID in labels_of(manifest) else "it isn't the namespace of an app."
    namespace = str(metadata.get("namespace") or "")
    if namespace in _LEFT_ALONE or LABEL_APP_UID not in namespaces.get(namespace, ASSUMED):
        return f"namespace {namespace} isn't that of an app, so admission isn't asked about it."
    return ""


def is_guess(manifest: Manifest, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    """It is judged as if in the namespace of an app, since that namespace isn't among the known ones."""
    group, _ = split_version(manifest)
    inside = group != GROUP and manifest["kind"] in ASKED.get(group, frozenset()) - WITHOUT_NAMESPACE
    return inside and str(manifest["metadata"].get("namespace") or "") not in namespaces


def labels_of(manifest: Manifest) -> Mapping[str, str]:
    """Its labels, but for malformed ones."""
    labels = manifest["metadata"].get("labels")
    return {k: v for k, v in labels.items() if isinstance(v, str)} if isinstance(labels, dict) else {}
