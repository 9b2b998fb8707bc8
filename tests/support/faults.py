"""A reverse proxy in front of the real API server that can be told to misbehave, and counts what passes.

    with FaultProxy(kubeconfig, folder) as proxy:
        proxy.fail("PATCH", r"/networkpolicies/", 429, times=3, retry_after=1)
        proxy.close_watches()            # every stream is cut now
        proxy.silence_watches(True)      # streams stay open, bring nothing, and new ones too
        proxy.silence_feed(True)         # the same for whole-object watches of MicroApps: kopf's
        proxy.blackhole(True)            # no request is answered at all
        with proxy.hold("PATCH", r"/deployments/") as held:
            held.wait()                  # until one is there; it goes on when the block ends
        proxy.count("PATCH")             # requests that reached the API server

It runs in a thread with a loop of its own, so that synchronous tests can drive it. Clients use
``proxy.kubeconfig``: plain HTTP on loopback; the proxy holds the credentials.
"""

import asyncio
import re
import ssl
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web


@dataclass
class _Fault:
    method: str
    path: re.Pattern[str]
    status: int
    times: int
    retry_after: int | None


@dataclass
class _Hold:
    method: str
    path: re.Pattern[str]
    waiting: threading.Event = field(default_factory=threading.Event)


@dataclass
class FaultProxy:
    """``upstream``: kubeconfig of the real API server; ``folder``: where ours is written."""

    upstream: Path
    folder: Path
    kubeconfig: Path = field(init=False)
    _faults: list[_Fault] = field(default_factory=list, init=False)
    _holds: list[_Hold] = field(default_factory=list, init=False)
    _streams: set[web.StreamResponse] = field(default_factory=set, init=False)
    _counts: Counter[str] = field(default_factory=Counter, init=False)
    _silent: bool = field(default=False, init=False)
    _dark: bool = field(default=False, init=False)
    _feedless: bool = field(default=False, init=False)

    def fail(self, method: str, path: str, status: int, *, times: int = 1, retry_after: int | None = None) -> None:
        """Answer the next ``times`` requests that match with ``status`` instead of passing them on."""
        self._faults.append(_Fault(method, re.compile(path), status, times, retry_after))

    def heal(self) -> None:
        """Spoil nothing more."""
        self._faults.clear()

    def pending_faults(self) -> int:
        """Answers still to be spoilt."""
        return sum(f.times for f in self._faults)

    @contextmanager
    def hold(self, method: str, path: str) -> Iterator[threading.Event]:
        """Let requests that match wait inside; the event is set once there is one."""
        held = _Hold(method, re.compile(path))
        self._holds.append(held)
        try:
            yield held.waiting
        finally:
            self._holds.remove(held)

    def close_watches(self) -> None:
        """Cut every open stream."""
        self._run(self._cut())

    def silence_watches(self, on: bool) -> None:
        """Hold back everything streams would bring."""
        self._silent = on

    def silence_feed(self, on: bool) -> None:
        """Hold back whole-object watches of MicroApps only: the feed, not the metadata-only second look."""
        self._feedless = on

    def blackhole(self, on: bool) -> None:
        """Answer nothing at all, streams included."""
        self._dark = self._silent = on

    def count(self, method: str, path: str = "") -> int:
        """Requests of ``method`` whose path matches ``path`` that were passed on."""
        return sum(n for key, n in self._counts.items() if key.startswith(f"{method} ") and re.search(path, key))

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._silent = self._dark = self._feedless = False
        self._run(self._stop())
        self._run(_finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _start(self) -> None:
        content = yaml.safe_load(self.upstream.read_text())
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
        credentials = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if not credentials:
            trust.load_cert_chain(user["client-certificate"], user["client-key"])
        self._server = cluster["server"]
        connector = aiohttp.TCPConnector(ssl=trust, limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, read_bufsize=2**21, headers=credentials
        )
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self.kubeconfig = self.folder / "proxy.kubeconfig"
        ours = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(ours))

    async def _stop(self) -> None:
        await self._cut()
        await self._runner.cleanup()
        await self._session.close()

    async def _cut(self) -> None:
        for stream in tuple(self._streams):
            if stream._req is not None and stream._req.transport is not None:
                stream._req.transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        while self._dark:  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.05)
        for hold in [h for h in self._holds if h.method == request.method and h.path.search(request.path)]:
            hold.waiting.set()
            while hold in self._holds:  # noqa: ASYNC110 - ended from another thread
                await asyncio.sleep(0.05)
        for fault in tuple(self._faults):
            if fault.times and request.method == fault.method and fault.path.search(request.path):
                fault.times -= 1
                return _answer(fault)
        self._counts[f"{request.method} {request.path}"] += 1
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
        body = await request.read()
        url = f"{self._server}{request.path_qs}"
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, timeout=timeout
        ) as answer:
            if request.query.get("watch") in ("true", "1"):
                return await self._stream(request, answer)
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in ("transfer-encoding", "content-length")}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    async def _stream(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        stream = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]})
        await stream.prepare(request)
        self._streams.add(stream)
        feed = "/microapps" in request.path and "PartialObjectMetadata" not in request.headers.get("Accept", "")
        try:
            async for chunk in answer.content.iter_any():
                while self._silent or (feed and self._feedless):  # noqa: ASYNC110 - set from another thread
                    await asyncio.sleep(0.05)
                await stream.write(chunk)
        except (ConnectionError, aiohttp.ClientError):
            return stream
        finally:
            self._streams.discard(stream)
        return stream


async def _finish() -> None:
    """Streams that were cut leave handlers behind; end them with the loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _answer(fault: _Fault) -> web.Response:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": f"injected {fault.status}",
        "code": fault.status,
    }
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
    return web.json_response(status, status=fault.status, headers=headers)
