"""What is said of manifests by the rules that ship: denied, blocked, waiting, unknown."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from hack.samples import app_manifest
from tests.support.offline import NOW, judge_files
from tests.support.samples import make_connector, tier_manifest

from microapp_operator.adapters.rego import RegoEngine, packaged_bundle
from microapp_operator.admission.facts import Rulebook, build_approval_facts
from microapp_operator.cli.bench import RESTS_ON
from microapp_operator.cli.findings import Judged, Level
from microapp_operator.decide.decision import Surroundings, evaluate
from microapp_operator.gates import compute_exception_fingerprint
from microapp_operator.model import Approval, MicroApp, RiskTier, parse
from microapp_operator.model.approval import PolicyException
from microapp_operator.policy.settings import PolicySettings
from microapp_operator.settings import Capabilities

IMAGE = f"registry.example.com/x@sha256:{'a' * 64}"


@pytest.fixture(scope="module")
def engine() -> Iterator[RegoEngine]:
    engine = RegoEngine(packaged_bundle())
    yield engine
    engine.close()


def pod_spec(**spec: Any) -> dict[str, Any]:
    secure = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "web", "image": IMAGE, "securityContext": secure}],
        **spec,
    }


def workload(kind: str, namespace: str = "", **spec: Any) -> dict[str, Any]:
    """A compliant Pod, Deployment or CronJob but for ``spec``, which changes the pod's."""
    pod = pod_spec(**spec)
    version, body = {
        "Pod": ("v1", pod),
        "Deployment": ("apps/v1", {"template": {"spec": pod}}),
        "CronJob": ("batch/v1", {"jobTemplate": {"spec": {"template": {"spec": pod}}}}),
    }[kind]
    metadata = {"name": "web", **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": body}


def namespace_of(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def ours(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "microapps.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def endpoint(**more: Any) -> dict[str, Any]:
    return {"name": "e", "dataClassification": "public", "justification": "x", **more}


def at(level: Level, judged: Judged) -> list[tuple[str, str]]:
    return [(f.rule, f.path) for f in judged.sorted() if f.level is level]


def test_an_app_within_its_tier_is_fine(engine: RegoEngine) -> None:
    (judged,) = judge_files(engine, [app_manifest()])
    assert (judged.findings, judged.unjudged, judged.fails) == ((), "", False)


def test_every_fault_of_the_schema_is_said_with_where_to_look(engine: RegoEngine) -> None:
    (judged,) = judge_files(engine, [app_manifest(riskTyer="low", owner={"team": "a b", "contact": "nobody"})])
    assert at(Level.DENIED, judged) == [
        ("schema", "spec.owner.team"),
        ("schema", "spec.owner.contact"),
        ("schema", "spec.riskTyer"),
    ]
    assert "`kubectl explain microapp.spec.owner.team`" in judged.findings[0].text
    assert not judged.fingerprint


def test_what_breaks_the_schema_is_judged_by_the_rules_all_the_same(engine: RegoEngine) -> None:
    app = app_manifest(owner={"team": "a b", "contact": "a@example.com"})
    del app["spec"]["dataClassification"]
    (judged,) = judge_files(engine, [app])
    assert sorted(at(Level.DENIED, judged)) == [
        ("MA-CLS-001", "spec.dataClassification"),
        ("schema", "spec.dataClassification"),
        ("schema", "spec.owner.team"),
    ]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"apiVersion": "microapps.dev/v1beta1"}, "apiVersion"),
        ({"kind": "Microapp"}, "kind"),
        ({"metadata": {"name": "Has_Capitals", "namespace": "finance"}}, "metadata.name"),
        ({"metadata": {"name": "a" * 53, "namespace": "finance"}}, "metadata.name"),
        ({"metadata": {"name": "a", "namespace": "Finance"}}, "metadata.namespace"),
        ({"metadata": {"name": "a", "namespace": "finance", "labels": {"a": 1}}}, "metadata.labels"),
        ({"metadata": {"name": "a", "namespace": "finance", "annotations": [1]}}, "metadata.annotations"),
        ({"metadata": {"name": 5, "namespace": "finance"}}, "metadata.name"),
        ({"metadata": {"namespace": "finance"}}, "metadata.name"),
        ({"spec": None}, "spec"),
        ({"spec": []}, "spec"),
    ],
)
def test_an_app_that_is_none_is_denied_at_the_field(engine: RegoEngine, change: dict[str, Any], path: str) -> None:
    (judged,) = judge_files(engine, [app_manifest() | change])
    assert ("schema", path) in at(Level.DENIED, judged)


def test_what_a_rule_denies_is_not_said_again_by_the_operator(engine: RegoEngine) -> None:
    (judged,) = judge_files(engine, [app_manifest(runtime={"replicas": 9}, dataClassification="restricted")])
    assert {rule for rule, _ in at(Level.DENIED, judged)} == {"MA-CLS-002", "MA-TIR-002"}
    assert at(Level.BLOCKED, judged) == []


def test_what_only_the_operator_finds_is_said_in_the_words_of_its_condition(engine: RegoEngine) -> None:
    connector = make_connector(cidrs=["10.1.0.0/16"])
    there = [ours("Connector", "ledger", connector.spec.model_dump(mode="json", by_alias=True))]
    settings = PolicySettings(registries=("registry.example.com/",), reserved_networks=("10.0.0.0/8",))
    manifest = app_manifest(egress=[endpoint(connectorRef="ledger")])
    (judged,) = judge_files(engine, [manifest], there=there, settings=settings)
    (found,) = judged.findings
    around = Surroundings({}, {"ledger": connector}, (), Capabilities(), (ip_network("10.0.0.0/8"),), settings)
    (blocked,) = evaluate(parse(MicroApp, manifest), parse(RiskTier, tier_manifest()), around, NOW).blocked
    assert (found.level, found.rule, found.text) == (Level.BLOCKED, "ReservedAddress", blocked.text())


def test_an_app_whose_namespace_is_taken_would_not_run(engine: RegoEngine) -> None:
    namespace, app = judge_files(engine, [namespace_of("ma-finance-expenses"), app_manifest()])
    assert namespace.unjudged
    assert at(Level.BLOCKED, app) == [("NamespaceNotOurs", "metadata.name")]


def test_an_app_that_needs_approvals_says_which_with_their_fingerprints(engine: RegoEngine) -> None:
    tier = tier_manifest("strict", approvals={"reviewers": 1}, egress={"maxEndpoints": 3, "approvalRequired": True})
    app = app_manifest(riskTier="strict", stage="production", egress=[endpoint(cidr="203.0.113.0/24", port=443)])
    (judged,) = judge_files(engine, [app], there=[tier])
    assert at(Level.WAITS, judged) == [("ApprovalPending", "spec.stage"), ("EgressApprovalPending", "spec.egress[0]")]
    assert judged.fingerprint in next(f.text for f in judged.findings if f.rule == "ApprovalPending")
    assert not judged.fails


def test_the_fingerprint_is_that_of_operator_and_admission(engine: RegoEngine) -> None:
    manifest = app_manifest("expense-helper", stage="production", runtime={"replicas": 1})
    (judged,) = judge_files(engine, [manifest])
    app, tier = parse(MicroApp, manifest), parse(RiskTier, tier_manifest())
    assert judged.fingerprint == evaluate(app, tier, Surroundings({}, {}, (), Capabilities(), ()), NOW).fingerprint
    spec = {"microApp": "expense-helper", "scope": "release", "replicas": 1, "tier": "low", "tierGeneration": 1}
    given = {"policyDigest": "0" * 64, "fingerprint": "0" * 64, "justification": "x", "approver": "a"}
    approval = parse(Approval, ours("Approval", "a", {**spec, **given, "approverIdentities": ["user:a"]}))
    book = Rulebook(engine.digest, engine.rules, PolicySettings())
    facts = build_approval_facts({"username": "a"}, approval, app, {}, book)
    assert facts["wanted"]["fingerprint"] == [judged.fingerprint]


def test_a_default_spelled_out_has_the_same_fingerprint(engine: RegoEngine) -> None:
    spelled = app_manifest(stage="sandbox", runtime={"port": 8080, "profile": "container"}, egress=[], suspend=False)
    one, other = (judge_files(engine, [m])[0].fingerprint for m in (app_manifest(), spelled))
    assert one == other
    assert len(one) == 64


def test_without_a_namespace_there_is_no_fingerprint_and_that_is_said(engine: RegoEngine) -> None:
    app = app_manifest(stage="production", riskTier="medium")
    del app["metadata"]["namespace"]
    (judged,) = judge_files(engine, [app])
    assert judged.fingerprint == ""
    assert at(Level.UNKNOWN, judged) == [("schema", "metadata.namespace")]
    assert at(Level.WAITS, judged) == []


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "CronJob"])
def test_a_workload_of_nobody_knows_which_app_is_judged_as_that_of_an_app(engine: RegoEngine, kind: str) -> None:
    prefix = {"Pod": "", "Deployment": "spec.template.", "CronJob": "spec.jobTemplate.spec.template."}[kind]
    fine, wrong = judge_files(
        engine, [workload(kind), workload(kind, hostNetwork=True, automountServiceAccountToken=True)]
    )
    assert fine.findings == ()
    assert sorted(at(Level.DENIED, wrong)) == [
        ("MA-PSS-002", f"{prefix}spec.hostNetwork"),
        ("MA-SAT-001", f"{prefix}spec.automountServiceAccountToken"),
    ]


def test_a_workload_in_the_namespace_of_a_given_app_is_judged_by_its_tier(engine: RegoEngine) -> None:
    tagged = workload("Deployment", "ma-finance-expenses", runtimeClassName="gvisor")
    tagged["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/x:1"
    _, judged = judge_files(engine, [app_manifest(), tagged])
    assert at(Level.WARNED, judged) == [("MA-IMG-001", "spec.template.spec.containers[0].image")]
    assert at(Level.DENIED, judged) == [("MA-RUN-001", "spec.template.spec.runtimeClassName")]


def test_a_workload_where_admission_is_not_asked_is_not_judged(engine: RegoEngine) -> None:
    _, judged = judge_files(engine, [namespace_of("web", team="x"), workload("Pod", "web", hostNetwork=True)])
    assert "namespace web isn't that of an app" in judged.unjudged


def test_an_app_in_a_namespace_with_assumed_pods_is_judged_as_before(engine: RegoEngine) -> None:
    pod, app = judge_files(engine, [workload("Pod", "finance", hostPID=True), app_manifest()])
    assert pod.fails
    assert app.findings == ()


def test_what_was_not_told_is_unknown_and_neither_fine_nor_denied(engine: RegoEngine) -> None:
    strange = f"ghcr.example.org/x@sha256:{'a' * 64}"
    app = app_manifest(runtime={"image": strange}, egress=[endpoint(connectorRef="ledger")])
    pod = workload("Pod", runtimeClassName="gvisor")
    judged, classed = judge_files(engine, [app, pod], settings=PolicySettings(), told=False)
    assert sorted(at(Level.UNKNOWN, judged)) == [
        ("MA-CON-001", "spec.egress[0].connectorRef"),
        ("MA-IMG-002", "spec.runtime.image"),
    ]
    assert ("MA-RUN-001", "spec.runtimeClassName") in at(Level.UNKNOWN, classed)
    assert not judged.fails
    assert not classed.fails


def test_what_was_told_is_denied(engine: RegoEngine) -> None:
    there = [ours("Connector", "other", make_connector().spec.model_dump(mode="json", by_alias=True))]
    app = app_manifest(
        runtime={"image": f"ghcr.example.org/x@sha256:{'a' * 64}"}, egress=[endpoint(connectorRef="ledger")]
    )
    (judged,) = judge_files(engine, [app], there=there)
    assert {rule for rule, _ in at(Level.DENIED, judged)} == {"MA-IMG-002", "MA-CON-001"}


def test_the_rules_that_rest_on_something_are_rules(engine: RegoEngine) -> None:
    assert set(RESTS_ON) <= set(engine.rules)


def test_a_tenant_holds_as_many_apps_as_it_may_in_the_order_of_the_files(engine: RegoEngine) -> None:
    tenant = ours("Tenant", "finance", {"namespaces": ["finance"], "tiers": ["low"], "maxApps": 2})
    files = [app_manifest(name) for name in ("a", "b", "c")]
    there = [tenant, app_manifest("a")]
    assert [at(Level.DENIED, j) for j in judge_files(engine, files, there=there)] == [
        [],
        [],
        [("MA-TEN-001", "metadata.namespace")],
    ]


def test_a_finding_tells_the_fingerprint_of_an_exception_from_its_rule(engine: RegoEngine) -> None:
    image = f"ghcr.example.org/x@sha256:{'a' * 64}"
    (judged,) = judge_files(engine, [app_manifest(runtime={"image": image, "replicas": 3})])
    found = {f.rule: f.exception for f in judged.findings}
    wanted = {"rule": "MA-IMG-002", "object": {"kind": "MicroApp", "name": "expenses"}, "compensatingControl": "x"}
    exception = PolicyException.model_validate(wanted)
    assert found["MA-IMG-002"] == compute_exception_fingerprint("finance", "expenses", "low", exception)


def test_an_approval_as_a_person_writes_it_is_fine_and_tells_the_fingerprint_it_needs(engine: RegoEngine) -> None:
    wanted = {"rule": "MA-IMG-002", "object": {"kind": "MicroApp", "name": "expenses"}, "compensatingControl": "x"}
    spec = {"microApp": "expenses", "scope": "exception", "exception": wanted, "tier": "low", "tierGeneration": 1}
    given = {
        "policyDigest": "0" * 64,
        "fingerprint": "0" * 64,
        "justification": "x",
        "expiresAt": "2026-02-01T00:00:00Z",
    }
    approval = ours("Approval", "a", spec | given)
    approval["metadata"]["namespace"] = "finance"
    (judged,) = judge_files(engine, [approval])
    exception = PolicyException.model_validate(wanted)
    assert judged.findings == ()
    assert judged.fingerprint == compute_exception_fingerprint("finance", "expenses", "low", exception)


def test_an_object_the_api_server_would_find_too_large_is_denied(engine: RegoEngine) -> None:
    (judged,) = judge_files(engine, [workload("Pod", nodeName="x" * (3 * 2**20))])
    assert "larger than 3 MiB" in judged.findings[0].text


def test_a_number_beyond_64_bits_is_denied(engine: RegoEngine) -> None:
    (judged,) = judge_files(engine, [workload("Pod", priority=2**70)])
    assert "can't be written as JSON" in judged.findings[0].text
