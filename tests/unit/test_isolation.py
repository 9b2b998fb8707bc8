"""The verdict over all nodes, what a probe is told to try, and what it may answer."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import make_app, make_tier

from microapp_operator.conditions import compute_status
from microapp_operator.decide.decision import Surroundings, evaluate
from microapp_operator.decide.isolation import Isolation, NodeProbe, judge_nodes
from microapp_operator.desired.plan import build_plan
from microapp_operator.desired.probe import TargetPod, build_probe_pod, build_targets
from microapp_operator.model import MicroAppStatus
from microapp_operator.probe.wire import Report, read_report, read_targets, write_report
from microapp_operator.reasons import Reason
from microapp_operator.settings import Capabilities, Images, ProbeSettings
from microapp_operator.view import View

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PATIENCE = timedelta(minutes=3)
GOOD, LEAKY = NodeProbe(NOW), NodeProbe(NOW, leaks=("the API server",))
LEAK = Isolation(Reason.LEAK_DETECTED, "From node a a fresh pod reaches what it must not: the API server.")
NAMES = st.tuples(st.text(max_size=40), st.text(max_size=40))


@pytest.mark.parametrize(
    ("probes", "reason", "said"),
    [
        pytest.param({"a": GOOD, "b": GOOD}, Reason.PROBE_PASSED, "On 2 nodes", id="all good"),
        pytest.param({"a": GOOD, "b": LEAKY}, Reason.LEAK_DETECTED, "node b", id="one leak counts for all"),
        pytest.param({"a": None, "b": LEAKY}, Reason.LEAK_DETECTED, "node b", id="a leak outweighs what is unknown"),
        pytest.param({"a": GOOD, "b": None}, Reason.PROBE_INCONCLUSIVE, "b: not probed yet", id="not looked yet"),
        pytest.param({}, Reason.PROBE_INCONCLUSIVE, "no node", id="nowhere to look"),
        pytest.param(
            {"a": NodeProbe(NOW - timedelta(minutes=4))}, Reason.PROBE_INCONCLUSIVE, "too old", id="an old report"
        ),
        pytest.param(
            {"a": NodeProbe(NOW, unreached=("x, TCP, allowed",))},
            Reason.PROBE_INCONCLUSIVE,
            "control failed: no answer from x",
            id="silence without a control proves nothing",
        ),
        pytest.param(
            {"a": NodeProbe(NOW, failure="ImagePullBackOff")},
            Reason.PROBE_INCONCLUSIVE,
            "ImagePullBackOff",
            id="no pod",
        ),
        pytest.param(
            {"a": NodeProbe(NOW - timedelta(hours=1), leaks=("x",))}, Reason.LEAK_DETECTED, "x", id="a leak doesn't age"
        ),
    ],
)
def test_the_worst_node_speaks_for_the_cluster(probes: dict[str, NodeProbe], reason: Reason, said: str) -> None:
    verdict = judge_nodes(probes, NOW, PATIENCE)
    assert verdict.reason is reason
    assert said in verdict.message


def test_the_same_findings_make_the_same_verdict_whatever_the_time() -> None:
    later = NOW + timedelta(minutes=1)
    again = judge_nodes({"b": NodeProbe(later), "a": NodeProbe(later)}, later, PATIENCE)
    assert judge_nodes({"a": GOOD, "b": GOOD}, NOW, PATIENCE) == again


def test_many_bad_nodes_make_a_short_message() -> None:
    verdict = judge_nodes({f"n{i:03}": LEAKY for i in range(500)}, NOW, PATIENCE)
    assert "And on 497 more nodes." in verdict.message
    assert len(verdict.message) < 1000


def test_a_probe_tries_a_pod_here_and_one_elsewhere_and_what_no_app_may_reach() -> None:
    pods = (TargetPod("b", ("10.0.1.1", "fd00::1")), TargetPod("c", ("10.0.2.1",)), TargetPod("a", ("10.0.0.1",)))
    targets = build_targets("b", pods, (("203.0.113.9", 443),))
    assert {(t.address, t.port, t.protocol) for t in targets if t.open} == {
        (address, 8080, protocol) for address in ("10.0.1.1", "fd00::1", "10.0.2.1") for protocol in ("TCP", "UDP")
    }
    closed = {(t.address, t.port, t.protocol) for t in targets if not t.open}
    assert closed >= {(a, p, "TCP") for a in ("10.0.1.1", "fd00::1", "10.0.2.1") for p in (8081, 8082)}
    assert closed >= {("169.254.169.254", 80, "TCP"), ("203.0.113.9", 443, "TCP"), ("10.0.1.1", 8081, "UDP")}
    assert {"the API server", "the node's kubelet"} < {t.name for t in targets}
    assert len({t.name for t in targets}) == len(targets)


def test_what_the_kubelet_fills_in_is_read_as_a_number() -> None:
    settings = ProbeSettings("registry.example.com/operator@sha256:" + "a" * 64, "microapp-probe")
    pod = build_probe_pod("a", build_targets("a", (), ()), settings)
    env = {e["name"]: e.get("value", "") for e in pod["spec"]["containers"][0]["env"]}
    filled = env["PROBE_TARGETS"].replace("$(KUBERNETES_SERVICE_HOST)", "10.96.0.1")
    filled = filled.replace("$(KUBERNETES_SERVICE_PORT)", "443").replace("$(NODE_ADDRESS)", "10.1.0.1")
    assert ("10.96.0.1", 443) in {(t.address, t.port) for t in read_targets(filled)}


@given(st.lists(NAMES, max_size=200), st.lists(NAMES, max_size=200), st.none() | st.floats(0, 100))
def test_a_report_fits_the_termination_message_and_never_loses_that_there_was_a_leak(
    leaks: list[tuple[str, str]], unreached: list[tuple[str, str]], after: float | None
) -> None:
    report = Report(tuple(" ".join(x) for x in leaks), tuple(" ".join(x) for x in unreached), after)
    text = write_report(report)
    assert len(text.encode()) <= 4096
    back = read_report(text)
    assert back is not None
    assert (bool(back.leaks), bool(back.unreached)) == (bool(leaks), bool(unreached))


@given(
    st.text()
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
        json.dumps
    )
)
def test_other_words_are_no_report(text: str) -> None:
    report = read_report(text)
    assert report is None or isinstance(report, Report)


def test_a_leak_withholds_the_workload_only_where_the_tier_asks_for_proof() -> None:
    for required in (False, True):
        tier = make_tier(isolation={"required": required})
        around = Surroundings({"low": tier}, {}, (), Capabilities(), (), isolation=LEAK)
        decision = evaluate(make_app(), tier, around, NOW)
        plan = build_plan(decision.app, tier, decision.context())
        assert bool(plan.workload) is not required
        assert plan.guardrails
        status = compute_status(MicroAppStatus(), View(1, decision, guarded=True), NOW)
        told = {c.type: c for c in status.conditions}
        assert (told["IsolationEnforced"].status, told["IsolationEnforced"].reason) == ("False", "LeakDetected")
        assert ("Nothing is started" in told["IsolationEnforced"].message) is required
        assert (told["Ready"].status, told["Stalled"].status) == ("False", "True")


def test_proof_is_shown_and_doubt_is_not_a_fault() -> None:
    tier = make_tier(isolation={"required": True})
    for isolation, status in (
        (Isolation(Reason.PROBE_PASSED, "On 1 node …"), "True"),
        (Isolation(Reason.PROBE_INCONCLUSIVE, "…"), "Unknown"),
    ):
        around = Surroundings({"low": tier}, {}, (), Capabilities(), (), isolation=isolation)
        decision = evaluate(make_app(), tier, around, NOW)
        assert decision.context().runtime is not None
        told = {c.type: c for c in compute_status(MicroAppStatus(), View(1, decision), NOW).conditions}
        assert told["IsolationEnforced"].status == status
        assert told["Stalled"].status == "False"


def test_another_gate_image_is_another_rendering() -> None:
    tier = make_tier()
    hashes = {
        evaluate(
            make_app(), tier, Surroundings({"low": tier}, {}, (), Capabilities(), (), images=Images(gate=image)), NOW
        ).inputs_hash()
        for image in ("", "a@sha256:1", "a@sha256:2")
    }
    assert len(hashes) == 3
