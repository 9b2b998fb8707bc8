"""A server in a registry's place that answers as no registry would, and remembers what it was sent."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from microapp_operator.model.image import ImageName
from tests.support.registry import digest_of

Answer = bytes | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Hostile:
    """answers: by path; a path without one is answered with 404. seen: path and Authorization of each request."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def elsewhere(self) -> str:
        """The same server under another name: for a client, another host."""
        return f"localhost:{self.port}"

    def manifest(self, content: bytes, answer: Answer | None = None) -> ImageName:
        """Keep a manifest; the name of its image. answer: what is said instead."""
        digest = digest_of(content)
        self.answers[f"/v2/app/manifests/{digest}"] = content if answer is None else answer
        return ImageName(self.address, "app", digest)

    def blob(self, content: bytes, answer: Answer | None = None) -> bytes:
        """Keep a blob. answer: what is said instead."""
        self.answers[f"/v2/app/blobs/{digest_of(content)}"] = content if answer is None else answer
        return content

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path, request.headers.get("Authorization", "")))
        found = self.answers.get(request.path)
        if found is None:
            return web.Response(status=404)
        return web.Response(body=found) if isinstance(found, bytes) else await found(request)


@asynccontextmanager
async def hostile() -> AsyncIterator[Hostile]:
    """One that runs."""
    server = Hostile()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


def saying(status: int, body: str = "", **headers: str) -> Answer:
    """An answer of that status. Names of headers have _ for -."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer
