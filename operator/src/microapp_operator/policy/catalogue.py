"""The text of every rule, once: title, what, why, how to fix; and how a violation is put into words."""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

KNOWN_TIERS: Final = frozenset({"low", "medium", "high"})
"""The tiers that ship; of one an admin added a rule can't know how lenient to be."""
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_LONGEST: Final = 300
"""Characters of one value that is quoted from a request."""
Template = tuple[str, ...]
"""A text in pieces: every second one is the name of a placeholder."""


class Severity(StrEnum):
    """How bad a violation is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Effect(StrEnum):
    """What a violation leads to."""

    DENY = "deny"
    WARN = "warn"


class Rule(BaseModel):
    """One rule's metadata, as it stands above its Rego.

    what: one sentence with placeholders in braces, which are fields of the violation.
    tiers: where it denies before production; in production, and in tiers the rule doesn't know, it always denies.
    effect: warn for a rule that never denies. exceptions: False for a rule no Approval can suspend.
    standing: False for a rule about the request (who asks, what changes), which an object as it stands can't break.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=64)]
    title: str
    what: str
    why: str
    fix: str
    docs: str
    severity: Severity
    tiers: tuple[str, ...]
    effect: Effect = Effect.DENY
    exceptions: bool = True
    standing: bool = True

    @cached_property
    def reason(self) -> Template:
        """What stands behind field and fault in a violation's text: why, how to fix it, where to read more."""
        first, *rest = compile_template(self.fix)
        pieces = [f" Why: {self.why} Fix: {first}", *rest]
        return (*pieces[:-1], f"{pieces[-1]} Docs: {self.docs}")

    @cached_property
    def fault(self) -> Template:
        """``what``, compiled."""
        return compile_template(self.what)

    def effect_in(self, tier: str, *, production: bool) -> Effect:
        """Whether a violation denies in ``tier`` (empty outside of apps)."""
        if self.effect is Effect.WARN:
            return Effect.WARN
        lenient = tier in KNOWN_TIERS and tier not in self.tiers and not production
        return Effect.WARN if lenient else Effect.DENY


def fill(text: str, values: Mapping[str, Any]) -> str:
    """``text`` with each {name} replaced by the violation's field of that name; unknown names stay as they are."""
    return fill_template(compile_template(text), values)


def compile_template(text: str) -> Template:
    """``text``, cut at its placeholders once for all violations."""
    return tuple(_PLACEHOLDER.split(text))


def fill_template(template: Template, values: Mapping[str, Any]) -> str:
    """The template's text, filled as ``fill`` does."""
    if len(template) == 1:
        return template[0]
    pieces = list(template)
    for index in range(1, len(pieces), 2):
        name = pieces[index]
        pieces[index] = _words(values[name]) if name in values else f"{{{name}}}"
    return "".join(pieces)


def _words(value: Any) -> str:
    if not isinstance(value, str):
        if isinstance(value, list | tuple):
            return ", ".join(map(_words, value)) or "none"
        if isinstance(value, bool) or value is None:
            return str(value).lower()
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
