"""Approvals: closed by default, bound to a fingerprint, from enough people who didn't ask for it themselves."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.samples import EDITOR, POLICY, make_app, make_approval, make_tier

from microapp_operator.gates import (
    ApprovalVerdict,
    GateInput,
    compute_endpoint_fingerprint,
    compute_fingerprint,
    compute_secret_fingerprint,
    evaluate_approvals,
)
from microapp_operator.model import Approval, MicroApp
from microapp_operator.policy.settings import PolicySettings
from microapp_operator.reasons import Reason

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SECURITY = {"name": "security", "groups": ["sec-reviewers"]}
TWO = {"approvals": {"reviewers": 2, "groups": [SECURITY]}}
ONE = {"approvals": {"reviewers": 1}}
EGRESS = {"name": "api", "cidr": "203.0.113.0/24", "port": 443, "dataClassification": "internal", "justification": "x"}
CAROL = {"approverGroups": ["sec-reviewers"]}


def app(**spec: Any) -> MicroApp:
    return make_app(stage="production", **spec)


def edited_by(given: MicroApp, *editors: str) -> MicroApp:
    annotations = {"microapps.dev/editors": "\n".join(editors)}
    return given.model_copy(update={"metadata": given.metadata.model_copy(update={"annotations": annotations})})


def judged(
    given: MicroApp, *approvals: Approval, settings: PolicySettings | None = None, **tier: Any
) -> ApprovalVerdict:
    gate = GateInput(given, make_tier(**(tier or TWO)), approvals, settings or PolicySettings(), POLICY)
    return evaluate_approvals(gate, NOW)


def pending(given: MicroApp, *approvals: Approval, **more: Any) -> list[Reason]:
    return [f.reason for f in judged(given, *approvals, **more).pending]


def test_without_approvals_the_gate_is_closed() -> None:
    assert pending(app()) == [Reason.APPROVAL_PENDING]


def test_a_sandbox_needs_no_release() -> None:
    verdict = judged(make_app(stage="sandbox"))
    assert (verdict.pending, verdict.required, verdict.reviewed) == ((), False, False)


def test_enough_people_of_the_right_groups_open_it() -> None:
    given = app()
    print_ = compute_fingerprint(given)
    alice = make_approval(given, print_, "alice@example.com")
    carol = make_approval(given, print_, "carol@example.com", **CAROL)
    verdict = judged(given, alice, carol)
    assert (verdict.pending, verdict.reviewed) == ((), True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({"fingerprint": "0" * 64}, "has changed since", id="another-fingerprint"),
        pytest.param({"tier": "high"}, "given for tier high", id="another-tier"),
        pytest.param({"expiresAt": "2026-05-31T23:59:59Z"}, "expired", id="expired"),
        pytest.param({"replicas": 0}, "at most 0 replicas", id="more-replicas-than-reviewed"),
        pytest.param({"approver": "finance-ops@example.com"}, "nobody approves their own", id="the-apps-own-contact"),
        pytest.param({"approver": "FINANCE-OPS@example.com"}, "nobody approves their own", id="in-other-letters"),
        pytest.param({"approver": EDITOR}, "nobody approves their own", id="the-editor"),
        pytest.param(
            {"approverIdentities": ["user:carol@example.com", f"person:{EDITOR}"]},
            "nobody approves their own",
            id="another-account-of-the-editor",
        ),
        pytest.param({"approverIdentities": ["user:eve"]}, "isn't among the identities", id="not-who-it-says"),
        pytest.param({"approver": "system:serviceaccount:a:b"}, "is no person", id="a-service-account"),
        pytest.param(
            {"approver": "system:serviceaccount:argocd:argocd-application-controller"}, "is no person", id="gitops"
        ),
    ],
)
def test_an_approval_that_does_not_fit_does_not_count_and_says_why(change: dict[str, Any], why: str) -> None:
    given = app()
    print_ = compute_fingerprint(given)
    alice = make_approval(given, print_, "alice@example.com")
    fields = {"approver": "carol@example.com", "fingerprint": print_, **CAROL} | change
    second = make_approval(given, fields.pop("fingerprint"), fields.pop("approver"), **fields)
    verdict = judged(given, alice, second)
    assert [f.reason for f in verdict.pending] == [Reason.APPROVAL_PENDING]
    assert [v.approval for v in verdict.voided] == [second.metadata.name]
    assert why in verdict.voided[0].why
    assert why in verdict.pending[0].message


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"microApp": "other"}, id="another-app"),
        pytest.param({"scope": "egress", "endpoint": "api", "replicas": None}, id="another-scope"),
        pytest.param({"approverGroups": ["others"]}, id="the-required-group-missing"),
    ],
)
def test_an_approval_of_something_else_is_not_enough(change: dict[str, Any]) -> None:
    given = app()
    print_ = compute_fingerprint(given)
    alice = make_approval(given, print_, "alice@example.com")
    second = make_approval(given, print_, "carol@example.com", **(CAROL | change))
    assert pending(given, alice, second) == [Reason.APPROVAL_PENDING]


def test_one_person_counts_once_however_many_accounts_approve() -> None:
    given = app()
    print_ = compute_fingerprint(given)
    first = make_approval(given, print_, "carol@example.com", **CAROL)
    admin = ["user:carol-admin", "person:carol@example.com"]
    second = make_approval(given, print_, "carol-admin", approverIdentities=admin)
    third = make_approval(given, print_, "c2", approverIdentities=["user:c2"])
    assert pending(given, first, second) == [Reason.APPROVAL_PENDING]
    listed = PolicySettings.model_validate({"people": [{"identities": ["user:carol-admin", "user:c2"]}]})
    assert pending(given, first, second, third) == []
    assert pending(given, first, second, third, settings=listed) == [Reason.APPROVAL_PENDING]


def test_accounts_the_settings_list_as_one_person_cannot_approve_each_others_work() -> None:
    given = app()
    settings = PolicySettings.model_validate({"people": [{"identities": [f"user:{EDITOR}", "uid:42"]}]})
    twin = make_approval(
        given, compute_fingerprint(given), "carol@example.com", approverIdentities=["user:carol@example.com", "uid:42"]
    )
    assert pending(given, twin, **ONE) == []
    assert pending(given, twin, settings=settings, **ONE) == [Reason.APPROVAL_PENDING]


def test_an_approval_of_another_namespace_does_not_count() -> None:
    given, stranger = app(), make_app(namespace="hr", stage="production")
    forged = make_approval(stranger, compute_fingerprint(given), "alice@example.com")
    assert pending(given, forged, **ONE) == [Reason.APPROVAL_PENDING]


def test_nobody_can_approve_what_nobody_is_known_to_have_asked_for() -> None:
    given = edited_by(app())
    alice = make_approval(given, compute_fingerprint(given), "alice@example.com")
    verdict = judged(given, alice, **ONE)
    assert "nobody is recorded as its editor" in verdict.pending[0].message


def test_everybody_who_edited_since_the_last_approval_is_ruled_out() -> None:
    given = edited_by(app(), "user:alice@example.com", "user:bob@example.com")
    print_ = compute_fingerprint(given)
    alice, bob, carol = (make_approval(given, print_, f"{who}@example.com") for who in ("alice", "bob", "carol"))
    assert pending(given, alice, bob, **ONE) == [Reason.APPROVAL_PENDING]
    assert pending(given, alice, bob, carol, **ONE) == []


def test_a_denial_closes_it_until_it_is_withdrawn_and_says_who_and_why() -> None:
    given = app()
    print_ = compute_fingerprint(given)
    alice = make_approval(given, print_, "alice@example.com")
    carol = make_approval(given, print_, "carol@example.com", decision="Denied", justification="logs card numbers")
    verdict = judged(given, alice, carol, **ONE)
    assert [f.reason for f in verdict.pending] == [Reason.APPROVAL_DENIED]
    assert "denied by carol@example.com: logs card numbers" in verdict.pending[0].message
    outdated = make_approval(given, "0" * 64, "carol@example.com", decision="Denied")
    assert pending(given, alice, outdated, **ONE) == []


def test_a_new_policy_bundle_or_tier_voids_only_where_the_tier_says_so() -> None:
    given = app()
    old = make_approval(given, compute_fingerprint(given), "alice@example.com", policyDigest="e" * 64, tierGeneration=7)
    assert pending(given, old, **ONE) == []
    for cause, why in (("Policy", "another policy bundle"), ("Tier", "the tier has changed")):
        verdict = judged(given, old, approvals={"reviewers": 1, "voidOn": [cause]})
        assert why in verdict.pending[0].message


def test_each_endpoint_waits_for_its_own_approval() -> None:
    tier = {"egress": {"maxEndpoints": 3, "approvalRequired": True, "expiryRequired": True}}
    given = make_app(egress=[EGRESS, EGRESS | {"name": "other"}])
    print_ = compute_endpoint_fingerprint(given, given.spec.egress[0])
    endless = make_approval(given, print_, "alice@example.com", scope="egress", endpoint="api")
    assert pending(given, endless, **tier) == [Reason.EGRESS_APPROVAL_PENDING] * 2
    until = "2026-07-01T00:00:00Z"
    good = make_approval(given, print_, "alice@example.com", scope="egress", endpoint="api", expiresAt=until)
    verdict = judged(given, good, **tier)
    assert [f.path for f in verdict.endpoints] == ["spec.egress[1]"]
    assert [name for name, _ in verdict.granted] == ["api"]
    assert verdict.expires == datetime(2026, 7, 1, tzinfo=UTC)


def test_each_secret_of_production_waits_for_its_own_approval() -> None:
    tier = {"secrets": {"approvalRequired": True}}
    given = app(secrets=[{"name": "db", "path": "a/b"}, {"name": "api", "path": "c"}])
    good = make_approval(
        given,
        compute_secret_fingerprint(given, given.spec.secrets[0]),
        "alice@example.com",
        scope="secret",
        secret="db",
    )
    assert [f.path for f in judged(given, good, **tier).secrets] == ["spec.secrets[1]"]
    assert pending(make_app(secrets=[{"name": "db", "path": "a/b"}]), **tier) == []


def test_of_two_endpoint_approvals_the_one_that_lasts_longer_counts_whatever_its_time_zone() -> None:
    tier = {"egress": {"maxEndpoints": 3, "approvalRequired": True}}
    given = make_app(egress=[EGRESS])
    print_ = compute_endpoint_fingerprint(given, given.spec.egress[0])
    both = [
        make_approval(given, print_, f"{who}@example.com", scope="egress", endpoint="api", expiresAt=until)
        for who, until in (("late", "2026-07-01T00:00:00-05:00"), ("early", "2026-07-01T03:00:00Z"))
    ]
    verdict = judged(given, *both, **tier)
    assert [a.metadata.name for _, a in verdict.granted] == ["by-late"]
