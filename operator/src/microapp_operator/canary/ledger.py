"""What became of the canaries, sink by sink. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from microapp_operator.canary.record import Canary


class Why(StrEnum):
    """What was in the way of a canary when it was given up."""

    NOT_SENT = "not_sent"
    NO_CREDENTIAL = "no_credential"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Answer:
    """To one question. why: what is in the way; None: the record is there. text: for people, without any secret."""

    why: Why | None
    text: str


_NOT_YET: Final = Answer(Why.NOT_SENT, "it was not sent yet")


@dataclass(slots=True)
class Page:
    """Of one sink. read_back_at: when the newest canary that was found had been sent; delay: how long it took.

    missing_since: when the oldest of those was sent after which none has been found. answer: the latest.
    """

    read_back_at: float | None = None
    delay: float = 0.0
    missing_since: float | None = None
    answer: Answer = _NOT_YET
    failures: Counter[Why] = field(default_factory=Counter)
    _awaited: dict[Canary, Answer] = field(default_factory=dict)

    def start(self, canary: Canary) -> None:
        """It is on its way."""
        self._awaited[canary] = _NOT_YET
        if self.missing_since is None:
            self.missing_since = canary.sent_at

    def answered(self, canary: Canary, answer: Answer, now: float) -> None:
        """The backend said so when it was asked for it, or the gateway when it was given it."""
        self.answer = answer
        if answer.why is not None:
            self._awaited[canary] = answer
            return
        del self._awaited[canary]
        if self.read_back_at is None or canary.sent_at > self.read_back_at:
            self.read_back_at, self.delay = canary.sent_at, now - canary.sent_at
            self.missing_since = min((c.sent_at for c in self._awaited if c.sent_at > canary.sent_at), default=None)

    def give_up(self, canary: Canary) -> Answer | None:
        """Its time is over; what was in the way, None when it had been found."""
        last = self._awaited.pop(canary, None)
        if last is not None and last.why is not None:
            self.failures[last.why] += 1
        return last


class Ledger:
    """A page for each sink."""

    def __init__(self, sinks: Iterable[str]) -> None:
        self.pages = {sink: Page() for sink in sinks}
        self.sent = 0

    def start(self, canary: Canary) -> None:
        """Every sink's backend is to have it soon."""
        for page in self.pages.values():
            page.start(canary)

    def refused(self, canary: Canary, why: str, now: float) -> None:
        """The gateway hasn't taken it."""
        for page in self.pages.values():
            page.answered(canary, Answer(Why.NOT_SENT, why), now)
