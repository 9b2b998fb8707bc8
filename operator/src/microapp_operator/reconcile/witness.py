"""Notices when the MicroApp feed lags behind the API server, repairs it, and says so.

A second, metadata-only watch tells which versions exist. What the feed hasn't delivered ``patience`` seconds
later is fetched and fed by hand; until then /readyz tells. Without this a frozen feed looks like a calm day.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from microapp_operator.errors import OperatorError
from microapp_operator.model import Manifest
from microapp_operator.ports import Cluster, ObjectRef
from microapp_operator.reconcile.engine import Engine
from microapp_operator.reconcile.queue import Key
from microapp_operator.reconcile.store import key_of, version_of

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Sighting:
    """The latest version of a MicroApp that the feed has not delivered, and since when one has been missing."""

    metadata: Manifest
    deleted: bool
    since: float


@dataclass(slots=True)
class Witness:
    """Compares what exists with what ``engine`` was fed. patience, limit: seconds."""

    engine: Engine
    cluster: Cluster
    on_lag: Callable[[str, str], None]
    patience: float = 10.0
    limit: float = 30.0
    _missing: dict[Key, _Sighting] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def saw(self, metadata: Manifest, deleted: bool) -> None:
        """The API server has this version of a MicroApp, or has deleted it."""
        key, loop = key_of(metadata), asyncio.get_running_loop()
        if not self._behind(key, metadata, deleted):
            return
        known = self._missing.get(key)
        still = known is not None and self._behind(key, known.metadata, known.deleted)
        since = known.since if known is not None and still else loop.time()
        self._missing[key] = _Sighting(metadata, deleted, since)
        if known is None:
            loop.call_later(self.patience, self._check, key)

    def lag(self) -> float:
        """Seconds for which the oldest undelivered change has been waiting; 0 when there is none."""
        now = asyncio.get_running_loop().time()
        waiting = (s.since for k, s in self._missing.items() if self._behind(k, s.metadata, s.deleted))
        return max((now - since for since in waiting), default=0.0)

    def complaint(self) -> str | None:
        """For /readyz: why the feed counts as stale, or None."""
        lag = self.lag()
        return f"a change of a MicroApp has not been delivered for {lag:.0f} s" if lag > self.limit else None

    def _behind(self, key: Key, metadata: Manifest, deleted: bool) -> bool:
        kept = self.engine.store.app(key)
        same = kept is not None and kept["metadata"]["uid"] == metadata["metadata"]["uid"]
        if deleted:
            return same
        return not same or kept is None or version_of(kept) < version_of(metadata)

    def _check(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        sighting = self._missing[key]
        left = sighting.since + self.patience - loop.time()
        if not self._behind(key, sighting.metadata, sighting.deleted):
            del self._missing[key]
        elif left > 0:
            loop.call_later(left, self._check, key)
        else:
            task = loop.create_task(self._fetch(key, sighting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _fetch(self, key: Key, sighting: _Sighting) -> None:
        """Feed by hand what the feed didn't bring; tried again as long as it fails."""
        ref = ObjectRef(sighting.metadata["apiVersion"], sighting.metadata["kind"], *key)
        try:
            current = await self.cluster.get(ref)
        except OperatorError as error:
            log.warning("feed_lags", app=key[1], namespace=key[0], why=str(error))
            asyncio.get_running_loop().call_later(self.patience, self._check, key)
            return
        log.warning("feed_lagged", app=key[1], namespace=key[0], seconds=round(self.lag(), 1))
        self.on_lag("MicroApp", "lagged")
        del self._missing[key]
        kept = self.engine.store.app(key)
        if current is not None:
            self.engine.on_app(current)
        elif kept is not None:
            self.engine.on_app(kept, deleted=True)
