"""The text of every rule, once: title, what, why, how to fix; and how a violation is put into words."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

KNOWN_TIERS: Final = frozenset({"low", "medium", "high"})
"""The tiers that ship; of one an admin added a rule can't know how lenient to be."""
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_LONGEST: Final = 300
"""Characters of one value that is quoted from a request."""


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

    def effect_in(self, tier: str, *, production: bool) -> Effect:
        """Whether a violation denies in ``tier`` (empty outside of apps)."""
        if self.effect is Effect.WARN:
            return Effect.WARN
        lenient = tier in KNOWN_TIERS and tier not in self.tiers and not production
        return Effect.WARN if lenient else Effect.DENY


def fill(text: str, values: Mapping[str, Any]) -> str:
    """``text`` with each {name} replaced by the violation's field of that name; unknown names stay as they are."""
    return _PLACEHOLDER.sub(lambda m: _words(values[m[1]]) if m[1] in values else m[0], text)


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "none"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
