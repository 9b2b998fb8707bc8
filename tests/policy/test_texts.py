"""What people read: every violation of every case, in words."""

import re
from typing import Any

from microapp_operator.adapters.rego import RegoEngine
from microapp_operator.policy.groups import GROUPS, group_of
from microapp_operator.policy.verdict import Verdict


def test_every_placeholder_of_every_violation_is_filled(engine: RegoEngine, documents: dict[str, Any]) -> None:
    unfilled, seen = {}, set()
    for name, document in documents.items():
        request = document["request"]
        group = group_of(request["kind"]["kind"], request.get("subResource", ""), request["operation"])
        for violation in engine.evaluate(group, document):
            seen.add(violation.rule.id)
            if left := re.findall(r"\{[a-z_]+\}", violation.text()):
                unfilled[f"{name}: {violation.rule.id}"] = left
    assert not unfilled
    assert seen == set(engine.rules)


def test_no_denial_breaks_its_line_or_is_cut_short(engine: RegoEngine, documents: dict[str, Any]) -> None:
    for document in documents.values():
        violations = engine.evaluate("Pod", document)
        message = Verdict(denied=violations).message()
        assert len(message.splitlines()) == len(violations)
        assert all(f"Docs: {v.rule.docs}" in message for v in violations)


def test_one_text_says_what_its_parts_say(engine: RegoEngine, documents: dict[str, Any]) -> None:
    for document in documents.values():
        for group in GROUPS:
            for violation in engine.evaluate(group, document):
                assert violation.text() == " ".join(violation.parts())
