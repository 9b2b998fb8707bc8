"""List and watch one kind, outside kopf: metadata only where that is enough, paged, resumed, never silent.

A stream that brings neither event nor bookmark for ``inactivity`` seconds is cut and the kind listed anew: an
API server or a load balancer that goes quiet must not freeze the operator.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import orjson
import structlog

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import Kind
from microapp_operator.errors import Gone, OperatorError, Transient
from microapp_operator.model.common import Manifest

log = structlog.get_logger(__name__)
_PAGE = "500"
_SERVER_TIMEOUT = 290
_LONGEST_PAUSE = 30.0
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

OnList = Callable[[list[Manifest]], None]
OnEvent = Callable[[str, Manifest], None]


@dataclass(slots=True)
class Watch:
    """Keeps one kind in sight. on_list gets the complete state after each list, on_event each change after it.

    inactivity: seconds without a sign of life after which the stream is resumed.
    on_restart is told (kind, cause) of every stream that did not end by itself.
    """

    client: KubernetesClient
    kind: Kind
    on_list: OnList
    on_event: OnEvent
    on_restart: Callable[[str, str], None]
    inactivity: float = 70.0
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: float = 0.0
    _failures: int = 0

    def age(self) -> float:
        """Seconds since the API server was last heard of; infinite before the first list."""
        return asyncio.get_running_loop().time() - self._heard if self.listed.is_set() else float("inf")

    async def run(self) -> None:
        """List and watch until cancelled."""
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list()
                version = await self._watch(version)
                self._failures = 0
            except Gone:
                # 404: the kind isn't served (yet). 410: too old to resume (KEP-365). Both: start over.
                version = ""
                await self._pause("gone")
            except OperatorError as error:
                await self._pause(str(error))

    async def _pause(self, cause: str) -> None:
        self._failures += 1
        delay = min(_LONGEST_PAUSE, 0.1 * 2.0 ** min(self._failures, 16)) * random.uniform(0.5, 1.0)  # noqa: S311
        log.info("watch_restarts", kind=self.kind.kind, cause=cause, delay_seconds=round(delay, 2))
        self.on_restart(self.kind.kind, "gone" if cause == "gone" else "error")
        await asyncio.sleep(delay)

    async def _list(self) -> str:
        """The whole state, in pages; returns the version to watch from."""
        items: list[Manifest] = []
        query = (*self._selector(), ("limit", _PAGE))
        more: tuple[tuple[str, str], ...] = ()
        accept = "application/json" if self.kind.full else _METADATA_LIST
        while True:
            call = Call("GET", self.kind.collection(), self.kind.plural, query + more, accept=accept)
            page = await self.client.read(call)
            items += page["items"] or []  # an empty PartialObjectMetadataList says null
            token = page["metadata"].get("continue")
            if not token:
                break
            more = (("continue", token),)
        self._alive()
        self.on_list([self._typed(item) for item in items])
        self.listed.set()
        return str(page["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> str:
        """Follow the stream until it ends; returns the version to resume from, empty to list again."""
        query = (
            *self._selector(),
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(_SERVER_TIMEOUT)),
            ("resourceVersion", version),
        )
        accept = "application/json" if self.kind.full else _METADATA
        call = Call("GET", self.kind.collection(), self.kind.plural, query, accept=accept)
        try:
            response = await self.client.stream(call, total=_SERVER_TIMEOUT + 30)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Transient(f"watch {self.kind.plural}: {type(error).__name__} {error}") from error
        try:
            return await self._follow(response, version)
        finally:
            response.close()

    async def _follow(self, response: aiohttp.ClientResponse, version: str) -> str:
        while True:
            try:
                # Not wait_for: up to Python 3.11 it swallows a cancellation that comes with a line (cpython #86296).
                async with asyncio.timeout(self.inactivity):
                    line = await response.content.readline()
            except TimeoutError:
                # Whatever went quiet may have swallowed events: only a new list tells what is.
                log.warning("watch_silent", kind=self.kind.kind, seconds=self.inactivity)
                self.on_restart(self.kind.kind, "silent")
                return ""
            except (aiohttp.ClientError, OSError) as error:
                log.info("watch_cut", kind=self.kind.kind, cause=f"{type(error).__name__} {error}")
                self.on_restart(self.kind.kind, "cut")
                return version
            if not line:
                return version
            event = orjson.loads(line)
            obj = event["object"]
            if event["type"] == "ERROR":
                raise Gone(f"watch {self.kind.plural}: {obj.get('message', obj)}")
            self._alive()
            version = obj["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self.on_event(event["type"], self._typed(obj))

    def _alive(self) -> None:
        self._heard = asyncio.get_running_loop().time()
        self._failures = 0

    def _selector(self) -> tuple[tuple[str, str], ...]:
        return (("labelSelector", self.kind.selector),) if self.kind.selector else ()

    def _typed(self, obj: Manifest) -> Manifest:
        """List items and partial metadata don't carry their own type."""
        return {**obj, "apiVersion": self.kind.api_version, "kind": self.kind.kind}
