"""The work queue: each key once, never twice at a time, edits first, backoff per key, clean drain.

Modelled on client-go's rate-limiting queue and controller-runtime's priority queue. Imports nothing of ours.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

Key = tuple[str, str]
"""(namespace, name) of a MicroApp."""


class Priority(IntEnum):
    """Smaller runs first: who edits or repairs doesn't wait for a rush of new apps, nor those for the first list."""

    EDIT = 0
    NEW = 20
    FAN_OUT = 50
    INITIAL = 100


@dataclass(slots=True)
class _Entry:
    priority: Priority
    since: float


class WorkQueue:
    """An asyncio queue of keys.

    base, limit: first and longest backoff in seconds. on_latency is told how long each key waited.
    """

    def __init__(
        self, *, base: float = 0.05, limit: float = 60.0, on_latency: Callable[[float], None] = lambda _: None
    ) -> None:
        self._base, self._limit, self._on_latency = base, limit, on_latency
        self._entries: dict[Key, _Entry] = {}
        self._heap: list[tuple[Priority, int, Key]] = []
        self._order = itertools.count()
        self._running: dict[Key, Priority] = {}
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._wakeup = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def __len__(self) -> int:
        """Keys that wait to be run; delayed and running ones not counted."""
        return len(self._entries)

    def add(self, key: Key, priority: Priority = Priority.EDIT) -> None:
        """Run ``key`` soon; a key already waiting is only moved ahead. Ignored once closed."""
        if self._closed:
            return
        entry = self._entries.get(key)
        if entry is not None and entry.priority <= priority:
            return
        since = entry.since if entry else asyncio.get_running_loop().time()
        self._entries[key] = _Entry(priority, since)
        self._idle.clear()
        if key not in self._running:
            self._push(key, priority)

    def add_after(self, key: Key, delay: float, priority: Priority = Priority.FAN_OUT) -> None:
        """Run ``key`` in ``delay`` seconds; of several such calls the earliest counts."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        due = loop.time() + delay
        if self._closed or (timer is not None and timer.when() <= due):
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._fire, key, priority)

    def retry(self, key: Key, *, at_least: float = 0.0) -> float:
        """Run ``key`` again after its backoff, which doubles with each call; returns the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = max(at_least, min(self._limit, self._base * float(2 ** min(failures, 32))))
        self.add_after(key, delay)
        return delay

    def failures(self, key: Key) -> int:
        """How often ``key`` was retried since it last succeeded."""
        return self._failures.get(key, 0)

    def forget(self, key: Key) -> None:
        """``key`` succeeded: its backoff starts anew."""
        self._failures.pop(key, None)

    def drop(self, key: Key) -> None:
        """``key`` is gone for good: cancel its timer and its backoff."""
        self.forget(key)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def get(self) -> Key | None:
        """The next key, marked running until ``done``; None once the queue is closed."""
        while not self._closed:
            while self._heap:
                priority, _, key = heapq.heappop(self._heap)
                entry = self._entries.get(key)
                if entry is None or entry.priority != priority or key in self._running:
                    continue  # overtaken by a later add at a higher priority
                del self._entries[key]
                self._running[key] = priority
                self._on_latency(asyncio.get_running_loop().time() - entry.since)
                return key
            self._wakeup.clear()
            await self._wakeup.wait()
        return None

    def priority(self, key: Key) -> Priority:
        """The priority at which the running ``key`` was handed out."""
        return self._running[key]

    def done(self, key: Key) -> None:
        """``key`` has run; if it was added meanwhile it is queued now."""
        self._running.pop(key, None)
        entry = self._entries.get(key)
        if entry is not None:
            self._push(key, entry.priority)
        if not self._running and not self._entries:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until nothing waits and nothing runs; delayed keys don't count."""
        await self._idle.wait()

    async def close(self) -> None:
        """Hand out no more keys, drop the waiting ones, and wait for the running ones to finish."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._entries.clear()
        self._heap.clear()
        self._wakeup.set()
        if not self._running:
            self._idle.set()
        await self._idle.wait()

    def _push(self, key: Key, priority: Priority) -> None:
        heapq.heappush(self._heap, (priority, next(self._order), key))
        self._wakeup.set()

    def _fire(self, key: Key, priority: Priority) -> None:
        self._timers.pop(key, None)
        self.add(key, priority)
