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
class Witness:
    """Compares what exists with what ``engine`` was fed. patience, limit: seconds."""

    engine: Engine
    cluster: Cluster
    on_lag: Callable[[str, str], None]
    patience: float = 10.0
    limit: float = 30.0
    _since: dict[Key, float] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def saw(self, metadata: Manifest, deleted: bool) -> None:
        """The API server has this version of a MicroApp, or has deleted it."""
        key = key_of(metadata)
        if key not in self._since and self._behind(key, metadata, deleted):
            loop = asyncio.get_running_loop()
            self._since[key] = loop.time()
            loop.call_later(self.patience, self._check, key, metadata, deleted)

    def lag(self) -> float:
        """Seconds for which the oldest undelivered change has been waiting; 0 when there is none."""
        now = asyncio.get_running_loop().time()
        return max((now - since for since in self._since.values()), default=0.0)

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

    def _check(self, key: Key, metadata: Manifest, deleted: bool) -> None:
        if not self._behind(key, metadata, deleted):
            self._since.pop(key, None)
            return
        task = asyncio.get_running_loop().create_task(self._fetch(key, metadata))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, key: Key, metadata: Manifest) -> None:
        """Feed by hand what the feed didn't bring; tried again as long as it fails."""
        ref = ObjectRef(metadata["apiVersion"], metadata["kind"], *key)
        try:
            current = await self.cluster.get(ref)
        except OperatorError as error:
            log.warning("feed_lags", app=key[1], namespace=key[0], why=str(error))
            asyncio.get_running_loop().call_later(self.patience, self._check, key, metadata, False)
            return
        log.warning("feed_lagged", app=key[1], namespace=key[0], seconds=round(self.lag(), 1))
        self.on_lag("MicroApp", "lagged")
        kept = self.engine.store.app(key)
        if current is not None:
            self.engine.on_app(current)
        elif kept is not None:
            self.engine.on_app(kept, deleted=True)
        self._since.pop(key, None)
