"""The operator's own HTTP port: liveness, readiness with reasons, metrics. Plain HTTP, read only.

Nothing it shows may hold a secret: check texts are scrubbed. Must not import reconcile or handlers.
"""

import errno
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Self

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from microapp_operator.telemetry import scrub

Check = Callable[[], str | None]
"""None when all is well, else why not, in a few words."""

log = structlog.get_logger(__name__)


class ListenError(Exception):
    """The address can't be listened on; the text says which and what to change."""


class HealthServer:
    """Serves ``/healthz``, ``/readyz`` and ``/metrics``.

    checks: by name, asked on every ``/readyz``; they must answer from memory.
    host, port: where to listen; port 0 takes a free one, which ``start`` returns.
    facts: what ``/readyz`` tells besides, by name.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        registry: CollectorRegistry,
        *,
        host: str,
        port: int,
        facts: Mapping[str, Callable[[], str]] = MappingProxyType({}),
    ) -> None:
        self._checks, self._registry, self._facts = checks, registry, facts
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None

    async def start(self) -> tuple[str, int]:
        """Listen; returns address and port. ListenError when that can't be had."""
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            raise ListenError(f"can't listen on {self._host}:{self._port}: {_explain(error)}") from error
        self._runner = runner
        host, port = runner.addresses[0][:2]
        log.info("http_listening", host=host, port=port)
        return host, port

    async def stop(self) -> None:
        """Finish the answers under way and free the port; safe to call twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _healthz(self, _: web.Request) -> web.Response:
        """That this answers at all is the proof: the event loop turns."""
        return web.Response(text="ok\n", headers=_FRESH)

    async def _readyz(self, request: web.Request) -> web.Response:
        failures = {name: _ask(check) for name, check in self._checks.items()}
        status = 503 if any(failures.values()) else 200
        if "application/json" in request.headers.get("Accept", ""):
            body = {
                "ready": status == 200,
                "checks": [{"name": name, "ok": why is None, "why": why or ""} for name, why in failures.items()],
                "facts": {name: tell() for name, tell in self._facts.items()},
            }
            return web.json_response(body, status=status, headers=_FRESH)
        lines = [f"[-] {name} failed: {why}" if why else f"[+] {name} ok" for name, why in failures.items()]
        lines += [f"    {name}: {tell()}" for name, tell in self._facts.items()]
        lines.append("ready" if status == 200 else "not ready")
        return web.Response(text="\n".join(lines) + "\n", status=status, headers=_FRESH)

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


_FRESH = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _ask(check: Check) -> str | None:
    """Why the check fails, in one line, or None. One that raises has failed, and must not hide the others."""
    try:
        why = check()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is an answer: not ready, and why
        why = f"{type(error).__name__}: {error}"
    return None if why is None else scrub(" ".join(why.split())) or "no reason given"


def _explain(error: OSError | OverflowError) -> str:
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            return "the port is in use; set another one, or stop what holds it."
        case errno.EACCES:
            return "a port below 1024 needs a privilege; set a higher one."
        case errno.EADDRNOTAVAIL:
            return "this machine doesn't have that address; set 0.0.0.0 or one it has."
        case _:
            return f"{error}; set an address of this machine and a port from 0 to 65535."
