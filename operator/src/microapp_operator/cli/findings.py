"""What ``validate`` has to say, before it is put into a format."""

from dataclasses import dataclass
from enum import StrEnum

from microapp_operator.cli.manifests import Located


class Level(StrEnum):
    """What follows from a finding, the worst first.

    denied: the API server or admission refuses the object. blocked: the operator would not run it.
    warned: let in with a warning. waits: for an approval. excepted: an approved exception suspends the rule.
    unknown: the files don't tell.
    """

    DENIED = "denied"
    BLOCKED = "blocked"
    WARNED = "warned"
    WAITS = "waits"
    EXCEPTED = "excepted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about an object.

    rule: id of a rule, reason of a condition, or ``SCHEMA``. path: the field at fault, empty for the whole object.
    parts: the sentences, which make up the text of denial or condition.
    exception: fingerprint of an Approval that would suspend the rule for this object; empty where none can.
    """

    level: Level
    rule: str
    path: str
    line: int
    parts: tuple[str, ...]
    exception: str = ""

    @property
    def text(self) -> str:
        """The text of the denial or condition."""
        return " ".join(self.parts)


SCHEMA = "schema"
"""Stands for the rule where the API server itself refuses what doesn't fit the schema."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One object and what was found.

    unjudged: why admission is never asked about it; empty when it is.
    fingerprint: what an Approval of it has to name; of a MicroApp, or of an exception.
    """

    subject: Located
    findings: tuple[Finding, ...] = ()
    unjudged: str = ""
    fingerprint: str = ""

    def sorted(self) -> tuple[Finding, ...]:
        """The findings, the worst first, in the order of the file."""
        rank = list(Level)
        return tuple(sorted(self.findings, key=lambda f: (rank.index(f.level), f.line)))

    @property
    def levels(self) -> frozenset[Level]:
        """All that follows from the findings."""
        return frozenset(f.level for f in self.findings)

    @property
    def fails(self) -> bool:
        """It would be denied, or not be run."""
        return bool(self.levels & {Level.DENIED, Level.BLOCKED})
