"""The operator's HTTP port, over real sockets."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from microapp_operator.adapters.http import Check, HealthServer, ListenError
from microapp_operator.metrics import Metrics


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


Get = Callable[..., Awaitable[Answer]]


@asynccontextmanager
async def serving(metrics: Metrics | None = None, **checks: Check) -> AsyncIterator[Get]:
    server = HealthServer(checks, (metrics or Metrics()).registry, host="127.0.0.1", port=0)
    host, port = await server.start()
    async with aiohttp.ClientSession(f"http://{host}:{port}", timeout=aiohttp.ClientTimeout(total=5)) as session:

        async def get(path: str, accept: str = "*/*", method: str = "GET") -> Answer:
            async with session.request(method, path, headers={"Accept": accept}) as response:
                return Answer(response.status, dict(response.headers), await response.text())

        yield get
    await server.stop()


def fails_with(error: Exception) -> Check:
    def check() -> str | None:
        raise error

    return check


async def test_liveness_is_that_the_loop_turns() -> None:
    async with serving(broken=lambda: "not yet") as get:
        answer = await get("/healthz")
        assert (answer.status, answer.text) == (200, "ok\n")
        assert answer.headers["Cache-Control"] == "no-store"
        assert (await get("/healthz", method="HEAD")).status == 200
        assert (await get("/healthz", method="POST")).status == 405
        assert (await get("/nowhere")).status == 404


async def test_readiness_follows_its_checks_from_call_to_call() -> None:
    state: list[str | None] = ["the first lists are not complete"]
    async with serving(watches=lambda: state[0], leader=lambda: None) as get:
        answer = await get("/readyz")
        assert answer.status == 503
        assert answer.text == "[-] watches failed: the first lists are not complete\n[+] leader ok\nnot ready\n"
        state[0] = None
        answer = await get("/readyz")
        assert answer.status == 200
        assert answer.text == "[+] watches ok\n[+] leader ok\nready\n"


async def test_readiness_as_json_says_the_same() -> None:
    async with serving(watches=lambda: "stale", leader=lambda: None) as get:
        answer = await get("/readyz", accept="application/json")
    assert answer.status == 503
    assert answer.headers["Content-Type"].startswith("application/json")
    assert json.loads(answer.text) == {
        "ready": False,
        "checks": [{"name": "watches", "ok": False, "why": "stale"}, {"name": "leader", "ok": True, "why": ""}],
        "facts": {},
    }


async def test_a_check_that_raises_or_says_nothing_is_a_failed_one() -> None:
    async with serving(raises=fails_with(RuntimeError("lost\nit")), empty=lambda: "", fine=lambda: None) as get:
        answer = await get("/readyz")
    assert answer.status == 503
    assert answer.text.splitlines() == [
        "[-] raises failed: RuntimeError: lost it",
        "[-] empty failed: no reason given",
        "[+] fine ok",
        "not ready",
    ]


async def test_readiness_shows_no_credentials() -> None:
    async with serving(vault=lambda: "https://me:pa55word@vault.example.com refused hvs.CAESIJabcdefgh") as get:
        for accept in ("*/*", "application/json"):
            text = (await get("/readyz", accept=accept)).text
            assert "pa55word" not in text
            assert "hvs.CAES" not in text


async def test_without_checks_it_is_ready() -> None:
    async with serving() as get:
        assert (await get("/readyz")).status == 200


async def test_metrics_come_as_the_reader_asks() -> None:
    metrics = Metrics(version="1.2.3")
    metrics.leading(True)
    async with serving(metrics) as get:
        plain = await get("/metrics", accept="text/plain")
        assert plain.status == 200
        assert plain.headers["Content-Type"].startswith("text/plain; version=")
        assert re.search(r"^microapp_operator_leader 1\.0$", plain.text, re.MULTILINE)
        modern = await get("/metrics", accept="application/openmetrics-text; version=1.0.0")
        assert modern.headers["Content-Type"].startswith("application/openmetrics-text")
        families = text_string_to_metric_families(modern.text)  # type: ignore[no-untyped-call]
        names = {family.name for family in families}
        assert {"microapp_operator_leader", "microapp_operator_reconcile", "microapp_operator_build"} <= names


async def test_a_port_in_use_is_said_clearly_and_leaves_nothing_open() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}: the port is in use; set another one"):
            await HealthServer({}, Metrics().registry, host="127.0.0.1", port=port).start()


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("192.0.2.1", 0, "doesn't have that address"),
        ("no.such.host.invalid", 0, "set an address of this machine"),
        ("127.0.0.1", 70000, "a port from 0 to 65535"),
    ],
)
async def test_an_address_that_cannot_be_had_is_said_clearly(host: str, port: int, words: str) -> None:
    with pytest.raises(ListenError, match=words):
        await HealthServer({}, Metrics().registry, host=host, port=port).start()


async def test_stopping_frees_the_port_and_may_be_repeated() -> None:
    server = HealthServer({}, Metrics().registry, host="127.0.0.1", port=0)
    host, port = await server.start()
    _, writer = await asyncio.open_connection(host, port)  # an idle client must not hold it up
    await asyncio.wait_for(server.stop(), 5)
    await server.stop()
    writer.close()
    again = HealthServer({}, Metrics().registry, host=host, port=port)
    assert await again.start() == (host, port)
    await again.stop()
