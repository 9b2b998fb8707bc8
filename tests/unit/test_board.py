"""What the scan found, counted and put into words: nothing is left out, and the same findings read the same."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.findings import make_judged, make_rule, make_violation

from microapp_operator.model.status import FINDINGS_MAX
from microapp_operator.policy.verdict import Verdict
from microapp_operator.scan.board import OUTCOMES, Board, Home, summarise
from microapp_operator.scan.court import Judged
from microapp_operator.scan.metrics import Findings
from microapp_operator.scan.reports import build_reports

RULES = st.builds(
    make_rule, st.sampled_from([f"MA-TST-{n:03}" for n in range(6)]), st.sampled_from(["critical", "high", "low"])
)
VIOLATIONS = st.lists(st.builds(make_violation, RULES, st.sampled_from(["", "spec", "spec.a"])), max_size=9)
VERDICTS = st.builds(lambda *each: Verdict(*map(tuple, each)), VIOLATIONS, VIOLATIONS, VIOLATIONS)
JUDGED = st.lists(
    st.builds(make_judged, st.sampled_from(["Pod", "Job"]), st.integers(0, 99).map(str), VERDICTS),
    max_size=30,
    unique_by=lambda judged: judged.ref,
)


def by_rule(judged: list[Judged]) -> Counter[tuple[str, str]]:
    """Objects by rule and outcome."""
    return Counter(pair for each in judged for pair in {(v.rule.id, o) for o, v in pairs(each)})


def pairs(judged: Judged) -> list[tuple[str, Any]]:
    verdict = judged.verdict
    groups = zip(OUTCOMES, (verdict.denied, verdict.warned, verdict.suspended), strict=True)
    return [(outcome, violation) for outcome, group in groups for violation in group]


@given(JUDGED)
def test_every_object_is_counted_under_every_rule_that_objects_to_it(judged: list[Judged]) -> None:
    scan = summarise(judged, 1)
    told = {(f.rule, o): getattr(f, o) for f in scan.findings for o in OUTCOMES if getattr(f, o)}
    assert told == by_rule(judged)


@given(JUDGED, st.randoms())
def test_the_order_in_which_objects_are_listed_changes_nothing(judged: list[Judged], random: Any) -> None:
    before = summarise(judged, 1)
    random.shuffle(judged)
    assert summarise(judged, 1) == before


@given(JUDGED)
def test_metrics_and_reports_hold_every_violation(judged: list[Judged]) -> None:
    board = Board()
    board.put("ma-a-b", Home("uid", tuple(judged)))
    violations = [pair for each in judged for pair in pairs(each)]
    series = next(iter(Findings(board).collect())).samples
    assert sum(sample.value for sample in series) == len(violations)
    results = [r for each in judged for report in build_reports(each) for r in report["results"]]
    assert Counter((r["result"], r["message"]) for r in results) == Counter((o, v.text()) for o, v in violations)


def test_a_bundle_of_more_rules_than_status_lists_has_the_rest_summed_up() -> None:
    rules = [make_rule(f"MA-TST-{n:04}") for n in range(FINDINGS_MAX + 50)]
    judged = make_judged("Pod", "p", Verdict(denied=tuple(make_violation(rule) for rule in rules)))
    findings = summarise([judged], 1).findings
    assert len(findings) == FINDINGS_MAX
    assert sum(f.fail for f in findings) == len(rules)
    assert findings[-1].rule == "others"


def test_the_worst_comes_first_and_what_is_excepted_is_no_example() -> None:
    low, critical, suspended = (make_rule(f"MA-TST-00{n}", s) for n, s in enumerate(("low", "critical", "critical")))
    verdict = Verdict((make_violation(low), make_violation(critical)), (), (make_violation(suspended),))
    scan = summarise([make_judged("Pod", "p", verdict)], 7)
    assert [f.rule for f in scan.findings] == ["MA-TST-001", "MA-TST-002", "MA-TST-000"]
    assert [example.split("]")[0] for example in scan.examples] == ["Pod p: [MA-TST-001", "Pod p: [MA-TST-000"]
    assert scan.generation == 7


def test_an_app_is_told_what_is_in_its_own_namespace_only() -> None:
    key, verdict = ("finance", "expenses"), Verdict(denied=(make_violation(make_rule("MA-TST-001")),))
    pod, app = make_judged("Pod", "p", verdict), make_judged("MicroApp", "expenses", Verdict())
    board = Board()
    board.put("ma-finance-expenses", Home("another-uid", (pod,), {key: app}))
    scan = board.scan_of(key, app.uid, "ma-finance-expenses")
    assert scan is not None
    assert scan.findings == ()
    board.put("ma-finance-expenses", Home(app.uid, (pod,), {key: app}))
    scan = board.scan_of(key, app.uid, "ma-finance-expenses")
    assert scan is not None
    assert [f.fail for f in scan.findings] == [1]
    assert board.scan_of(key, "of-its-successor", "ma-finance-expenses") is None
    assert board.scan_of(("finance", "other"), app.uid, "ma-finance-expenses") is None


def test_what_is_not_there_any_more_is_forgotten() -> None:
    verdict = Verdict(denied=(make_violation(make_rule("MA-TST-001")),))
    board = Board()
    for name in ("a", "b"):
        board.put(f"ma-{name}", Home("uid", (make_judged("Pod", name, verdict),)))
    board.put("ma-a", Home())
    assert [j.ref.name for j in board.findings()] == ["b"]
    board.replace({"ma-c": Home("uid", (make_judged("Pod", "c", verdict),))})
    assert [j.ref.name for j in board.findings()] == ["c"]
