"""What violations amount to: denied, warned or suspended by an exception, and the words for it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from microapp_operator.policy.catalogue import Effect, Rule, fill

WARNING_MAX: Final = 240
"""Characters; kubectl may cut a warning beyond 256 (Kubernetes, extensible admission controllers)."""
_WARNINGS_MAX: Final = 3800
"""Characters of all warnings of one response; beyond 4096 the API server drops the rest."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing a rule objects to: the rule, the field at fault, and the values its text quotes."""

    rule: Rule
    path: str
    values: Mapping[str, Any]

    @property
    def what(self) -> str:
        """Field and fault, in one sentence."""
        what = fill(self.rule.what, self.values)
        return f"{self.path}: {what}" if self.path else what

    def parts(self) -> tuple[str, ...]:
        """What, why, how to fix it and where to read more, each by itself."""
        rule = self.rule
        return (
            f"[{rule.id}] {self.what}",
            f"Why: {rule.why}",
            f"Fix: {fill(rule.fix, self.values)}",
            f"Docs: {rule.docs}",
        )

    def text(self) -> str:
        """All of that: the one text for denial, condition and command line."""
        return " ".join(self.parts())

    def warning(self) -> str:
        """The same, as short as a warning has to be."""
        text = f"[{self.rule.id}] {self.what}"
        return text if len(text) <= WARNING_MAX else f"{text[: WARNING_MAX - 1]}…"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request. allowed when nothing is denied."""

    denied: tuple[Violation, ...] = ()
    warned: tuple[Violation, ...] = ()
    suspended: tuple[Violation, ...] = ()

    @property
    def allowed(self) -> bool:
        """Nothing stands against it."""
        return not self.denied

    def message(self) -> str:
        """All denials, one a line."""
        return "\n".join(v.text() for v in self.denied)

    def warnings(self) -> list[str]:
        """What is objected to without a denial; cut so that all of it is shown."""
        lines: list[str] = []
        room = _WARNINGS_MAX
        for index, violation in enumerate(self.warned):
            line = violation.warning()
            if room < len(line):
                lines.append(f"and {len(self.warned) - index} more warnings")
                break
            lines.append(line)
            room -= len(line)
        return lines


def judge(
    violations: Sequence[Violation], *, tier: str, production: bool, suspended: frozenset[str] = frozenset()
) -> Verdict:
    """Sort ``violations`` by what they lead to in ``tier`` (empty outside of apps).

    suspended: ids of the rules an approved exception suspends for this very object; a rule that allows no
    exception stays in force.
    """
    denied, warned, excepted = [], [], []
    for violation in sorted(violations, key=lambda v: (v.rule.id, v.path)):
        if violation.rule.exceptions and violation.rule.id in suspended:
            excepted.append(violation)
        elif violation.rule.effect_in(tier, production=production) is Effect.DENY:
            denied.append(violation)
        else:
            warned.append(violation)
    return Verdict(tuple(denied), tuple(warned), tuple(excepted))
