"""The scan says of an object that is there what admission says of the same object when it is written."""

from datetime import UTC, datetime
from typing import Any

from tests.support.reviews import body_of

from microapp_operator.adapters.kubernetes.kinds import JUDGED
from microapp_operator.adapters.rego import RegoEngine
from microapp_operator.constants import (
    LABEL_APP,
    LABEL_APP_UID,
    LABEL_CLASSIFICATION,
    LABEL_PROFILE,
    LABEL_STAGE,
    LABEL_TENANT,
    LABEL_TIER,
)
from microapp_operator.policy.context import Knowledge, build_question
from microapp_operator.policy.review import parse_review
from microapp_operator.policy.verdict import judge
from microapp_operator.scan.court import Court

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = {kind.kind for kind in JUDGED} | {"MicroApp"}
LABELS = {
    "name": LABEL_APP,
    "tenant": LABEL_TENANT,
    "tier": LABEL_TIER,
    "stage": LABEL_STAGE,
    "classification": LABEL_CLASSIFICATION,
    "profile": LABEL_PROFILE,
}
MAY_HAVE = "apps and may have"
"""MA-TEN-001 counts against one app more, not against those that are there."""


def knowledge(context: dict[str, Any]) -> Knowledge:
    """A cluster of which a rule would be told ``context``."""
    known = Knowledge(context.get("settings", {}))
    if "app" in context:
        labels = {LABELS[name]: value for name, value in context["app"].items() if name in LABELS}
        known.namespaces[context["namespace"]["name"]] = {LABEL_APP_UID: "uid", **labels}
    known.tiers.update({name: {"spec": {"rank": rank}} for name, rank in context.get("ranks", {}).items()})
    if "tier" in context:
        tier = {"rank": 10, **context["tier"]}
        known.tiers[tier["name"]] = {"spec": {k: v for k, v in tier.items() if k != "name"}}
    known.connectors.update({name: {"spec": spec} for name, spec in context.get("connectors", {}).items()})
    for namespace, tenant in context.get("tenants", {}).items():
        spec = context.get("tenant", {}) if context.get("tenant", {}).get("name") == tenant else {}
        kept = known.tenants.setdefault(tenant, {"spec": {"namespaces": [], **spec}})
        kept["spec"]["namespaces"] = [*kept["spec"]["namespaces"], namespace]
    return known


def test_scan_and_admission_agree_on_every_case_of_every_rule(engine: RegoEngine, documents: dict[str, Any]) -> None:
    compared, differing = 0, {}
    for name, document in documents.items():
        request = document["request"]
        if request["kind"]["kind"] not in KINDS or not request.get("object") or request.get("subResource"):
            continue
        known = knowledge(document.get("context", {}))
        review = parse_review(body_of(request))
        question = build_question(review, known)
        asked = [v for v in engine.evaluate(review.group, question.document) if v.rule.standing]
        verdict = judge(asked, tier=question.tier, production=question.production)
        admission = [[v.text() for v in each] for each in (verdict.denied, verdict.warned)]
        scan = Court(engine, known, {}, NOW).judge(stored(request)).verdict
        if [[v.text() for v in each] for each in (scan.denied, scan.warned)] != [
            [text for text in each if MAY_HAVE not in text] for each in admission
        ]:
            differing[name] = (admission, scan)
        compared += bool(admission[0] or admission[1])
    assert not differing
    assert compared > 100


def stored(request: dict[str, Any]) -> dict[str, Any]:
    """The object as the API server has it afterwards."""
    kind = request["kind"]
    place = {"name": request.get("name", ""), "namespace": request.get("namespace", ""), "uid": "uid"}
    metadata = place | (request["object"].get("metadata") or {})
    version = f"{kind['group']}/{kind['version']}" if kind["group"] else kind["version"]
    return {**request["object"], "apiVersion": version, "kind": kind["kind"], "metadata": metadata}
