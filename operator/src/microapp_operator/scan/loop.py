"""When to scan what: everything at an interval and when the rules change, one namespace soon after it changed.

Scanning gives way: it waits for the reconciler to come to rest, though not for ever, and rests itself for several
times as long as it worked.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import structlog

from microapp_operator.errors import OperatorError
from microapp_operator.ports import URGENCY, Clock
from microapp_operator.reconcile.queue import Key, WorkQueue
from microapp_operator.scan.metrics import ScanMetrics
from microapp_operator.scan.scanner import Scanner

log = structlog.get_logger(__name__)
_EVERYTHING: Final[Key] = ("", "")
_SETTLE: Final = 2.0
"""Seconds in which changes of one namespace are gathered into one scan of it."""
_MANY: Final = 20
"""Namespaces that wait at once: from here on a full pass asks less of the API server."""
_REST: Final = 3.0
"""Seconds of rest for each second of work,"""
_REST_MAX: Final = 30.0
"""but no more than this."""
_LAST = 500
"""Reports wait for every write of the reconciler."""


Calm = Callable[[], Awaitable[None]]
"""Returns once the reconciler has come to rest, or has been waited for long enough."""


class ScanLoop:
    """Runs ``scanner``, one scan at a time. interval: seconds between full passes."""

    def __init__(self, scanner: Scanner, metrics: ScanMetrics, *, clock: Clock, interval: float, calm: Calm) -> None:
        self._scanner, self._metrics, self._clock = scanner, metrics, clock
        self._interval, self._calm = interval, calm
        self._queue = WorkQueue(base=1.0)
        self._stale: dict[str, float] = {}
        self._full = -1.0
        scanner.on_expiry = self.expires

    def everything(self) -> None:
        """The rules, or something that concerns many, changed."""
        self._queue.add_after(_EVERYTHING, _SETTLE)

    def namespace(self, name: str, delay: float = 0.0) -> None:
        """Something in the namespace changed, or will in ``delay`` seconds; an empty name means everything."""
        if not name:
            self.everything()
            return
        due = asyncio.get_running_loop().time() + delay
        self._stale[name] = max(due, self._stale.get(name, due))
        self._queue.add_after(("", name), delay + _SETTLE)

    def expires(self, name: str, when: datetime) -> None:
        """An exception in the namespace ends then: nothing else would tell."""
        self.namespace(name, (when - self._clock.now()).total_seconds())

    async def run(self) -> None:
        """Scan until cancelled."""
        URGENCY.set(_LAST)
        loop = asyncio.get_running_loop()
        self.everything()
        while (key := await self._queue.get()) is not None:
            await self._calm()
            started = loop.time()
            try:
                await self._attempt(key, started)
            finally:
                self._queue.done(key)
            await asyncio.sleep(min(_REST_MAX, _REST * (loop.time() - started)))

    async def _attempt(self, key: Key, started: float) -> None:
        """One scan; one that fails is tried again, later each time."""
        if key != _EVERYTHING and self._stale.get(key[1], started) <= self._full:
            del self._stale[key[1]]  # a full pass has begun since
            return
        # Until all has been seen once, one namespace's findings would look like all there are.
        name = key[1] if len(self._queue) < _MANY and self._full >= 0 else ""
        try:
            await (self._scanner.namespace(name) if name else self._scanner.everything())
        except Exception as error:  # a bug met in one object must not end all scans: logged, counted, retried
            why = str(error) if isinstance(error, OperatorError) else f"{type(error).__name__}: {error}"
            delay = self._queue.retry(key)
            log.warning("scan_failed", namespace=name, why=why, delay_seconds=delay, exc_info=_bug(error))
            self._metrics.scanned(name, "failed", asyncio.get_running_loop().time() - started)
            return
        self._queue.forget(key)
        self._metrics.scanned(name, "done", asyncio.get_running_loop().time() - started)
        if name:
            self._stale = {n: due for n, due in self._stale.items() if n != name or due > started}
            return
        self._full = started
        self._metrics.complete(self._scanner.objects, self._clock.now())
        jitter = random.uniform(0.9, 1.1)  # noqa: S311 - only to spread the passes
        self._queue.add_after(_EVERYTHING, self._interval * jitter)


def _bug(error: Exception) -> Exception | None:
    """What deserves a traceback."""
    return None if isinstance(error, OperatorError) else error
