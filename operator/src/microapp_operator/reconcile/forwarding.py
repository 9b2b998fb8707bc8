"""Asks the log gateway, round after round, how every app's records fare, and has those looked at of which it is news.

Of all processes only the one that leads asks. Must not import adapters or any client library.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from microapp_operator.decide.forwarding import LogGateway
from microapp_operator.decide.forwarding_view import (
    Delivery,
    ForwardingView,
    ReadBack,
    find_faults,
    judge_canaries,
    stamp,
)
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.errors import OperatorError
from microapp_operator.gates.counting import parse_time
from microapp_operator.ports import Children, Clock, GatewayReading, LogGatewayPort, PodReport, SinkState
from microapp_operator.reasons import Finding, Reason
from microapp_operator.reconcile.queue import Key
from microapp_operator.reconcile.store import Store

log = structlog.get_logger(__name__)
INTERVAL: Final = 15.0
"""Seconds between two rounds; pods report every 30."""
_PATIENCE: Final = 6
"""Rounds in a row in which a pod that is ready has to be missing before that is said."""
_REFRESH: Final = timedelta(minutes=5)
"""How old numbers in a status may get that nothing else changes in: each update is a write."""
_SELDOM: Final = timedelta(hours=1)
"""The same where it is the time of a canary alone, which changes for all apps at once."""
_STUCK: Final = timedelta(seconds=60)
"""How long a sink may take nothing of what waits for it."""


@dataclass(slots=True)
class ForwardingWatcher:
    """gateway: asked every ``interval`` seconds. on_news: told of apps to look at again.

    address: what the apps are told of where the gateway is; changed in the store when it moves.
    """

    gateway: LogGatewayPort
    store: Store
    children: Children
    clock: Clock
    on_news: Callable[[Key], None]
    interval: float = INTERVAL
    _dropped: dict[Key, dict[str, int]] = field(default_factory=dict)
    _dropped_at: dict[Key, datetime] = field(default_factory=dict)
    _missing: dict[Key, int] = field(default_factory=dict)
    _took: dict[tuple[str, str], tuple[float, datetime]] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self.interval)

    async def look(self) -> None:
        """One round."""
        try:
            await self._locate()
            self._take(await self.gateway.read())
        except OperatorError as error:
            log.warning("log_gateway_not_read", why=str(error))
            self._unreachable(error.finding.message)

    async def _locate(self) -> None:
        known = self.store.gateway
        assert known is not None  # there is something to watch
        address = await self.gateway.address()
        if address != known.address:
            log.info("log_gateway_moved", address=address)
            self.store.gateway = LogGateway(known.settings, address)
            keys = self.store.keys()
            for key in keys:
                self.on_news(key)

    def _unreachable(self, why: str) -> None:
        trouble = Finding(Reason.LOG_GATEWAY_UNREACHABLE, "", f"the log gateway doesn't tell: {why}")
        keys, now = self.store.keys(), self.clock.now()
        for key in keys:
            known = self.store.forwarding(key)
            self._put(key, replace(known, delivery=known.delivery or Delivery(), trouble=trouble, at=now))

    def _take(self, reading: GatewayReading) -> None:
        keys, now = self.store.keys(), self.clock.now()
        stuck = self._stuck(reading.sinks, now)
        missed, read_back = judge_canaries(reading.canaries, now)
        reports: dict[Key, list[PodReport]] = defaultdict(list)
        for report in reading.pods:
            reports[report.tenant, report.app].append(report)
        for key in keys:
            delivery = self._delivery(key, reports.get(key, ()), now)
            self._put(key, ForwardingView(delivery, stuck or missed, now, self._settle(key, read_back)))
        for memory in (self._dropped, self._missing, self._dropped_at):
            for key in memory.keys() - set(keys):
                del memory[key]

    def _delivery(self, key: Key, reports: Iterable[PodReport], now: datetime) -> Delivery:
        told = tuple(reports)
        self._compare(key, told, now)
        absent = max(self._ready(key) - len(told), 0)
        if not absent:  # a gateway that has just started has not heard of all: they aren't new when it has
            self._dropped[key] = {each.pod: each.dropped for each in told}
        self._missing[key] = self._missing.get(key, 0) + 1 if absent else 0
        return Delivery(
            pods=len(told),
            silent=absent if self._missing[key] >= _PATIENCE else 0,
            delivered=sum(each.delivered for each in told),
            dropped=sum(each.dropped for each in told),
            backlog=sum(each.backlog for each in told),
            last_delivered=max((each.last_delivered for each in told if each.last_delivered), default=None),
            waiting_since=min((each.waiting_since for each in told if each.waiting_since), default=None),
            dropped_at=self._dropped_at.get(key),
        )

    def _compare(self, key: Key, told: Iterable[PodReport], now: datetime) -> None:
        """Note a loss since the last round; before the first, status knows of the last one."""
        known = key in self._missing
        if not known and (before := self._recorded(key, "lastDroppedTime")) is not None:
            self._dropped_at[key] = before
        before_this = self._dropped.setdefault(key, {})
        for each in told:
            if known and each.dropped > before_this.get(each.pod, 0):
                self._dropped_at[key] = now
            before_this[each.pod] = each.dropped

    def _recorded(self, key: Key, name: str) -> datetime | None:
        """A time of status.logging."""
        status = (self.store.app(key) or {}).get("status", {}).get("logging") or {}
        time = status.get(name)
        return parse_time(time) if time else None

    def _settle(self, key: Key, found: ReadBack | None) -> ReadBack | None:
        """What status says of it while that is young: a process that has just started needn't write to all apps."""
        before = self._recorded(key, "lastReadBackTime")
        if found is None or before is None or self.store.forwarding(key).at is not None:
            return found
        return replace(found, sent=before) if timedelta(0) <= found.sent - before < _SELDOM else found

    def _ready(self, key: Key) -> int:
        """Pods of the app that are ready, as its workload says."""
        within = self.children.within(namespace_name(*key))
        return sum(int(each.status.get("readyReplicas", 0)) for each in within if each.status is not None)

    def _stuck(self, sinks: Iterable[SinkState], now: datetime) -> Finding | None:
        """The first sink that has taken nothing for a while although something waits for it."""
        stuck = []
        for sink in sinks:
            place = (sink.pod, sink.name)
            sent, since = self._took.get(place, (-1.0, now))
            if sink.queued == 0 or sink.sent != sent:
                sent, since = sink.sent, now
            self._took[place] = (sent, since)
            if now - since >= _STUCK:
                message = f"sink {sink.name} has taken nothing since {stamp(since)}; the log gateway keeps what waits."
                stuck.append(Finding(Reason.SINK_FAILING, "", message))
        return stuck[0] if stuck else None

    def _put(self, key: Key, view: ForwardingView) -> None:
        """Keep what is news, and have the app looked at for it."""
        shown = self.store.forwarding(key)
        if shown.at is not None and view.at is not None:
            age, idle = view.at - shown.at, (view.delivery, view.trouble) == (shown.delivery, shown.trouble)
            seldom = _SELDOM if view.read_back != shown.read_back else timedelta.max
            if _said(shown) == _said(view) and age < (seldom if idle else _REFRESH):
                return
        self.store.put_forwarding(key, view)
        self.on_news(key)


def _said(view: ForwardingView) -> tuple[bool, bool, tuple[Reason, ...]]:
    """What would be said of it without numbers: whether anybody reports, any record came back, and what is wrong."""
    heard = view.delivery is not None and view.delivery.pods > 0
    return heard, view.read_back is not None, tuple(fault.reason for fault in find_faults(view))
