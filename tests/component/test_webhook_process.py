"""The webhook as its own process: ready when it can judge, new rules while requests stream in, and its end."""

import asyncio
import hashlib
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from hack.lab.build import LabError
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports
from hack.policy.bundle import build_bundle
from hack.policy.rules import read_rules
from hack.process import OperatorProcess

from microapp_operator.adapters.rego import packaged_bundle
from microapp_operator.admission.certificates import build_keyring, ca_bundle
from microapp_operator.policy.groups import GROUPS
from tests.support.bundles import SOUND, compiled
from tests.support.eventually import eventually
from tests.support.reviews import Reply, body_of, read_reply, request_of, violating_pod

REFUSED = "microapp_webhook_bundles_refused_total"
NAMESPACE = "default"


@dataclass
class Replica:
    """A webhook process, its files, and a client that trusts it."""

    folder: Path
    process: OperatorProcess
    port: int
    health: int
    trust: ssl.SSLContext
    leaf: tuple[bytes, bytes]

    def certify(self) -> None:
        """Give it the certificate it waits for."""
        for name, content in zip(("tls.key", "tls.crt"), reversed(self.leaf), strict=True):
            self.replace(name, content)

    def replace(self, name: str, content: bytes) -> None:
        """Write a file at once, as the kubelet does."""
        draft = self.folder / f"{name}.new"
        draft.write_bytes(content)
        os.replace(draft, self.folder / name)

    def decide(self, **settings: Any) -> None:
        """Write the settings."""
        self.replace("settings.yaml", yaml.safe_dump(settings).encode())

    def readiness(self) -> tuple[int, str]:
        """Status and text of /readyz."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/readyz", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def digest(self) -> str:
        """Of the bundle in force, as /readyz has it."""
        (line,) = (line for line in self.readiness()[1].splitlines() if "bundle:" in line)
        return line.split()[-1]

    def refused(self) -> float:
        return self.process.total(REFUSED)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """What it said under that name."""
        lines = (json.loads(line) for line in self.process.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("event") == event]

    def session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self.trust)
        return aiohttp.ClientSession(f"https://127.0.0.1:{self.port}", connector=connector)


async def ask(session: aiohttp.ClientSession, request: dict[str, Any]) -> Reply:
    headers = {"Content-Type": "application/json"}
    request = {**request, "namespace": NAMESPACE}
    async with session.post("/validate", data=body_of(request), headers=headers) as answer:
        assert answer.status == 200
        return read_reply(await answer.read(), request["uid"])


def replica(cluster: Cluster, folder: Path) -> Replica:
    """Not started, and without its certificate."""
    keyring = build_keyring(("127.0.0.1",), datetime.now(UTC))
    port, health = free_ports(2)
    files = {"certificate": "tls.crt", "key": "tls.key", "bundle": "bundle.tar.gz", "settings": "settings.yaml"}
    flags = [f"--{flag}={folder / name}" for flag, name in files.items()]
    process = OperatorProcess(
        cluster.kubeconfig,
        folder / "webhook.log",
        ("--host=127.0.0.1", f"--port={port}", *flags),
        ("webhook", f"--health-port={health}"),
    )
    trust = ssl.create_default_context(cadata=ca_bundle(keyring).decode())
    made = Replica(folder, process, port, health, trust, (keyring.leaf.certificate, keyring.leaf.key))
    made.replace("bundle.tar.gz", packaged_bundle())
    made.decide(registries=["registry.example.com/"])
    return made


@pytest.fixture(scope="module")
def webhook(
    cluster: Cluster,
    installed: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Replica]:
    made = replica(cluster, tmp_path_factory.mktemp("webhook"))
    made.certify()
    with made.process:
        yield made


@pytest.fixture(scope="module")
def smaller(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A bundle of the Pod Security rules alone."""
    target = tmp_path_factory.mktemp("smaller") / "bundle.tar.gz"
    build_bundle(tuple(s for s in read_rules() if s.name.startswith("pod_security")), target)
    return target.read_bytes()


async def until(check: Callable[[], object], wanted: object = True) -> None:
    await asyncio.to_thread(eventually, check, wanted)


async def test_it_is_ready_once_it_can_judge_and_ends_with_its_last_answer(
    cluster: Cluster,
    installed: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    made = replica(cluster, tmp_path)
    made.process.start(ready=False)
    status, text = made.readiness()
    assert status == 503
    assert "[-] certificate failed" in text
    assert len(made.digest()) == 64
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", made.port)
    made.certify()
    await until(made.process.ready)
    async with made.session() as session:
        reply = await ask(session, violating_pod())
    assert reply.bundle == made.digest()
    await _stop_amid_a_request(made)


async def _stop_amid_a_request(made: Replica) -> None:
    """The handler has begun (it says 100 Continue), then comes SIGTERM, then the rest of the body."""
    body = body_of({**violating_pod(), "namespace": NAMESPACE})
    reader, writer = await asyncio.open_connection("127.0.0.1", made.port, ssl=made.trust)
    writer.write(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
    writer.write(f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    writer.write(body[:100])
    stopping = asyncio.create_task(asyncio.to_thread(made.process.stop))
    await until(lambda: len(made.logged("stopping")), 1)
    assert made.readiness()[0] == 503
    writer.write(body[100:])
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    answer = await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
    assert read_reply(answer, violating_pod()["uid"]).rules == {"MA-PSS-002"}
    assert await stopping == 0
    writer.close()


async def test_a_new_bundle_takes_over_while_requests_stream_in(webhook: Replica, smaller: bytes) -> None:
    before, over = webhook.digest(), asyncio.Event()

    async def stream(session: aiohttp.ClientSession) -> list[str]:
        seen = []
        while not over.is_set():
            reply = await ask(session, violating_pod())
            assert "MA-PSS-002" in reply.rules
            seen.append(reply.bundle)
        return seen

    async with webhook.session() as session:
        streams = [asyncio.create_task(stream(session)) for _ in range(4)]
        for bundle in (smaller, packaged_bundle(), smaller):
            digest = webhook.digest()
            webhook.replace("bundle.tar.gz", bundle)
            await until(lambda old=digest: webhook.digest() != old)
        await ask(session, violating_pod())
        over.set()
        seen = await asyncio.gather(*streams)
        after = (await ask(session, violating_pod())).bundle
    assert after == webhook.digest() != before
    for answers in seen:
        turns = [old for old, new in pairwise(answers) if old != new]
        assert turns == [before, after, before][: len(turns)]  # never back to one that was replaced
    assert {digest for answers in seen for digest in answers} == {before, after}
    infos = [series for series in webhook.process.metrics() if series.startswith("microapp_webhook_bundle_info{")]
    assert infos == [f'microapp_webhook_bundle_info{{digest="{after}"}}']
    assert webhook.process.total("microapp_webhook_reviews_total", outcome="error|malformed") == 0


def flipped(_: Path) -> bytes:
    bundle = bytearray(packaged_bundle())
    bundle[len(bundle) // 2] ^= 1
    return bytes(bundle)


BROKEN: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "an entry point missing": (
        lambda folder: compiled(folder, f"pod contains {SOUND}", groups=GROUPS[:-1]),
        f"no entry point for {GROUPS[-1]}",
    ),
    "one bit flipped": (flipped, "no policy bundle"),
    "cut off": (lambda _: packaged_bundle()[:-1000], "cut off"),
    "empty": (lambda _: b"", "cut off"),
    "guarding nothing": (lambda folder: compiled(folder, "pod := set()"), "guards nothing"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_bundle_is_refused_and_the_old_one_stays(webhook: Replica, case: str, tmp_path: Path) -> None:
    make, why = BROKEN[case]
    before, count = webhook.digest(), webhook.refused()
    webhook.replace("bundle.tar.gz", make(tmp_path))
    await until(webhook.refused, count + 1)
    assert why in webhook.logged("policies_refused")[-1]["why"]
    assert webhook.digest() == before
    assert webhook.process.ready()
    async with webhook.session() as session:
        reply = await ask(session, violating_pod())
    assert (reply.code, reply.bundle) == (403, before)


async def test_a_good_bundle_after_a_broken_one_is_taken(webhook: Replica, smaller: bytes) -> None:
    for bundle in (packaged_bundle(), smaller, packaged_bundle()):
        count = webhook.refused()
        webhook.replace("bundle.tar.gz", b"broken once more")
        await until(webhook.refused, count + 1)
        webhook.replace("bundle.tar.gz", bundle)
        await until(webhook.digest, hashlib.sha256(bundle).hexdigest())
        assert webhook.refused() == count + 1


async def judged_image(webhook: Replica) -> frozenset[str]:
    """The rule about registries, when the sample's is not allowed."""
    async with webhook.session() as session:
        return (await ask(session, request_of("pod"))).rules & {"MA-IMG-002"}


async def test_settings_are_taken_up_and_broken_ones_refused(webhook: Replica) -> None:
    webhook.replace("bundle.tar.gz", packaged_bundle())
    await until(webhook.digest, hashlib.sha256(packaged_bundle()).hexdigest())
    assert await judged_image(webhook) == set()
    webhook.decide(registries=["elsewhere.example.com/"])
    await until(lambda: asyncio.run(judged_image(webhook)), {"MA-IMG-002"})
    count = webhook.refused()
    webhook.decide(registries=["registry.example.com"])
    await until(webhook.refused, count + 1)
    assert f"{webhook.folder / 'settings.yaml'}: registries.0" in webhook.logged("policies_refused")[-1]["why"]
    assert await judged_image(webhook) == {"MA-IMG-002"}
    webhook.decide(registries=["registry.example.com/"])
    await until(lambda: asyncio.run(judged_image(webhook)), set())
    assert webhook.refused() == count + 1


async def test_a_broken_file_doesnt_keep_the_other_from_being_taken(webhook: Replica, smaller: bytes) -> None:
    count = webhook.refused()
    webhook.replace("bundle.tar.gz", b"broken")
    await until(webhook.refused, count + 1)
    webhook.decide(registries=["elsewhere.example.com/"])
    await until(lambda: asyncio.run(judged_image(webhook)), {"MA-IMG-002"})
    webhook.replace("settings.yaml", b"registries: [")
    await until(webhook.refused, count + 2)
    webhook.replace("bundle.tar.gz", smaller)
    await until(webhook.digest, hashlib.sha256(smaller).hexdigest())
    assert webhook.refused() == count + 2
    webhook.replace("bundle.tar.gz", packaged_bundle())
    webhook.decide(registries=["registry.example.com/"])
    await until(webhook.digest, hashlib.sha256(packaged_bundle()).hexdigest())


def test_it_doesnt_start_with_files_that_are_no_good(cluster: Cluster, tmp_path: Path) -> None:
    spoilt = {"bundle.tar.gz": (b"none", "no policy bundle"), "settings.yaml": (b"registries: [a]", "registries.0")}
    for name, (content, why) in spoilt.items():
        made = replica(cluster, tmp_path)
        made.replace(name, content)
        with pytest.raises(LabError, match=why):
            made.process.start()
        assert made.process.stop() == 1
