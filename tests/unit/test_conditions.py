"""The status contract: one law for Ready and Stalled, one transition time, every reason with a remedy."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import make_app, make_tier

from microapp_operator.compliance import is_told
from microapp_operator.conditions import compute_status
from microapp_operator.decide.decision import Surroundings, evaluate
from microapp_operator.model import MicroAppStatus
from microapp_operator.model.status import NamespaceStatus, PolicyFinding
from microapp_operator.reasons import REMEDIES, ConditionType, Finding, Reason
from microapp_operator.settings import Capabilities
from microapp_operator.view import Scan, View, Workload

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BOUND = NamespaceStatus(name="ma-finance-expenses", uid="u")
REVIEWED = {"approvals": {"reviewers": 1}}


def view(tier: dict[str, Any] | None = None, spec: dict[str, Any] | None = None, **changes: Any) -> View:
    app = make_app(**(spec or {}))
    level = make_tier(**(tier or {}))
    around = Surroundings({level.metadata.name: level}, {}, (), Capabilities(), ())
    defaults: dict[str, Any] = {
        "generation": 3,
        "decision": evaluate(app, level, around, NOW),
        "namespace": BOUND,
        "guarded": True,
        "workload": Workload(Reason.AVAILABLE, "1 of 1 replicas are available."),
    }
    return View(**(defaults | changes))


def conditions(status: MicroAppStatus) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in status.conditions}


def test_all_well_is_ready_and_says_what_is_not_proven() -> None:
    status = compute_status(MicroAppStatus(), view(), NOW)
    assert conditions(status)["Ready"] == ("True", "Reconciled")
    assert conditions(status)["IsolationEnforced"] == ("Unknown", "NoProbe")
    assert "Not proven here: IsolationEnforced (NoProbe)" in status.conditions[0].message


@pytest.mark.parametrize(
    ("given_view", "ready"),
    [
        pytest.param(view(spec={"runtime": {"replicas": 9}}), ("False", "ExceedsTier"), id="exceeds-tier"),
        pytest.param(view(spec={"runtime": {"profile": "wasm"}}), ("False", "RuntimeClassNotFound"), id="no-wasm"),
        pytest.param(view(spec={"runtime": {"profile": "serverless"}}), ("False", "KnativeNotServed"), id="no-knative"),
        pytest.param(
            view(spec={"secrets": [{"name": "db", "path": "a"}]}), ("False", "SecretStoreNotConfigured"), id="secrets"
        ),
        pytest.param(
            view(REVIEWED, {"stage": "production"}, workload=None), ("Unknown", "ApprovalPending"), id="gate-closed"
        ),
        pytest.param(view(spec={"suspend": True}), ("True", "Suspended"), id="suspended"),
        pytest.param(
            view(workload=Workload(Reason.WORKLOAD_PROGRESSING, "0 of 1")),
            ("Unknown", "WorkloadProgressing"),
            id="pods-coming-up",
        ),
        pytest.param(
            view(workload=Workload(Reason.WORKLOAD_PROGRESSING, "x", quota_message="exceeded quota")),
            ("False", "QuotaExceeded"),
            id="quota-blocks",
        ),
        pytest.param(
            view(workload=Workload(Reason.WORKLOAD_UNAVAILABLE, "0 of 1")), ("False", "WorkloadUnavailable"), id="crash"
        ),
        pytest.param(
            view(faults=(Finding(Reason.FOREIGN_NETWORK_POLICY, "", "x"),)),
            ("False", "ForeignNetworkPolicy"),
            id="weakened",
        ),
        pytest.param(
            view(decision=None, progress=Finding(Reason.TERMINATING, "", "x")),
            ("Unknown", "Terminating"),
            id="terminating",
        ),
    ],
)
def test_what_ready_says(given_view: View, ready: tuple[str, str]) -> None:
    status = compute_status(MicroAppStatus(), given_view, NOW)
    said = conditions(status)
    assert said["Ready"] == ready
    assert (said["Ready"][0] == "False") == (said["Stalled"][0] == "True")
    assert not (said["Reconciling"][0] == "True" and said["Stalled"][0] == "True")


FINDINGS = st.lists(st.sampled_from(list(Reason)).map(lambda r: Finding(r, "spec.x", "something")), max_size=7)
REASONS_OF_WORKLOAD = [
    Reason.AVAILABLE,
    Reason.SCALED_TO_ZERO,
    Reason.SUSPENDED,
    Reason.WORKLOAD_PROGRESSING,
    Reason.WORKLOAD_UNAVAILABLE,
]
VIEWS = st.builds(
    view,
    tier=st.sampled_from([{}, REVIEWED, {"egress": {"maxEndpoints": 0}}]),
    spec=st.sampled_from([{}, {"stage": "production"}, {"runtime": {"profile": "wasm"}}, {"suspend": True}]),
    faults=FINDINGS.map(tuple),
    progress=st.none() | st.just(Finding(Reason.RETRYING, "", "x")) | st.just(Finding(Reason.TERMINATING, "", "x")),
    namespace=st.none() | st.just(BOUND),
    guarded=st.booleans(),
    workload=st.none() | st.sampled_from(REASONS_OF_WORKLOAD).map(Workload),
)


@given(VIEWS)
def test_ready_is_false_exactly_when_stalled(any_view: View) -> None:
    said = conditions(compute_status(MicroAppStatus(), any_view, NOW))
    assert (said["Ready"][0] == "False") == (said["Stalled"][0] == "True")
    if said["Ready"][0] == "True":
        assert said["Reconciling"][0] == "False"
    assert set(said) == set(ConditionType)


@given(VIEWS)
def test_the_same_view_later_changes_nothing(any_view: View) -> None:
    first = compute_status(MicroAppStatus(), any_view, NOW)
    assert compute_status(first, any_view, NOW + timedelta(hours=1)) == first


@given(VIEWS, VIEWS)
def test_the_transition_time_moves_with_the_status_only(one: View, other: View) -> None:
    later = NOW + timedelta(hours=1)
    first = compute_status(MicroAppStatus(), one, NOW)
    second = compute_status(first, other, later)
    before = {c.type: c for c in first.conditions}
    for condition in second.conditions:
        old = before[condition.type]
        moved = condition.last_transition_time != old.last_transition_time
        assert moved == (condition.status != old.status)
        assert condition.observed_generation == other.generation


COUNTED = PolicyFinding(rule="MA-NET-001", severity="critical", fail=2)
WARNED = PolicyFinding(rule="MA-IMG-001", severity="high", warn=1)
EXCEPTED = PolicyFinding(rule="MA-SVC-001", severity="high", skip=3)


@pytest.mark.parametrize(
    ("scan", "said"),
    [
        pytest.param(None, ("Unknown", "NotScanned"), id="not-yet"),
        pytest.param(Scan(3), ("True", "PoliciesMet"), id="nothing-found"),
        pytest.param(Scan(3, (COUNTED, WARNED)), ("False", "PolicyViolations"), id="what-would-be-denied"),
        pytest.param(Scan(3, (COUNTED,), not_judged=1), ("False", "PolicyViolations"), id="and-some-not-judged"),
        pytest.param(Scan(3, (WARNED, EXCEPTED)), ("True", "PolicyWarnings"), id="warnings-only"),
        pytest.param(Scan(3, (EXCEPTED,)), ("True", "PoliciesMet"), id="excepted-only"),
        pytest.param(Scan(3, (WARNED,), not_judged=2), ("Unknown", "NotJudged"), id="not-judged"),
    ],
)
def test_what_the_scan_found_informs_and_holds_nothing_up(scan: Scan | None, said: tuple[str, str]) -> None:
    status = compute_status(MicroAppStatus(), view(scan=scan), NOW)
    assert conditions(status)["PolicyCompliant"] == said
    assert conditions(status)["Ready"] == ("True", "Reconciled")
    assert status.policy_findings == (scan.findings if scan else ())


def test_every_rule_and_the_number_of_its_objects_is_in_the_message() -> None:
    status = compute_status(MicroAppStatus(), view(scan=Scan(3, (COUNTED, WARNED, EXCEPTED), ("Pod x: [R] y.",))), NOW)
    message = next(c.message for c in status.conditions if c.type == "PolicyCompliant")
    assert {"MA-NET-001 (2).", "MA-IMG-001 (1).", "MA-SVC-001 (3)."} <= set(re.findall(r"MA-\S+ \(\d+\)\.", message))
    assert message.endswith("Pod x: [R] y.")


def test_a_process_that_has_not_scanned_yet_repeats_what_the_last_one_found() -> None:
    first = compute_status(MicroAppStatus(), view(scan=Scan(3, (COUNTED,))), NOW)
    assert compute_status(first, view(), NOW + timedelta(hours=1)) == first
    edited = compute_status(first, view(generation=4), NOW)
    speaks_of = {c.type: c.observed_generation for c in edited.conditions}
    assert (speaks_of["Ready"], speaks_of["PolicyCompliant"]) == (4, 3)
    assert edited.policy_findings == first.policy_findings


def test_every_reason_has_its_line_in_the_table() -> None:
    assert set(REMEDIES) == set(Reason)


@pytest.mark.parametrize("reason", [r for r in Reason if r in Reason])
def test_remedies_are_sentences(reason: Reason) -> None:
    assert reason.remedy == "" or (reason.remedy[0].isupper() and reason.remedy.endswith("."))


@pytest.mark.parametrize("scan", [Scan(3), Scan(3, (COUNTED, EXCEPTED), ("Pod x: y.",)), Scan(3, (WARNED,), (), 1)])
def test_status_that_says_what_was_found_is_known_to_and_any_other_is_not(scan: Scan) -> None:
    written = compute_status(MicroAppStatus(), view(scan=scan), NOW).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    assert is_told(written, scan)
    assert not is_told({}, scan)
    for other in (
        replace(scan, generation=4),
        replace(scan, not_judged=7),
        replace(scan, findings=(*scan.findings, PolicyFinding(rule="MA-X-1", severity="low", fail=1))),
        replace(scan, examples=("Pod z: y.",)),
    ):
        assert not is_told(written, other)
