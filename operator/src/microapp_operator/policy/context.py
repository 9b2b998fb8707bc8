"""What a rule is told besides the request: the app, its tier, tenant and connectors. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from microapp_operator.constants import (
    LABEL_APP,
    LABEL_APP_UID,
    LABEL_CLASSIFICATION,
    LABEL_PROFILE,
    LABEL_STAGE,
    LABEL_TENANT,
    LABEL_TIER,
)
from microapp_operator.model.common import Manifest
from microapp_operator.policy.review import Review
from microapp_operator.policy.settings import PolicySettings

_APP_LABELS = {
    "tenant": LABEL_TENANT,
    "name": LABEL_APP,
    "tier": LABEL_TIER,
    "stage": LABEL_STAGE,
    "classification": LABEL_CLASSIFICATION,
    "profile": LABEL_PROFILE,
}


@dataclass(slots=True)
class Knowledge:
    """The cluster as the rules need it: objects as they came, by name; namespaces by their labels.

    apps: per namespace, the names of its MicroApps.
    """

    settings: Manifest
    tiers: dict[str, Manifest] = field(default_factory=dict)
    connectors: dict[str, Manifest] = field(default_factory=dict)
    tenants: dict[str, Manifest] = field(default_factory=dict)
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    apps: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def under(cls, settings: PolicySettings) -> "Knowledge":
        """Nothing known yet."""
        return cls(settings.document())


@dataclass(frozen=True, slots=True)
class Question:
    """One review with its surroundings: the document the rules get, and what decides between denial and warning."""

    document: Manifest
    tier: str
    production: bool


def build_question(review: Review, known: Knowledge, more: Manifest | None = None) -> Question:
    """What to ask the rules about ``review``. more: context that had to be asked for."""
    labels = known.namespaces.get(review.namespace, {})
    context: Manifest = {"namespace": {"name": review.namespace}, "settings": known.settings, **(more or {})}
    tier = stage = ""
    if LABEL_APP_UID in labels:
        app = {name: labels.get(label, "") for name, label in _APP_LABELS.items()}
        context["app"] = app
        tier, stage = app["tier"], app["stage"]
    subject = review.request.get("object") or review.request.get("oldObject") or {}
    spec = _mapping(subject.get("spec"))
    if review.kind == "MicroApp":
        tier, stage = str(spec.get("riskTier", "")), str(spec.get("stage", ""))
        context["connectors"] = _named(known.connectors, _references(spec))
        context["ranks"] = {name: raw["spec"]["rank"] for name, raw in known.tiers.items()}
    if review.kind in ("MicroApp", "Tenant"):
        context |= _tenancy(review.namespace, known)
    if tier in known.tiers:
        context["tier"] = {**known.tiers[tier]["spec"], "name": tier}
    document = {"request": review.request, "context": context}
    return Question(document, tier, production=stage == "production")


def resolve_app(review: Review, known: Knowledge) -> tuple[str, str]:
    """Namespace and name of the MicroApp that ``review`` is about, or whose namespace it is in; empty for none."""
    if review.kind == "MicroApp":
        return review.namespace, str(review.request.get("name") or "")
    labels = known.namespaces.get(review.namespace, {})
    return labels.get(LABEL_TENANT, ""), labels.get(LABEL_APP, "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _references(spec: Mapping[str, Any]) -> Iterable[str]:
    egress = spec.get("egress")
    entries = egress if isinstance(egress, list) else []
    return (e["connectorRef"] for e in entries if isinstance(e, dict) and isinstance(e.get("connectorRef"), str))


def _named(objects: Mapping[str, Manifest], names: Iterable[str]) -> Manifest:
    return {name: objects[name]["spec"] for name in names if name in objects}


def _tenancy(namespace: str, known: Knowledge) -> Manifest:
    owners = {name: tenant for tenant, raw in known.tenants.items() for name in raw["spec"].get("namespaces", ())}
    found: Manifest = {"tenants": owners}
    if namespace in owners:
        spec = known.tenants[owners[namespace]]["spec"]
        apps = sum(len(known.apps.get(name, ())) for name in spec["namespaces"])
        found["tenant"] = {"maxApps": 100, **spec, "name": owners[namespace], "apps": apps}
    return found
