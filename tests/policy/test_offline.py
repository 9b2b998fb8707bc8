"""``validate`` and the webhook judge alike: the same rules, the same texts, the same exceptions."""

import asyncio
import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hack.policy.cases import Case
from tests.support.offline import NOW, SETTINGS, judge_files, located
from tests.support.reviews import body_of, exception_for, request_of, small_cluster, small_court
from tests.support.samples import make_app, make_connector

from microapp_operator.adapters.rego import RegoEngine
from microapp_operator.cli.bench import Bench
from microapp_operator.cli.findings import SCHEMA, Judged, Level
from microapp_operator.cli.picture import Picture, defaulted, stamped
from microapp_operator.cli.scope import ASKED, OURS
from microapp_operator.constants import (
    LABEL_APP,
    LABEL_APP_UID,
    LABEL_CLASSIFICATION,
    LABEL_PROFILE,
    LABEL_STAGE,
    LABEL_TENANT,
    LABEL_TIER,
)
from microapp_operator.model import Approval, find_faults
from microapp_operator.model.common import Manifest
from microapp_operator.policy.context import Knowledge
from microapp_operator.policy.verdict import WARNING_MAX

LABELS = {
    "tenant": LABEL_TENANT,
    "name": LABEL_APP,
    "tier": LABEL_TIER,
    "stage": LABEL_STAGE,
    "classification": LABEL_CLASSIFICATION,
    "profile": LABEL_PROFILE,
}


def known_from(context: Mapping[str, Any]) -> Knowledge:
    """The cluster of which a case's context was made."""
    known = Knowledge(dict(context["settings"]))
    known.tiers |= {name: {"spec": {"rank": rank}} for name, rank in context.get("ranks", {}).items()}
    if "tier" in context:
        known.tiers[context["tier"]["name"]] = {"spec": {k: v for k, v in context["tier"].items() if k != "name"}}
    known.connectors |= {name: {"spec": spec} for name, spec in context.get("connectors", {}).items()}
    for namespace, tenant in context.get("tenants", {}).items():
        spec = {"namespaces": [], "tiers": []}
        known.tenants.setdefault(tenant, {"spec": spec})["spec"]["namespaces"].append(namespace)
    if tenant := context.get("tenant"):
        known.tenants[tenant["name"]] = {"spec": {k: v for k, v in tenant.items() if k not in ("name", "apps")}}
        known.apps[tenant["namespaces"][0]] = {f"app-{n}" for n in range(tenant.get("apps", 0))}
    if app := context.get("app"):
        labels = {label: app[name] for name, label in LABELS.items() if name in app}
        known.namespaces[context["namespace"]["name"]] = {LABEL_APP_UID: "uid", **labels}
    return known


def as_stored(manifest: Manifest) -> Manifest:
    """As the API server would give it to admission, unless it would refuse it before."""
    if manifest["apiVersion"].startswith("microapps.dev/") and not find_faults(
        OURS[manifest["kind"]], stamped(manifest)
    ):
        return defaulted(stamped(manifest))
    return manifest


def judgeable(case: Case) -> bool:
    """A file could hold its object, and some rule about it isn't about the request alone."""
    request = case.input["request"]
    kind, group = request["kind"]["kind"], request["kind"].get("group", "")
    return (
        request["operation"] in ("CREATE", "UPDATE")
        and not request.get("subResource")
        and kind in ASKED.get(group, frozenset()) - {"Approval"}
        and (kind != "Namespace" or LABEL_APP_UID in request["object"]["metadata"]["labels"])
    )


def manifest_of(request: Mapping[str, Any]) -> Manifest:
    manifest = copy.deepcopy(request["object"])
    if request.get("namespace") and request["kind"]["kind"] != "Namespace":
        manifest.setdefault("metadata", {})["namespace"] = request["namespace"]
    return as_stored(manifest)


def ask_webhook(engine: RegoEngine, known: Knowledge, request: Any, *exceptions: Approval) -> dict[str, Any]:
    court = small_court(engine, known, *exceptions)
    try:
        answer = asyncio.run(court.answer(body_of(request)))
    finally:
        court.close()
    assert answer.status == 200, answer.body
    response: dict[str, Any] = json.loads(answer.body)["response"]
    return response


def ask_validate(engine: RegoEngine, known: Knowledge, manifest: Manifest) -> Judged:
    picture = Picture(SETTINGS)
    picture.known = known
    picture.connectors["told"] = make_connector("told")
    for labels in known.namespaces.values():
        key = (labels.get(LABEL_TENANT, ""), labels.get(LABEL_APP, ""))
        picture.apps[key] = make_app(key[1], key[0], riskTier="unheard-of")
    (subject,) = located(manifest)
    return Bench(engine, SETTINGS, picture, NOW, told=True).judge(subject)


def shortened(text: str) -> str:
    return text if len(text) <= WARNING_MAX else f"{text[: WARNING_MAX - 1]}…"


def test_every_case_has_the_same_texts_in_the_webhook_and_in_validate(
    engine: RegoEngine, cases: tuple[Case, ...]
) -> None:
    seen: set[str] = set()
    for case in filter(judgeable, cases):
        manifest = manifest_of(case.input["request"])
        request = {**case.input["request"], "operation": "CREATE", "object": manifest, "oldObject": None}
        response = ask_webhook(engine, known_from(case.input["context"]), request)
        judged = ask_validate(engine, known_from(case.input["context"]), manifest)
        assert not judged.unjudged, case.id
        causes = response.get("status", {}).get("details", {}).get("causes", [])
        denied = {(c["reason"], c["field"], c["message"]) for c in causes if engine.rules[c["reason"]].standing}
        found = [f for f in judged.findings if f.rule != SCHEMA]
        assert {(f.rule, f.path, f.text) for f in found if f.level is Level.DENIED} == denied, case.id
        warned = {shortened(f.parts[0]) for f in found if f.level is Level.WARNED}
        standing = {w for w in response.get("warnings", ()) if engine.rules[w[1:11]].standing}
        assert warned == standing, case.id
        seen |= {f.rule for f in found}
    assert seen == {rule.id for rule in engine.rules.values() if rule.standing}


def strange_image(kind: str) -> dict[str, Any]:
    request = request_of("microapp" if kind == "MicroApp" else "pod")
    image = f"ghcr.example.org/x@sha256:{'a' * 64}"
    spec = request["object"]["spec"]
    (spec["runtime"] if kind == "MicroApp" else spec["containers"][0])["image"] = image
    spec.pop("egress", None)
    return request


def approved(kind: str, name: str, **spec: Any) -> Approval:
    """An exception from MA-IMG-002 with the fingerprint that ``validate`` tells."""
    approval = exception_for(kind, name, "MA-IMG-002")
    return approval.model_copy(update={"spec": approval.spec.model_copy(update=spec)})


@pytest.mark.parametrize("kind", ["MicroApp", "Pod"])
@pytest.mark.parametrize(
    ("change", "suspended"),
    [
        ({}, True),
        ({"expires_at": "2025-12-31T00:00:00Z"}, False),
        ({"expires_at": "2026-01-01T00:00:00Z"}, False),
        ({"expires_at": "2026-01-01T00:00:01Z"}, True),
        ({"fingerprint": "0" * 64}, False),
        ({"tier": "low"}, False),
        ({"approver": "finance-ops@example.com", "approver_identities": ("user:finance-ops@example.com",)}, False),
    ],
    ids=[
        "good",
        "expired",
        "expires now",
        "expires in a second",
        "of something else",
        "of another tier",
        "by the contact",
    ],
)
def test_an_exception_suspends_offline_what_it_suspends_in_admission(
    engine: RegoEngine, kind: str, change: dict[str, Any], suspended: bool
) -> None:
    request = strange_image(kind)
    manifest = manifest_of(request)
    there = [small_tenant()] + ([] if kind == "MicroApp" else [request_of("microapp")["object"]])
    (plain,) = judge_files(engine, [manifest], there=there)
    told = next(f.exception for f in plain.findings if f.rule == "MA-IMG-002")
    approval = approved(kind, manifest["metadata"]["name"], **{"fingerprint": told, **change})
    response = ask_webhook(engine, small_cluster(), {**request, "object": manifest}, approval)
    raw = approval.model_dump(mode="json", by_alias=True, exclude_none=True)
    given = {"apiVersion": "microapps.dev/v1alpha1", "kind": "Approval", **raw}
    (judged,) = judge_files(engine, [manifest], there=[*there, given])
    excepted = {f.rule for f in judged.findings if f.level is Level.EXCEPTED}
    assert (excepted == {"MA-IMG-002"}) == suspended
    assert ("MA-IMG-002" in response["auditAnnotations"].get("excepted", "")) == suspended
    assert judged.fails == (not suspended)
    assert response["allowed"] == suspended


def small_tenant() -> dict[str, Any]:
    return {
        "apiVersion": "microapps.dev/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": "finance"},
        "spec": {"namespaces": ["finance"], "tiers": ["low", "medium"]},
    }
