"""The webhook's certificates, on a real API server: made once, trusted before they are served, replaced under load."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from hack.lab.context import Cluster

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient, load_configuration
from microapp_operator.admission.certificates import CA_LIFE, LEAF_LIFE, OVERLAP
from microapp_operator.admission.rotation import LOOK_AGAIN, CertificateKeeper
from microapp_operator.errors import Transient
from tests.support.tls import Connection, MovedClock, Webhook, echoing, served, trusts

NOW = datetime.now(UTC)
CA_DUE = CA_LIFE * 2 / 3
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
LAG = timedelta(minutes=30)
"""How far behind a client's view of the webhook configuration is; less than OVERLAP."""


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubernetesClient]:
    client = KubernetesClient(await load_configuration(str(cluster.kubeconfig), cluster.context), in_flight=4)
    yield client
    await client.close()


async def test_keepers_that_race_make_one_secret(client: KubernetesClient, webhook: Webhook) -> None:
    clock = MovedClock(NOW)
    keepers = [CertificateKeeper(client, webhook.place, clock) for _ in range(3)]
    for age in (timedelta(0), LEAF_LIFE * 0.7, CA_DUE + DAY, CA_DUE + DAY + OVERLAP):
        clock.time = NOW + age
        assert all(0 < delay <= LOOK_AGAIN for delay in await asyncio.gather(*(keeper.refresh() for keeper in keepers)))
        assert {await served(keeper.context) for keeper in keepers} == {webhook.stored("tls.crt")}
        leaf = x509.load_pem_x509_certificate(webhook.stored("tls.crt"))
        assert {keeper.ends for keeper in keepers} == {leaf.not_valid_after_utc}
        assert trusts(webhook.bundle(), leaf, clock.now())
    secret = webhook.secret()
    assert secret["type"] == "Opaque"
    assert secret["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "microapp-operator"}
    await asyncio.gather(*(keeper.refresh() for keeper in keepers))
    assert webhook.secret() == secret, "nothing was due, nothing is written"


async def test_it_looks_again_when_something_is_due(client: KubernetesClient, webhook: Webhook) -> None:
    clock = MovedClock(NOW)
    keeper = CertificateKeeper(client, webhook.place, clock)
    assert await keeper.refresh() == LOOK_AGAIN
    first = webhook.stored("tls.crt")
    clock.time = NOW + LEAF_LIFE * 2 / 3 - 5 * SECOND
    assert 3 <= await keeper.refresh() <= 5
    assert webhook.stored("tls.crt") == first
    clock.time += 5 * SECOND
    assert await keeper.refresh() == LOOK_AGAIN
    assert webhook.stored("tls.crt") != first


class Callers:
    """Clients that never stop calling, and trust what the configuration said LAG ago."""

    def __init__(self, webhook: Webhook, client: KubernetesClient, clock: MovedClock) -> None:
        self._client, self._clock = client, clock
        path = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{webhook.name}"
        self._read = Call("GET", path, "validatingwebhookconfigurations")
        self.bundles: list[tuple[datetime, bytes]] = []
        self.failures: list[str] = []
        self.issuers: set[str] = set()
        self.leaves: set[int] = set()
        self.requests = 0

    async def read_configuration(self) -> bool:
        """Look at the configuration; True when the bundle has changed."""
        webhooks = (await self._client.read(self._read))["webhooks"]
        (bundle,) = {base64.b64decode(each["clientConfig"]["caBundle"]) for each in webhooks}
        changed = not self.bundles or self.bundles[-1][1] != bundle
        self.bundles.append((self._clock.now(), bundle))
        return changed

    async def call(self, port: int) -> None:
        connection = await Connection.open(port)
        now, certificate = self._clock.now(), connection.certificate
        bundle = next(bundle for read, bundle in reversed(self.bundles) if read <= now - LAG)
        if not trusts(bundle, certificate, now):
            self.failures.append(f"{now}: {certificate.issuer} is not trusted")
        await connection.ask()
        await connection.close()
        self.requests += 1
        self.issuers.add(certificate.issuer.rfc4514_string())
        self.leaves.add(certificate.serial_number)

    async def call_for_ever(self, port: int) -> None:
        while True:
            await self.call(port)


async def test_no_request_fails_while_leaf_and_ca_are_replaced(client: KubernetesClient, webhook: Webhook) -> None:
    clock = MovedClock(NOW)
    prompt, slow = (CertificateKeeper(client, webhook.place, clock) for _ in range(2))
    callers = Callers(webhook, client, clock)
    end = NOW + CA_DUE + LEAF_LIFE + 2 * DAY
    async with AsyncExitStack() as stack:
        await asyncio.gather(prompt.refresh(), slow.refresh())
        ports = [await stack.enter_async_context(echoing(keeper.context)) for keeper in (prompt, slow)]
        await callers.read_configuration()
        clock.time += LAG
        established = [await Connection.open(port) for port in ports]
        calls = [asyncio.create_task(callers.call_for_ever(port)) for port in ports]
        careful = visit = NOW
        while clock.now() < end:
            clock.time += 10 * MINUTE if clock.now() < careful else DAY
            await prompt.refresh()
            if visit <= clock.now():  # the other replica is days behind
                await slow.refresh()
                visit = clock.now() + 5 * DAY
            if await callers.read_configuration():
                careful = clock.now() + 3 * OVERLAP
            await asyncio.gather(*(callers.call(port) for port in ports))
        assert not any(task.done() for task in calls), "the callers never stopped"
        for connection in established:
            await connection.ask()
            await connection.close()
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert callers.failures == []
    assert callers.requests > 1000
    assert len(callers.leaves) >= (end - NOW) / LEAF_LIFE
    assert len(callers.issuers) == 2
    counts = [len(x509.load_pem_x509_certificates(bundle)) for _, bundle in callers.bundles]
    assert (counts[0], max(counts), counts[-1]) == (1, 2, 1)
    assert callers.bundles[0][1] != callers.bundles[-1][1]


class Reviewer:
    """A webhook that admits everything, on a new connection each time; remembers by which path it was asked."""

    def __init__(self) -> None:
        self.paths: set[str] = set()

    async def review(self, request: web.Request) -> web.Response:
        self.paths.add(request.path)
        uid = (await request.json())["request"]["uid"]
        verdict = {"uid": uid, "allowed": True}
        answer = web.json_response(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": verdict}
        )
        answer.force_close()
        return answer

    @asynccontextmanager
    async def listening(self, keeper: CertificateKeeper) -> AsyncIterator[str]:
        application = web.Application()
        application.router.add_post("/{path}", self.review)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=keeper.context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()


async def test_the_api_server_itself_calls_on_while_the_ca_is_replaced(
    client: KubernetesClient, unregistered: Webhook
) -> None:
    """Its clock can't be moved, so ours starts in the past and the new CA takes over just now."""
    clock, reviewer = MovedClock(NOW - CA_DUE - OVERLAP), Reviewer()
    keeper = CertificateKeeper(client, unregistered.place, clock)
    await keeper.refresh()
    clock.time = NOW - OVERLAP - MINUTE
    await keeper.refresh()
    old = await served(keeper.context)
    manifest: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "asked-"}}
    path = f"/api/v1/namespaces/{unregistered.place.namespace}/configmaps"
    call = Call("POST", path, "configmaps", (("dryRun", "All"),), manifest)
    async with asyncio.timeout(60), reviewer.listening(keeper) as url:
        unregistered.create(f"{url}/first")
        await keeper.refresh()
        while "/first" not in reviewer.paths:
            with suppress(Transient):  # until it has seen the bundle for the first time
                await client.write(call)
        for moment, name in ((NOW - OVERLAP, "second"), (NOW, "third")):
            clock.time = moment
            await keeper.refresh()
            unregistered.patch("url", f"{url}/{name}")
            while f"/{name}" not in reviewer.paths:  # it has then seen the bundle, too
                await client.write(call)
            assert (await served(keeper.context) == old) == (name == "second")
    issuers = [x509.load_pem_x509_certificate(leaf).issuer for leaf in (old, await served(keeper.context))]
    assert issuers[0] != issuers[1]
