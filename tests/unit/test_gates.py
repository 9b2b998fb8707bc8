"""Approvals: closed by default, bound to a fingerprint, and void with any change of it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.samples import make_app, make_approval, make_tier

from microapp_operator.gates import compute_endpoint_fingerprint, compute_fingerprint, evaluate_approvals
from microapp_operator.model import MicroApp
from microapp_operator.reasons import Reason

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TWO = {"approvals": {"reviewers": 2, "requiredRoles": ["security"]}}
EGRESS = {"name": "api", "cidr": "203.0.113.0/24", "port": 443, "dataClassification": "internal", "justification": "x"}


def app(**spec: Any) -> MicroApp:
    return make_app(stage="production", **spec)


def pending(given: MicroApp, *approvals: Any, **tier: Any) -> list[Reason]:
    verdict = evaluate_approvals(given, make_tier(**(tier or TWO)), approvals, NOW)
    return [f.reason for f in (*verdict.production, *verdict.endpoints)]


def test_without_approvals_the_gate_is_closed() -> None:
    assert pending(app()) == [Reason.APPROVAL_PENDING]


def test_a_sandbox_needs_no_production_approval() -> None:
    assert pending(make_app(stage="sandbox")) == []


def test_enough_people_and_roles_open_it() -> None:
    given = app()
    print_ = compute_fingerprint(given)
    alice = make_approval(given, print_, "alice@example.com")
    carol = make_approval(given, print_, "carol@example.com", role="security")
    assert pending(given, alice, carol) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"fingerprint": "0" * 64}, id="another-fingerprint"),
        pytest.param({"tier": "high"}, id="another-tier"),
        pytest.param({"microApp": "other"}, id="another-app"),
        pytest.param({"approver": "alice@example.com"}, id="the-same-person-twice"),
        pytest.param({"approver": "finance-ops@example.com"}, id="the-apps-own-contact"),
        pytest.param({"role": "reviewer"}, id="the-required-role-missing"),
        pytest.param({"expiresAt": "2026-05-31T23:59:59Z"}, id="expired"),
        pytest.param({"scope": "egress", "endpoint": "api"}, id="another-scope"),
    ],
)
def test_an_approval_that_does_not_fit_does_not_count(change: dict[str, Any]) -> None:
    given = app()
    print_ = compute_fingerprint(given)
    alice = make_approval(given, print_, "alice@example.com")
    good = {"approver": "carol@example.com", "role": "security", "fingerprint": print_}
    fields = good | change
    second = make_approval(given, fields.pop("fingerprint"), fields.pop("approver"), **fields)
    assert pending(given, alice, second) == [Reason.APPROVAL_PENDING]


def test_an_approval_of_another_namespace_does_not_count() -> None:
    given, stranger = app(), make_app(namespace="hr", stage="production")
    forged = make_approval(stranger, compute_fingerprint(given), "alice@example.com")
    assert pending(given, forged, approvals={"reviewers": 1}) == [Reason.APPROVAL_PENDING]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"runtime": {"image": "registry.example.com/x@sha256:" + "b" * 64}}, id="image"),
        pytest.param({"runtime": {"command": ["/bin/sh"]}}, id="command"),
        pytest.param({"runtime": {"env": [{"name": "A", "value": "b"}]}}, id="env"),
        pytest.param({"dataClassification": "public"}, id="classification"),
        pytest.param({"egress": [EGRESS]}, id="egress"),
        pytest.param({"ingress": {"from": [{"microApp": {"namespace": "a", "name": "b"}}]}}, id="ingress"),
        pytest.param({"secrets": [{"name": "db", "path": "a/b"}]}, id="secrets"),
        pytest.param({"riskTier": "medium"}, id="tier"),
    ],
)
def test_a_change_of_what_carries_risk_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert compute_fingerprint(app(**change)) != compute_fingerprint(app())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"description": "another text"}, id="description"),
        pytest.param({"runtime": {"replicas": 2}}, id="replicas"),
        pytest.param({"suspend": True}, id="suspend"),
    ],
)
def test_a_change_that_carries_no_risk_keeps_it(change: dict[str, Any]) -> None:
    assert compute_fingerprint(app(**change)) == compute_fingerprint(app())


def test_each_endpoint_waits_for_its_own_approval() -> None:
    tier = {"egress": {"maxEndpoints": 3, "approvalRequired": True, "expiryRequired": True}}
    given = make_app(egress=[EGRESS, EGRESS | {"name": "other"}])
    print_ = compute_endpoint_fingerprint(given, given.spec.egress[0])
    endless = make_approval(given, print_, "alice@example.com", scope="egress", endpoint="api")
    assert pending(given, endless, **tier) == [Reason.EGRESS_APPROVAL_PENDING] * 2
    until = "2026-07-01T00:00:00Z"
    good = make_approval(given, print_, "alice@example.com", scope="egress", endpoint="api", expiresAt=until)
    verdict = evaluate_approvals(given, make_tier(**tier), [good], NOW)
    assert [f.path for f in verdict.endpoints] == ["spec.egress[1]"]
    assert [name for name, _ in verdict.granted] == ["api"]
    assert verdict.expires == datetime(2026, 7, 1, tzinfo=UTC)


def test_of_two_endpoint_approvals_the_one_that_lasts_longer_counts_whatever_its_time_zone() -> None:
    tier = {"egress": {"maxEndpoints": 3, "approvalRequired": True}}
    given = make_app(egress=[EGRESS])
    print_ = compute_endpoint_fingerprint(given, given.spec.egress[0])
    both = [
        make_approval(given, print_, f"{who}@example.com", scope="egress", endpoint="api", expiresAt=until)
        for who, until in (("late", "2026-07-01T00:00:00-05:00"), ("early", "2026-07-01T03:00:00Z"))
    ]
    verdict = evaluate_approvals(given, make_tier(**tier), both, NOW)
    assert [a.metadata.name for _, a in verdict.granted] == ["by-late"]
