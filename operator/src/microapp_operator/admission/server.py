"""The webhook's HTTPS port: ``POST /validate`` and ``/mutate``, bounded in size and in what they take."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from microapp_operator.adapters.http import ListenError
from microapp_operator.admission.judge import Answer, Judge
from microapp_operator.admission.rotation import Certificates

log = structlog.get_logger(__name__)
BODY_MAX = 8 * 2**20
"""Bytes of one review: etcd takes objects of 1.5 MiB, the API server requests of 3, and an update holds two."""
_BODY_WITHIN = 10.0
"""Seconds a client has to send its body; the API server gives up on us after three."""
_DRAIN = 5.0
"""Seconds the requests under way have to end when the process does."""
_JSON = "application/json"


class WebhookServer:
    """Answers the API server. host, port: where to listen; port 0 takes a free one, which ``start`` returns."""

    def __init__(self, judge: Judge, certificates: Certificates, *, host: str, port: int) -> None:
        self._judge, self._certificates = judge, certificates
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self._under_way, self._idle = 0, asyncio.Event()
        self._idle.set()

    async def start(self) -> int:
        """Listen; returns the port. ListenError when it can't be had."""
        application = web.Application(client_max_size=BODY_MAX, middlewares=[self._counted])
        application.router.add_post("/validate", partial(_serve, self._judge.answer))
        application.router.add_post("/mutate", partial(_serve, self._judge.stamp))
        runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=1.0, keepalive_timeout=120.0, auto_decompress=False
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, ssl_context=self._certificates.context).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            raise ListenError(f"can't listen on {self._host}:{self._port}: {error}.") from error
        self._runner = runner
        port: int = runner.addresses[0][1]
        log.info("webhook_listening", host=self._host, port=port)
        return port

    async def stop(self) -> None:
        """Finish the answers under way and free the port."""
        if self._runner is not None:
            for site in self._runner.sites:
                await site.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN):  # aiohttp reads no more of a body once it cleans up
                    await self._idle.wait()
            await self._runner.cleanup()
        self._judge.close()

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._under_way += 1
        self._idle.clear()
        try:
            return await handler(request)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()


async def _serve(ask: Callable[[bytes], Awaitable[Answer]], request: web.Request) -> web.Response:
    if request.content_type != _JSON:
        return web.Response(status=415, text=f"the content type must be {_JSON}, not {request.content_type}.\n")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        return web.Response(status=415, text="a compressed body is not taken.\n")
    try:
        async with asyncio.timeout(_BODY_WITHIN):
            body = await request.read()  # aiohttp answers 413 beyond BODY_MAX
    except TimeoutError:
        return web.Response(status=408, text=f"the body did not come within {_BODY_WITHIN:g} s.\n")
    except web.RequestPayloadError as error:
        return web.Response(status=400, text=f"the body can't be read: {error}.\n")
    answer = await ask(body)
    kind = _JSON if answer.status == 200 else "text/plain"
    return web.Response(status=answer.status, body=answer.body, content_type=kind)
