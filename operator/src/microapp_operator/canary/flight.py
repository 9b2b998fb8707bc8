"""The order of things: a canary is sent every so often, and each backend asked for it until it is there or given up."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from microapp_operator.canary.ledger import Answer, Ledger
from microapp_operator.canary.record import Canary, make_canary
from microapp_operator.canary.settings import CanarySettings, ReadBack
from microapp_operator.errors import Transient

log = structlog.get_logger(__name__)
_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between two tries; the last for as long as it takes."""


class Wire(Protocol):
    """The way to the gateway and to the backends."""

    async def send(self, canary: Canary) -> None:
        """Give it to the gateway. Transient when that doesn't take it."""

    async def ask(self, read_back: ReadBack, canary: Canary) -> Answer:
        """Whether that backend has it; never raises for what a backend does."""


@dataclass(frozen=True, slots=True)
class Flights:
    """now: seconds since 1970."""

    settings: CanarySettings
    wire: Wire
    ledger: Ledger
    now: Callable[[], float]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as under_way:
            while True:
                under_way.create_task(self._fly(make_canary(self.now())))
                await asyncio.sleep(self.settings.interval)

    async def _fly(self, canary: Canary) -> None:
        self.ledger.start(canary)
        try:
            async with asyncio.timeout(self.settings.deadline):
                await self._send(canary)
                await asyncio.gather(*(self._find(each, canary) for each in self.settings.read_backs))
        except TimeoutError:
            for sink, page in self.ledger.pages.items():
                if (last := page.give_up(canary)) is not None:
                    log.warning("canary_not_read_back", sink=sink, uid=canary.uid, answer=last.text)

    async def _send(self, canary: Canary) -> None:
        for pause in _pauses():
            try:
                await self.wire.send(canary)
            except Transient as error:
                self.ledger.refused(canary, error.finding.message, self.now())
                await asyncio.sleep(pause)
            else:
                self.ledger.sent += 1
                return

    async def _find(self, read_back: ReadBack, canary: Canary) -> None:
        page = self.ledger.pages[read_back.sink]
        for pause in _pauses():
            await asyncio.sleep(pause)
            answer, first = await self.wire.ask(read_back, canary), page.read_back_at is None
            page.answered(canary, answer, self.now())
            if answer.why is None:
                if first:
                    log.info("canary_read_back", sink=read_back.sink, delay=round(page.delay, 3))
                return


def _pauses() -> Iterator[float]:
    yield from _PAUSES
    while True:
        yield _PAUSES[-1]
