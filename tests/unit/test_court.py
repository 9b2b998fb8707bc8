"""One object as it stands: what is about the request left out, exceptions honoured until they end, nothing raised."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from tests.support.reviews import HOME, request_of, small_cluster
from tests.support.samples import make_app, make_approval, make_tier

from microapp_operator.adapters.kubernetes.kinds import JUDGED
from microapp_operator.adapters.rego import RegoEngine, packaged_bundle
from microapp_operator.constants import LABEL_APP, LABEL_TENANT, LABEL_TIER
from microapp_operator.errors import PolicyFailure
from microapp_operator.gates import GateInput, compute_exception_fingerprint
from microapp_operator.model import Manifest
from microapp_operator.model.approval import PolicyException
from microapp_operator.policy.groups import KIND_GROUPS
from microapp_operator.policy.settings import PolicySettings
from microapp_operator.policy.standing import can_run
from microapp_operator.policy.verdict import Violation
from microapp_operator.scan.court import Court, Judged

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EVERYBODY = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}


@pytest.fixture(scope="module")
def court() -> Court:
    known = small_cluster()
    known.namespaces[HOME] = {**known.namespaces[HOME], LABEL_TIER: "low"}
    known.apps["finance"] = {f"app{n}" for n in range(100)}
    return Court(RegoEngine(packaged_bundle()), known, {}, NOW)


def stored(base: str, **fields: Any) -> Manifest:
    """The object of one of the rules' bases as the API server has it."""
    request = request_of(base)
    kind, subject = request["kind"], request["object"]
    subject["metadata"] |= {"uid": "u", "namespace": request["namespace"], "name": request["name"]}
    version = f"{kind['group']}/{kind['version']}".lstrip("/")
    return {**subject, **fields, "apiVersion": version, "kind": kind["kind"]}


def rules(violations: tuple[Violation, ...]) -> set[str]:
    return {v.rule.id for v in violations}


def test_a_pod_that_is_fine_is_clean_whoever_made_it(court: Court) -> None:
    # Nobody but the operator may write here (MA-GRD-001), but that is said of requests, not of what is there.
    assert court.judge(stored("pod")).clean


def test_a_violation_reads_as_its_denial(court: Court) -> None:
    pod = stored("pod")
    pod["spec"]["hostNetwork"] = True
    verdict = court.judge(pod).verdict
    assert rules(verdict.denied) == {"MA-PSS-002"}
    assert verdict.denied[0].text().startswith("[MA-PSS-002] spec.hostNetwork: ")


def test_what_counts_against_one_more_does_not_count_against_one_that_is_there(court: Court) -> None:
    app = stored("microapp")
    app["spec"]["egress"] = []
    assert court.judge(app).clean  # though its tenant has the hundred apps it may have


def test_an_object_outside_of_apps_is_asked_what_every_object_is_asked(court: Court) -> None:
    binding = {**stored("role_binding"), "subjects": [EVERYBODY]}
    assert rules(court.judge(binding).verdict.denied) == {"MA-TEN-004"}
    binding["metadata"]["namespace"] = "elsewhere"
    assert court.judge(binding).clean


def with_exception(
    court: Court, kind: str, name: str, ends: datetime, *, approver: str = "bob@example.com", **approval: Any
) -> Court:
    """The court, once somebody approved that the app in the court's namespace breaks MA-TEN-004 with one object."""
    app, tier = make_app("expense-helper", "finance"), make_tier("low")
    named = {"rule": "MA-TEN-004", "object": {"kind": kind, "name": name}, "compensatingControl": "looked at"}
    exception = PolicyException.model_validate(named)
    fingerprint = compute_exception_fingerprint("finance", "expense-helper", "low", exception)
    until = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    spec = {"scope": "exception", "exception": named, "expiresAt": until, **approval}
    given = make_approval(app, spec.pop("fingerprint", fingerprint), approver, **spec)
    gate = GateInput(app, tier, [given], PolicySettings(), "d" * 64)
    labels = court.known.namespaces[HOME]
    return replace(court, gates={(labels[LABEL_TENANT], labels[LABEL_APP]): gate})


TOMORROW = NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("kind", "name", "more", "suspended"),
    [
        pytest.param("RoleBinding", "wide", {}, True, id="for-this-object"),
        pytest.param("MicroApp", "expense-helper", {}, False, id="for-the-app-which-did-not-render-it"),
        pytest.param("RoleBinding", "other", {}, False, id="for-another-object"),
        pytest.param("RoleBinding", "wide", {"approver": "finance-ops@example.com"}, False, id="by-the-apps-contact"),
        pytest.param("RoleBinding", "wide", {"tier": "high"}, False, id="in-another-tier"),
        pytest.param("RoleBinding", "wide", {"fingerprint": "0" * 64}, False, id="for-something-else"),
    ],
)
def test_an_exception_suspends_what_it_was_approved_for(
    court: Court, kind: str, name: str, more: dict[str, str], suspended: bool
) -> None:
    verdict = with_exception(court, kind, name, TOMORROW, **more).judge(wide()).verdict
    assert bool(verdict.suspended) == suspended
    assert bool(verdict.denied) != suspended


def wide() -> Manifest:
    binding = {**stored("role_binding"), "subjects": [EVERYBODY]}
    binding["metadata"] = {"name": "wide", "namespace": HOME, "uid": "u"}
    return binding


def test_an_exception_that_has_ended_suspends_nothing(court: Court) -> None:
    excepted = with_exception(court, "RoleBinding", "wide", TOMORROW)
    assert excepted.judge(wide()).verdict.suspended
    assert replace(excepted, now=TOMORROW - timedelta(seconds=1)).judge(wide()).verdict.suspended
    assert replace(excepted, now=TOMORROW).judge(wide()).verdict.denied


class Failing:
    """Rules that give no answer."""

    def decide(self, _group: str, _document: Manifest) -> tuple[str, tuple[Violation, ...]]:
        raise PolicyFailure("no answer within 1 s.")


def test_an_object_the_rules_give_no_answer_about_is_told_of_not_passed_over(court: Court) -> None:
    judged = replace(court, engine=cast(RegoEngine, Failing())).judge(stored("pod"))
    assert (judged.clean, judged.error) == (False, "no answer within 1 s.")


@pytest.mark.parametrize(
    "broken", [{"spec": []}, {"spec": {"containers": "none"}}, {"spec": {"n": 2**80}}, {"spec": None}]
)
def test_an_object_that_is_none_ends_no_scan(court: Court, broken: Any) -> None:
    for base in ("pod", "deployment", "network_policy", "role_binding", "service", "service_account", "microapp"):
        assert isinstance(court.judge(stored(base, spec=broken)), Judged)


def failed(status: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Failed", "status": status}]}


ENDED = {"status": {"phase": "Succeeded"}}
OWNED = {"name": "r", "namespace": HOME, "ownerReferences": [{"kind": "Deployment", "name": "d"}]}


@pytest.mark.parametrize(
    ("manifest", "runs"),
    [
        pytest.param({"kind": "Pod", "status": {"phase": "Running"}}, True, id="a-running-pod"),
        pytest.param({"kind": "Pod"}, True, id="a-pod-about-to-start"),
        pytest.param({"kind": "Pod", **ENDED}, False, id="a-pod-that-ended"),
        pytest.param(
            {"kind": "Job", "status": {"conditions": [{"type": "Failed", "status": "True"}]}}, False, id="job"
        ),
        pytest.param(
            {"kind": "Job", "status": {"conditions": [{"type": "Failed", "status": "False"}]}}, True, id="retried"
        ),
        pytest.param({"kind": "ReplicaSet", "metadata": OWNED, "spec": {"replicas": 0}}, False, id="history"),
        pytest.param({"kind": "ReplicaSet", "metadata": OWNED, "spec": {"replicas": 1}}, True, id="a-deployments"),
        pytest.param({"kind": "ReplicaSet", "metadata": {}, "spec": {"replicas": 0}}, True, id="somebodys-own"),
        pytest.param({"kind": "Service"}, True, id="what-does-not-run-at-all"),
    ],
)
def test_what_has_ended_is_not_looked_at(manifest: Manifest, runs: bool) -> None:
    assert can_run(manifest) is runs


def test_every_kind_that_rules_judge_as_it_stands_is_listed() -> None:
    groups = ("Pod", "NetworkPolicy", "RoleBinding", "Service", "ServiceAccount")
    assert {kind.kind for kind in JUDGED} == {kind for kind, group in KIND_GROUPS.items() if group in groups}
