"""When the scan looks at what: soon after a change, everything when much changed, again after a failure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from microapp_operator.errors import Transient
from microapp_operator.scan import loop as module
from microapp_operator.scan.board import Board
from microapp_operator.scan.loop import ScanLoop
from microapp_operator.scan.metrics import ScanMetrics
from microapp_operator.scan.scanner import Scanner

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ALL = ""


@dataclass
class Recorder:
    """A scanner that notes what it is asked for; fails as often as ``failures`` says, taking the errors from it."""

    failures: list[Exception] = field(default_factory=list)
    asked: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)
    on_expiry: Any = None
    objects: int = 7

    async def everything(self) -> None:
        await self._note(ALL)

    async def namespace(self, name: str) -> None:
        await self._note(name)

    async def _note(self, name: str) -> None:
        self.asked.put_nowait(name)
        if self.failures:
            raise self.failures.pop(0)


class Fixed:
    def now(self) -> datetime:
        return NOW


@dataclass
class Sitting:
    loop: ScanLoop
    scanner: Recorder
    registry: CollectorRegistry
    busy: asyncio.Event

    async def next(self) -> str:
        return await asyncio.wait_for(self.scanner.asked.get(), 5)

    async def rest(self) -> list[str]:
        """What else it was asked for, once nothing is due any more."""
        await asyncio.sleep(0.2)
        return [self.scanner.asked.get_nowait() for _ in range(self.scanner.asked.qsize())]


@asynccontextmanager
async def sitting(*failures: Exception, interval: float = 1000.0) -> AsyncIterator[Sitting]:
    scanner, registry, idle = Recorder(list(failures)), CollectorRegistry(), asyncio.Event()
    idle.set()
    metrics = ScanMetrics(registry, Board())

    async def calm() -> None:
        await idle.wait()

    loop = ScanLoop(cast(Scanner, scanner), metrics, clock=Fixed(), interval=interval, calm=calm)
    task = asyncio.create_task(loop.run())
    yield Sitting(loop, scanner, registry, idle)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLE", 0.02)


async def test_it_begins_with_everything_and_then_looks_where_something_changed() -> None:
    async with sitting() as given:
        assert await given.next() == ALL
        for _ in range(5):
            given.loop.namespace("ma-a")
        assert await given.next() == "ma-a"
        assert await given.rest() == []
        given.loop.everything()
        assert await given.next() == ALL


async def test_many_changes_at_once_are_one_full_pass() -> None:
    async with sitting() as given:
        await given.next()
        for number in range(50):
            given.loop.namespace(f"ma-{number}")
        asked = [await given.next(), *await given.rest()]
        assert ALL in asked
        assert len(asked) < 5


async def test_it_waits_while_the_reconciler_is_busy() -> None:
    async with sitting() as given:
        await given.next()
        given.busy.clear()
        given.loop.namespace("ma-a")
        assert await given.rest() == []
        given.busy.set()
        assert await given.next() == "ma-a"


@pytest.mark.parametrize("error", [Transient("503"), RuntimeError("a bug")])
async def test_a_scan_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async with sitting(error) as given:
        monkeypatch.setattr(given.loop._queue, "_base", 0.01)
        assert [await given.next(), await given.next()] == [ALL, ALL]
        assert await given.rest() == []
        value = given.registry.get_sample_value
        labels = {"scope": "all", "outcome": "failed"}
        assert value("microapp_policy_scans_total", labels) == 1
        assert value("microapp_policy_scanned_objects") == 7


async def test_the_end_of_an_exception_is_looked_at_when_it_comes_though_all_was_looked_at_before() -> None:
    async with sitting() as given:
        await given.next()
        given.scanner.on_expiry("ma-a", NOW + timedelta(seconds=0.5))
        given.loop.everything()
        assert await given.next() == ALL
        assert await given.rest() == []
        assert await given.next() == "ma-a"


async def test_a_change_before_the_end_of_an_exception_does_not_wait_for_it() -> None:
    async with sitting() as given:
        await given.next()
        given.scanner.on_expiry("ma-a", NOW + timedelta(hours=1))
        given.loop.namespace("ma-a")
        assert await given.next() == "ma-a"


async def test_everything_is_looked_at_again_after_the_interval() -> None:
    async with sitting(interval=0.1) as given:
        assert [await given.next() for _ in range(3)] == [ALL] * 3


async def test_nothing_less_than_everything_is_looked_at_before_everything_was_seen_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with sitting(Transient("503"), Transient("503")) as given:
        monkeypatch.setattr(given.loop._queue, "_base", 0.05)
        assert await given.next() == ALL
        given.loop.namespace("ma-a")
        assert [await given.next(), await given.next()] == [ALL, ALL]
        assert await given.rest() == []
