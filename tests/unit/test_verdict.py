"""What violations amount to, and that people get to read all of it."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microapp_operator.policy.catalogue import Effect, Rule, Severity
from microapp_operator.policy.verdict import Verdict, Violation, judge


def rule(name: str = "MA-TST-001", **fields: Any) -> Rule:
    text = {"title": "t", "what": "{name} is wrong.", "why": "y.", "fix": "Rename {name}.", "docs": "d"}
    return Rule.model_validate({"id": name, "severity": Severity.LOW, "tiers": ("high",), **text, **fields})


def violation(name: str = "MA-TST-001", path: str = "spec", /, **fields: Any) -> Violation:
    return Violation(rule(name, **fields), path, {"name": "n"})


texts = st.text(st.characters(codec="utf-8"), max_size=700)
violations = st.builds(
    lambda what, path, value: Violation(rule(what=f"{what} {{name}}"), path, {"name": value}), texts, texts, texts
)


@given(st.lists(violations, max_size=60))
def test_warnings_keep_within_the_limits_of_kubectl(warned: list[Violation]) -> None:
    lines = Verdict(warned=tuple(warned)).warnings()
    assert all(0 < len(line) <= 256 for line in lines)
    assert sum(map(len, lines)) <= 4096
    more = re.fullmatch(r"and (\d+) more warnings", lines[-1]) if lines else None
    shown = lines[:-1] if more else lines
    assert len(shown) + (int(more[1]) if more else 0) == len(warned)
    assert all(line.startswith("[MA-TST-001] ") for line in shown)


def test_a_long_warning_is_marked_as_cut() -> None:
    long = Violation(rule(what="a" * 500), "spec", {})
    (line,) = Verdict(warned=(long,)).warnings()
    assert line.endswith("a…")
    assert "…" not in long.text()


def test_one_warning_too_many_says_how_many_are_left() -> None:
    lines = Verdict(warned=(violation(what="a" * 500),) * 40).warnings()
    assert lines[-1] == f"and {40 - len(lines) + 1} more warnings"


@pytest.mark.parametrize(
    ("tier", "production", "denied"),
    [
        ("high", False, True),
        ("low", False, False),
        ("low", True, True),
        ("", False, True),
        ("a-tier-an-admin-added", False, True),
    ],
)
def test_leniency_is_for_known_tiers_before_production(tier: str, production: bool, denied: bool) -> None:
    verdict = judge([violation()], tier=tier, production=production)
    assert (len(verdict.denied), len(verdict.warned)) == (int(denied), int(not denied))
    assert verdict.allowed is not denied


def test_a_rule_that_warns_denies_nowhere() -> None:
    for tier in ("high", "", "unknown"):
        verdict = judge([violation(effect=Effect.WARN)], tier=tier, production=True)
        assert verdict.allowed
        assert len(verdict.warned) == 1


def test_an_exception_suspends_its_rule_and_no_other() -> None:
    found = [violation("MA-TST-001"), violation("MA-TST-002")]
    verdict = judge(found, tier="high", production=True, suspended=frozenset({"MA-TST-001"}))
    assert [v.rule.id for v in verdict.suspended] == ["MA-TST-001"]
    assert [v.rule.id for v in verdict.denied] == ["MA-TST-002"]
    assert not verdict.warned


def test_no_exception_suspends_a_rule_that_allows_none() -> None:
    verdict = judge([violation(exceptions=False)], tier="high", production=False, suspended=frozenset({"MA-TST-001"}))
    assert len(verdict.denied) == 1
    assert not verdict.suspended


@given(st.permutations([("MA-TST-002", "a"), ("MA-TST-001", "b"), ("MA-TST-001", "a"), ("MA-TST-003", "")]))
def test_the_answer_doesnt_depend_on_the_order_of_the_findings(found: list[tuple[str, str]]) -> None:
    verdict = judge([violation(*each) for each in found], tier="high", production=False)
    assert [(v.rule.id, v.path) for v in verdict.denied] == sorted(found)


def test_every_violation_is_one_line_of_the_message() -> None:
    broken = Violation(rule(), "spec", {"name": "a\nMA-TST-009\r\u2028b\x1b[31m"})
    message = Verdict(denied=(broken, violation())).message()
    first, second = message.split("\n")
    assert (
        first == "[MA-TST-001] spec: a MA-TST-009  b [31m is wrong. Why: y. Fix: Rename a MA-TST-009  b [31m. Docs: d"
    )
    assert second == "[MA-TST-001] spec: n is wrong. Why: y. Fix: Rename n. Docs: d"


def test_a_fault_of_the_whole_object_has_no_path_before_it() -> None:
    assert violation("MA-TST-001", "").what == "n is wrong."
    assert violation("MA-TST-001", "spec.a").what == "spec.a: n is wrong."
