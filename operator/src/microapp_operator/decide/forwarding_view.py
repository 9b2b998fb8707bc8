"""What is known of how an app's records are delivered, and the condition read off it. Pure.

It never makes an app not ready: an app that works isn't taken from its users because its records wait.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from microapp_operator.canary import CanaryState
from microapp_operator.decide.decision import Decision
from microapp_operator.model import Condition
from microapp_operator.model.status import LoggingStatus
from microapp_operator.reasons import ConditionType, Finding, Reason

DROPS_COUNT_FOR: Final = timedelta(minutes=15)
"""How long the loss of a record is a fault; status tells of it for as long as the pod lives."""
WAITING: Final = timedelta(seconds=60)
"""How long records may wait before that is said."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the records of one app fared, as its pods told the gateway.

    pods: that report. silent: pods that are ready and haven't reported for too long. waiting_since: since when records
    have waited, over all pods. dropped_at: when the number of dropped ones last rose.
    """

    pods: int = 0
    silent: int = 0
    delivered: int = 0
    dropped: int = 0
    backlog: int = 0
    last_delivered: datetime | None = None
    waiting_since: datetime | None = None
    dropped_at: datetime | None = None

    def status(self, read_back: datetime | None) -> LoggingStatus:
        """As the app's status shows it."""
        return LoggingStatus(
            last_delivered_time=stamp(self.last_delivered) if self.last_delivered else None,
            backlog=self.backlog,
            dropped=self.dropped,
            last_dropped_time=stamp(self.dropped_at) if self.dropped_at else None,
            last_read_back_time=stamp(read_back) if read_back else None,
        )


@dataclass(frozen=True, slots=True)
class ReadBack:
    """That a sink's backend was asked for a record of the gateway's own, and had it. sent: when that was sent."""

    sink: str
    sent: datetime


@dataclass(frozen=True, slots=True)
class ForwardingView:
    """delivery: None while nobody was asked. trouble: of the gateway itself, whichever app it is about.

    read_back: of the sinks that are asked the one furthest behind; None where none is. at: when all this was so.
    before: conditions as status has them, which stand until something is known.
    """

    delivery: Delivery | None = None
    trouble: Finding | None = None
    at: datetime | None = None
    read_back: ReadBack | None = None
    before: tuple[Condition, ...] = ()

    def told(self) -> LoggingStatus | None:
        """What pods have told, for the app's status; None while none does, and what they told last still stands."""
        if self.delivery is None or not self.delivery.pods:
            return None
        return self.delivery.status(self.read_back.sent if self.read_back else None)


def judge_forwarding(view: ForwardingView, decision: Decision | None, *, runs: bool) -> tuple[str, Reason, str]:
    """Status, reason and message of LogForwarding. runs: the app has pods."""
    if decision is None:
        return "Unknown", Reason.PROGRESSING, "Not judged: the spec or its tier can't be read."
    if not decision.gateway_configured:
        return "Unknown", Reason.FORWARDER_NOT_INSTALLED, Reason.FORWARDER_NOT_INSTALLED.remedy
    if decision.logging_finding is not None:
        return "False", decision.logging_finding.reason, decision.logging_finding.text()
    if decision.entrypoint.waits is not None:
        return "Unknown", Reason.PROGRESSING, decision.entrypoint.waits.text()
    if not runs:
        return "True", Reason.NOTHING_TO_FORWARD, "No pod runs, so there is nothing to forward."
    if view.delivery is None or view.at is None:
        return _kept(view)
    fault = next(iter(find_faults(view)), None)
    if fault is None and not view.delivery.pods:
        return "Unknown", Reason.PROGRESSING, "Its pods have not told yet how delivery fares."
    if fault is None:
        return "True", Reason.FORWARDING, _told(view.delivery, view.read_back)
    return "Unknown" if fault.reason is Reason.LOG_GATEWAY_UNREACHABLE else "False", fault.reason, fault.text()


def find_faults(view: ForwardingView) -> tuple[Finding, ...]:
    """What is wrong, what is lost first; where nobody can be asked, that alone."""
    if view.trouble is not None and view.trouble.reason is Reason.LOG_GATEWAY_UNREACHABLE:
        return (view.trouble,)
    if view.delivery is None or view.at is None:
        return ()
    return tuple(_faults(view, view.delivery, view.at))


def _faults(view: ForwardingView, delivery: Delivery, at: datetime) -> Iterator[Finding]:
    if delivery.dropped_at is not None and at - delivery.dropped_at < DROPS_COUNT_FOR:
        message = f"{delivery.dropped} records were lost, the last at {stamp(delivery.dropped_at)}."
        yield Finding(Reason.RECORDS_DROPPED, "", message)
    if delivery.silent:
        message = f"{delivery.silent} of {delivery.pods + delivery.silent} pods haven't told how delivery fares."
        yield Finding(Reason.FORWARDER_SILENT, "", message)
    if delivery.waiting_since is not None and at - delivery.waiting_since >= WAITING:
        since = stamp(delivery.waiting_since)
        yield Finding(Reason.RECORDS_WAITING, "", f"{delivery.backlog} records wait in the pods, since {since}.")
    if view.trouble is not None:
        yield view.trouble


def judge_canaries(canaries: Iterable[CanaryState], at: datetime) -> tuple[Finding | None, ReadBack | None]:
    """What is wrong with the sink that has been without a canary for longest, and the one furthest behind."""
    states = tuple(canaries)
    missed = [(s.missing_since, s) for s in states if s.missing_since and at - s.missing_since > s.deadline]
    found = [ReadBack(s.sink, s.read_back) for s in states if s.read_back]
    last = min(found, key=lambda each: each.sent, default=None)
    if not missed:
        return None, last
    since, state = min(missed, key=lambda each: each[0])
    message = (
        f"sink {state.sink} has given back no record sent since {stamp(since)}; asked for it, it says: {state.answer}."
    )
    return Finding(Reason.CANARY_NOT_READ_BACK, "", message), last


def _told(delivery: Delivery, read_back: ReadBack | None) -> str:
    last = f"at {stamp(delivery.last_delivered)}" if delivery.last_delivered else "not known"
    said = f"Last record delivered: {last}. {delivery.backlog} wait, {delivery.dropped} were dropped."
    return said if read_back is None else f"{said} Sink {read_back.sink} has given back one of {stamp(read_back.sent)}."


def _kept(view: ForwardingView) -> tuple[str, Reason, str]:
    """As status has it: a process that has just started knows no better."""
    old = next((c for c in view.before if c.type == ConditionType.LOG_FORWARDING), None)
    if old is None or old.reason in _GONE:
        return "Unknown", Reason.PROGRESSING, "The log gateway has not been asked about this app yet."
    return old.status, Reason(old.reason), old.message


_GONE: Final = frozenset({Reason.FORWARDER_NOT_INSTALLED, Reason.NOTHING_TO_FORWARD, Reason.ENTRYPOINT_UNKNOWN})


def stamp(time: datetime) -> str:
    """As the API writes times."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
