"""The words of a violation: values come from strangers' requests."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from microapp_operator.policy.catalogue import Effect, Rule, fill

METADATA = {
    "id": "MA-TST-001",
    "title": "t",
    "what": "w.",
    "why": "y.",
    "fix": "f.",
    "docs": "d",
    "severity": "high",
    "tiers": ["low"],
}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("plain", "plain"),
        (["a", "b"], "a, b"),
        (("a", ["b", 1]), "a, b, 1"),
        ([], "none"),
        (True, "true"),
        (None, "none"),
        (0, "0"),
        ("", ""),
        ("two\nlines\tand \x1b[2J", "two lines and  [2J"),
        ("\u202etxt.exe", " txt.exe"),
        ("x" * 301, "x" * 300 + "…"),
        ("x" * 300, "x" * 300),
    ],
)
def test_values_are_put_into_words(value: Any, words: str) -> None:
    assert fill("{value}", {"value": value}) == words


def test_a_value_cannot_bring_placeholders_of_its_own() -> None:
    assert fill("{a} and {b}", {"a": "{b}", "b": "{a}"}) == "{b} and {a}"


def test_an_unknown_placeholder_stays_so_that_it_is_seen() -> None:
    assert fill("{nobody} {A} {} {a}", {"a": "x", "A": "y"}) == "{nobody} {A} {} x"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(json_values)
def test_no_value_breaks_a_line_or_the_rule_text(value: Any) -> None:
    text = fill("before {value} after", {"value": value})
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert text.isprintable()


@pytest.mark.parametrize(
    "change",
    [
        {"effect": "audit"},
        {"severity": "worst"},
        {"exception": False},
        {"tiers": "low"},
        {"title": None},
        {"id": 5},
    ],
)
def test_metadata_with_a_slip_is_no_rule(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        Rule.model_validate(METADATA | change)


@pytest.mark.parametrize("field", sorted(METADATA))
def test_metadata_without_a_text_is_no_rule(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Rule.model_validate({k: v for k, v in METADATA.items() if k != field})


def test_a_rule_denies_unless_it_says_otherwise() -> None:
    rule = Rule.model_validate(METADATA)
    assert (rule.effect, rule.exceptions) == (Effect.DENY, True)
    assert Rule.model_validate(METADATA | {"tiers": []}).effect_in("high", production=True) is Effect.DENY
