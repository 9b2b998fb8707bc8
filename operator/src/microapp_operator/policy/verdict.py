"""What violations amount to: denied, warned or suspended by an exception, and the words for it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

from microapp_operator.policy.catalogue import Effect, Rule, fill, fill_template

WARNING_MAX: Final = 240
"""Characters; kubectl may cut a warning beyond 256 (Kubernetes, extensible admission controllers)."""
_WARNINGS_MAX: Final = 3800
"""Characters of all warnings of one response; beyond 4096 the API server drops the rest."""
_ORDER: Final = attrgetter("rule.id", "path")


class Violation(NamedTuple):
    """One thing a rule objects to: the rule, the field at fault, and the values its text quotes.

    A tuple, because a frozen dataclass takes three times as long to make, and an answer may hold hundreds.
    """

    rule: Rule
    path: str
    values: Mapping[str, Any]

    @property
    def what(self) -> str:
        """Field and fault, in one sentence."""
        what = fill_template(self.rule.fault, self.values)
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
        """All parts in one: the text for denial, condition and command line."""
        return f"[{self.rule.id}] {self.what}{fill_template(self.rule.reason, self.values)}"

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
    denied: list[Violation] = []
    warned: list[Violation] = []
    excepted: list[Violation] = []
    shelves: dict[str, list[Violation]] = {}
    for violation in sorted(violations, key=_ORDER):
        rule = violation.rule
        shelf = shelves.get(rule.id)
        if shelf is None:
            denies = rule.effect_in(tier, production=production) is Effect.DENY
            shelf = excepted if rule.exceptions and rule.id in suspended else denied if denies else warned
            shelves[rule.id] = shelf
        shelf.append(violation)
    return Verdict(tuple(denied), tuple(warned), tuple(excepted))
