"""Kubernetes Events (events.k8s.io/v1) about MicroApps: deduplicated, bounded, never in the way.

The same Event within ten minutes becomes a series (count and last time), written at most once a minute.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from microapp_operator.adapters.kubernetes.client import MERGE, Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import EVENT
from microapp_operator.constants import API_VERSION, GROUP
from microapp_operator.errors import OperatorError
from microapp_operator.model.canonical import digest
from microapp_operator.ports import URGENCY, ObjectRef
from microapp_operator.reasons import Reason

log = structlog.get_logger(__name__)
_WINDOW = 600.0
_SERIES_EVERY = 60.0
_REMEMBERED = 4096
_QUEUED = 1024
_LAST = 1000
"""Events wait for every other write."""


@dataclass(slots=True)
class _Series:
    name: str
    namespace: str
    first: float
    written: float
    count: int = 1


class KubernetesEvents:
    """Publishes in the background; on_drop is told of each Event that could not be kept or written."""

    def __init__(self, client: KubernetesClient, *, on_drop: Callable[[], None] = lambda: None) -> None:
        self._client, self._on_drop = client, on_drop
        self._queue: asyncio.Queue[Call] = asyncio.Queue(_QUEUED)
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._instance = socket.gethostname()[:128]

    def start(self) -> None:
        """Start writing."""
        self._task = asyncio.create_task(self._write(), name="events")

    async def stop(self) -> None:
        """Write what is queued, for at most five seconds."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(5):
                await self._queue.join()
        except TimeoutError:
            log.warning("events_not_written", count=self._queue.qsize())
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def publish(self, app: ObjectRef, *, uid: str, reason: Reason, message: str, warning: bool) -> None:
        """Queue one Event; never blocks, never raises, never fails a reconcile."""
        now = asyncio.get_running_loop().time()
        identity = digest([uid, reason, message])
        known = self._series.get(identity)
        if known is not None and now - known.first < _WINDOW:
            known.count += 1
            if now - known.written >= _SERIES_EVERY:
                known.written = now
                self._put(_series_call(known))
            return
        name = f"{app.name[:40]}.{identity[:12]}.{int(datetime.now(UTC).timestamp()):x}"
        self._series[identity] = _Series(name, app.namespace, now, now)
        while len(self._series) > _REMEMBERED:
            self._series.popitem(last=False)
        body = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": name, "namespace": app.namespace},
            "eventTime": _now(),
            "reportingController": f"{GROUP}/operator",
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": str(reason),
            "note": message[:1024],
            "type": "Warning" if warning else "Normal",
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": "MicroApp",
                "namespace": app.namespace,
                "name": app.name,
                "uid": uid,
            },
        }
        self._put(Call("POST", EVENT.collection(app.namespace), EVENT.plural, (), body))

    def _put(self, call: Call) -> None:
        try:
            self._queue.put_nowait(call)
        except asyncio.QueueFull:
            self._on_drop()

    async def _write(self) -> None:
        URGENCY.set(_LAST)
        while True:
            call = await self._queue.get()
            try:
                await self._client.write(call)
            except OperatorError as error:
                self._on_drop()
                log.debug("event_not_written", why=str(error))
            finally:
                self._queue.task_done()


def _series_call(series: _Series) -> Call:
    body = {"series": {"count": series.count, "lastObservedTime": _now()}}
    path = f"{EVENT.collection(series.namespace)}/{series.name}"
    return Call("PATCH", path, EVENT.plural, (), body, MERGE)


def _now() -> str:
    """MicroTime, as the API wants it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
