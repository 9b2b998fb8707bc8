"""What the rules are told besides the request, and by whom: the cluster, never the request itself."""

from typing import Any

import pytest
from tests.support.reviews import HOME, body_of, request_of, small_cluster
from tests.support.samples import tier_manifest

from microapp_operator.constants import LABEL_APP_UID, LABEL_STAGE, LABEL_TIER
from microapp_operator.policy.context import Knowledge, Question, build_question
from microapp_operator.policy.review import parse_review


def ask(known: Knowledge, base: str, /, **fields: Any) -> Question:
    return build_question(parse_review(body_of(request_of(base, **fields))), known)


def context(known: Knowledge, base: str, /, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = ask(known, base, **fields).document["context"]
    return found


def app(**spec: Any) -> dict[str, Any]:
    subject: dict[str, Any] = request_of("microapp")["object"]
    subject["spec"] |= spec
    return subject


def test_an_app_is_known_by_its_namespaces_labels_whatever_the_object_claims() -> None:
    pod = request_of("pod")["object"]
    pod["metadata"]["labels"] |= {LABEL_TIER: "low", LABEL_STAGE: "sandbox", LABEL_APP_UID: "forged"}
    known = small_cluster()
    known.namespaces[HOME] = {**known.namespaces[HOME], LABEL_STAGE: "production", LABEL_TIER: "high"}
    question = ask(known, "pod", object=pod)
    assert (question.tier, question.production) == ("high", True)
    assert question.document["context"]["app"]["stage"] == "production"
    assert question.document["context"]["tier"]["name"] == "high"


def test_outside_of_apps_nothing_is_said_of_one() -> None:
    question = ask(small_cluster(), "pod", namespace="elsewhere")
    assert (question.tier, question.production) == ("", False)
    assert not {"app", "tier"} & set(question.document["context"])
    assert question.document["context"]["namespace"] == {"name": "elsewhere"}


def test_a_namespace_labelled_by_halves_is_still_an_apps() -> None:
    known = small_cluster()
    known.namespaces[HOME] = {LABEL_APP_UID: ""}
    question = ask(known, "pod")
    assert question.document["context"]["app"]["tier"] == ""
    assert "tier" not in question.document["context"]


def test_a_tier_that_is_gone_is_not_made_up() -> None:
    known = small_cluster()
    del known.tiers["medium"]
    question = ask(known, "pod")
    assert question.tier == "medium"
    assert "tier" not in question.document["context"]


def test_a_microapp_is_judged_by_the_tier_and_stage_it_asks_for() -> None:
    question = ask(small_cluster(), "microapp", object=app(riskTier="high", stage="production"))
    assert (question.tier, question.production) == ("high", True)
    assert question.document["context"]["tier"]["rank"] == 30
    assert question.document["context"]["ranks"] == {"low": 10, "medium": 20, "high": 30}


def test_a_deleted_microapp_is_judged_by_what_it_was() -> None:
    old = app(riskTier="low", stage="production")
    question = ask(small_cluster(), "microapp", operation="DELETE", object=None, oldObject=old)
    assert (question.tier, question.production) == ("low", True)


@pytest.mark.parametrize("spec", [None, [], "low", {"riskTier": ["low"]}, {"riskTier": None}, {"egress": "all"}])
def test_a_spec_out_of_shape_gets_no_tier_and_no_connectors(spec: Any) -> None:
    subject = {**app(), "spec": spec}
    question = ask(small_cluster(), "microapp", object=subject)
    assert not question.production
    assert "tier" not in question.document["context"]
    assert question.document["context"]["connectors"] == {}


def test_only_connectors_that_are_referred_to_are_told_of() -> None:
    known = small_cluster()
    known.connectors.update({name: {"spec": {"hosts": [name]}} for name in ("ledger", "payroll")})
    egress = [{"connectorRef": "ledger"}, {"connectorRef": "absent"}, {"connectorRef": 5}, {"host": "a"}, "b", None]
    assert context(known, "microapp", object=app(egress=egress))["connectors"] == {"ledger": {"hosts": ["ledger"]}}


def test_a_tenants_apps_are_counted_over_all_its_namespaces() -> None:
    known = small_cluster()
    known.tenants["finance"]["spec"] |= {"namespaces": ["finance", "finance-test", "empty"]}
    known.apps.update({"finance": {"a", "b"}, "finance-test": {"c"}, "sales": {"d"}})
    tenant = context(known, "microapp")["tenant"]
    assert (tenant["name"], tenant["apps"], tenant["maxApps"]) == ("finance", 3, 100)
    assert context(known, "microapp")["tenants"] == dict.fromkeys(("finance", "finance-test", "empty"), "finance")


def test_a_namespace_of_no_tenant_has_none() -> None:
    found = context(small_cluster(), "microapp", namespace="sales")
    assert "tenant" not in found
    assert found["tenants"] == {"finance": "finance"}


def test_settings_in_force_are_those_of_now() -> None:
    known = small_cluster()
    known.settings = {"registries": ["new/"]}
    assert context(known, "pod")["settings"] == {"registries": ["new/"]}


def test_asking_changes_nothing_that_is_known() -> None:
    known, other = small_cluster(), small_cluster()
    for base in ("pod", "microapp", "tenant"):
        document = ask(known, base).document
        document["context"]["namespace"]["name"] = "changed"
        document["context"].get("tier", {}).update(rank=99)
        document["context"].get("tenants", {}).clear()
    assert known == other
    assert known.tiers["low"] == tier_manifest("low")
