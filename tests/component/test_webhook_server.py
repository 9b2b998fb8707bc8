"""The webhook's port as the API server, and whoever else, finds it: TLS, real rules, hostile bodies."""

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from microapp_operator.adapters.rego import RegoEngine, packaged_bundle
from microapp_operator.admission import server as server_module
from microapp_operator.admission.certificates import build_keyring, ca_bundle
from microapp_operator.admission.rotation import ServingContext
from microapp_operator.admission.server import BODY_MAX, WebhookServer
from tests.support.reviews import (
    Reply,
    body_of,
    read_reply,
    request_of,
    review_of,
    small_cluster,
    small_court,
    violating_pod,
)

JSON = {"Content-Type": "application/json"}
UID = request_of("pod")["uid"]


class Certificate(ServingContext):
    """Of loopback, from a CA of its own."""

    def __init__(self) -> None:
        super().__init__()
        keyring = build_keyring(("127.0.0.1",), datetime.now(UTC))
        self.load(keyring.leaf.certificate, keyring.leaf.key)
        self.bundle = ca_bundle(keyring)

    async def refresh(self) -> float:
        return 3600.0


@dataclass
class Client:
    """One that trusts the server's CA and nothing else."""

    port: int
    trust: ssl.SSLContext
    session: aiohttp.ClientSession

    async def send(self, body: Any, **headers: str) -> tuple[int, bytes]:
        async with self.session.post("/validate", data=body, headers=JSON | headers) as answer:
            return answer.status, await answer.read()

    async def ask(self, request: dict[str, Any]) -> Reply:
        status, answer = await self.send(body_of(request))
        assert status == 200
        return read_reply(answer, request["uid"])

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to write anything into."""
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust)


@pytest.fixture(scope="module")
def engine() -> RegoEngine:
    return RegoEngine(packaged_bundle())


@pytest_asyncio.fixture
async def client(engine: RegoEngine) -> AsyncIterator[Client]:
    certificate = Certificate()
    server = WebhookServer(small_court(engine, small_cluster()), certificate, host="127.0.0.1", port=0)
    port = await server.start()
    trust = ssl.create_default_context(cadata=certificate.bundle.decode())
    connector = aiohttp.TCPConnector(ssl=trust)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(f"https://127.0.0.1:{port}", connector=connector, timeout=timeout) as session:
        yield Client(port, trust, session)
    await server.stop()


async def test_a_review_over_tls_is_judged_by_the_shipped_rules(client: Client, engine: RegoEngine) -> None:
    fine, wrong = await client.ask(request_of("pod")), await client.ask(violating_pod())
    assert (fine.allowed, fine.bundle) == (True, engine.digest)
    assert (wrong.code, wrong.rules, wrong.bundle) == (403, {"MA-PSS-002"}, engine.digest)


@pytest.mark.parametrize("content", ["text/plain", "application/xml", "application/jsonp", "garbage;;", ""])
async def test_another_content_type_is_not_taken(client: Client, content: str) -> None:
    status, text = await client.send(body_of(request_of("pod")), **{"Content-Type": content})
    assert status == 415
    assert b"application/json" in text


async def test_json_with_a_character_set_is_taken(client: Client) -> None:
    status, answer = await client.send(body_of(violating_pod()), **{"Content-Type": "Application/JSON; charset=utf-8"})
    assert status == 200
    assert not read_reply(answer, UID).allowed


async def test_a_compressed_body_is_not_unpacked(client: Client) -> None:
    for body in (gzip.compress(bytes(100 * 2**20)), b"no gzip"):
        status, _ = await client.send(body, **{"Content-Encoding": "gzip"})
        assert status == 415
    assert (await client.ask(violating_pod())).code == 403


async def test_a_body_at_the_limit_is_judged_and_one_beyond_is_not(client: Client) -> None:
    status, answer = await client.send(body_of(violating_pod()).ljust(BODY_MAX - 1))
    assert status == 200
    assert read_reply(answer, UID).rules == {"MA-PSS-002"}
    assert (await client.send(body_of(violating_pod()).ljust(BODY_MAX + 1)))[0] == 413


async def test_a_chunked_body_has_the_same_limit(client: Client) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        yield body_of(violating_pod())
        for _ in range(size // 2**16):
            yield b" " * 2**16

    status, answer = await client.send(chunks(BODY_MAX // 2))
    assert (status, read_reply(answer, UID).allowed) == (200, False)
    reader, writer = await client.open()
    writer.write(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
    writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(BODY_MAX // 2**16 + 1):
        writer.write(b"10000\r\n" + b" " * 2**16 + b"\r\n")  # and never the last chunk
    assert (await reader.readline()).split()[1] == b"413"
    writer.close()


BODIES = {
    "nothing": b"",
    "no JSON": b"hello",
    "half a review": body_of(violating_pod())[:-20],
    "two reviews": body_of(request_of("pod")) * 2,
    "a null byte before it": b"\x00" + body_of(request_of("pod")),
    "null bytes": bytes(1000),
    "UTF-16": body_of(request_of("pod")).decode().encode("utf-16"),
    "invalid UTF-8": body_of(request_of("pod", name="HERE")).replace(b"HERE", b"\xff\xfe"),
    "half a surrogate pair": body_of(request_of("pod", name="HERE")).replace(b"HERE", b"\\ud800"),
    "100,000 levels": body_of(request_of("pod", object="HERE")).replace(b'"HERE"', b"[" * 10**5 + b"]" * 10**5),
    "100,000 objects": body_of(request_of("pod", object="HERE")).replace(
        b'"HERE"', b'{"a":' * 10**5 + b"1" + b"}" * 10**5
    ),
    "NaN": body_of(request_of("pod", object={"spec": float("nan")})),
    "infinity": body_of(request_of("pod", object={"spec": float("inf")})),
    "a number beyond doubles": body_of(request_of("pod", object={"a": "HERE"})).replace(b'"HERE"', b"1e999"),
    "a list": json.dumps([review_of(request_of("pod"))]).encode(),
    "an old version": json.dumps(review_of(request_of("pod")) | {"apiVersion": "admission.k8s.io/v1beta1"}).encode(),
}


@pytest.mark.parametrize("case", BODIES)
async def test_what_is_no_review_is_said_to_be_none(client: Client, case: str) -> None:
    status, text = await client.send(BODIES[case])
    assert status == 400
    assert text.decode().strip()
    assert (await client.ask(violating_pod())).code == 403


SPOILT = {
    "a number of 5,000 digits": (b'"HERE"', b"1" * 5000),
    "a number beyond 64 bits": (b'"HERE"', b"18446744073709551616"),
    "300 levels": (b'"HERE"', b"[" * 300 + b"]" * 300),
    "null characters": (b'"HERE"', b'"\\u0000\\u0000"'),
    "a key of null characters": (b'"HERE"', b'{"\\u0000": 1}'),
    "the violation twice": (b'"hostNetwork": true', b'"hostNetwork": false, "hostNetwork": true'),
    "the uid twice": (b'"uid":', b'"uid": "another", "uid":'),
}


@pytest.mark.parametrize("case", SPOILT)
async def test_a_violation_is_denied_or_refused_in_odd_company(client: Client, case: str) -> None:
    request = violating_pod()
    request["object"]["spec"]["odd"] = "HERE"
    status, answer = await client.send(body_of(request).replace(*SPOILT[case]))
    assert status in (200, 400)
    if status == 200:
        assert not read_reply(answer, UID).allowed
    assert (await client.ask(request_of("pod"))).allowed


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE", "DELETE", "CONNECT"])
async def test_kinds_nobody_has_rules_for_are_judged_by_the_guards(client: Client, operation: str) -> None:
    kind = {"group": "example.com", "version": "v1", "kind": "NeverHeardOf"}
    request = request_of("pod", kind=kind, operation=operation, userInfo={"username": "mallory@example.com"})
    request["oldObject"] = request["object"]
    elsewhere = await client.ask({**request, "namespace": "elsewhere"})
    assert elsewhere.allowed
    assert (await client.ask(request)).rules == {"MA-GRD-001"}


async def test_only_posts_to_the_one_path_are_answered(client: Client) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
        async with client.session.request(method, "/validate", data=b"{}") as answer:
            assert answer.status == 405, method
    async with client.session.post("/", data=body_of(request_of("pod")), headers=JSON) as answer:
        assert answer.status == 404


async def test_clients_that_never_finish_dont_keep_others_waiting(client: Client) -> None:
    head = b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    starts = (
        b"",
        b"POST /val",
        head,
        head + b"Content-Length: 5000\r\n\r\n{",
        head + b"Transfer-Encoding: chunked\r\n\r\n5",
    )
    writers = []
    for start in starts * 20:
        _, writer = await client.open()
        writer.write(start)
        await writer.drain()
        writers.append(writer)
    _, silent = await asyncio.open_connection("127.0.0.1", client.port)  # not even a handshake
    for _ in range(20):
        assert (await client.ask(violating_pod())).code == 403
    for writer in (*writers, silent):
        writer.close()


async def test_a_body_that_doesnt_come_is_not_waited_for_for_ever(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_BODY_WITHIN", 0.1)
    reader, writer = await client.open()
    writer.write(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
    assert (await reader.readline()).split()[1] == b"408"
    writer.close()


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01 no HTTP\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n",
    ],
)
async def test_noise_is_a_bad_request(client: Client, noise: bytes) -> None:
    reader, writer = await client.open()
    writer.write(noise)
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()
    assert (await client.ask(violating_pod())).code == 403


async def test_a_client_that_hangs_up_harms_nobody(client: Client) -> None:
    for _ in range(20):
        _, writer = await client.open()
        body = body_of(violating_pod())
        writer.write(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body[: len(body) // 2])
        await writer.drain()
        writer.transport.abort()
    assert (await client.ask(violating_pod())).code == 403


async def test_many_at_once_get_each_their_own_answer(client: Client) -> None:
    requests = [{**(violating_pod() if n % 2 else request_of("pod")), "uid": f"uid-{n}"} for n in range(200)]
    replies = await asyncio.gather(*map(client.ask, requests))
    assert [reply.allowed for reply in replies] == [n % 2 == 0 for n in range(200)]


async def test_a_plain_text_connection_is_not_served(client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"POST /validate HTTP/1.1\r\nHost: x\r\n\r\n")
    with suppress(ConnectionError):  # just as good
        assert b"HTTP" not in await reader.read()
    writer.close()
