"""Certificates when things go wrong: what is served stays, what is trusted stays, and nothing foreign is touched."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hack.lab.context import Cluster

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient, load_configuration
from microapp_operator.admission.certificates import CA_LIFE, LEAF_LIFE
from microapp_operator.admission.rotation import LOOK_AGAIN, CertificateKeeper
from microapp_operator.errors import Blocked, InvalidSpec, Transient
from microapp_operator.model.common import Manifest
from tests.support.faults import FaultProxy
from tests.support.tls import MovedClock, Webhook, served, trusts

NOW = datetime.now(UTC)
CA_DUE, LEAF_DUE = CA_LIFE * 2 / 3 + timedelta(hours=1), LEAF_LIFE * 2 / 3 + timedelta(hours=1)


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Iterator[FaultProxy]:
    with FaultProxy(cluster.kubeconfig, tmp_path) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[KubernetesClient]:
    client = KubernetesClient(await load_configuration(str(proxy.kubeconfig), "proxy"), in_flight=4)
    yield client
    await client.close()


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(NOW)


@pytest.fixture
def keeper(client: KubernetesClient, unregistered: Webhook, clock: MovedClock) -> CertificateKeeper:
    return CertificateKeeper(client, unregistered.place, clock)


@pytest.mark.parametrize("spoilt", [("GET", "/secrets/"), ("GET", "/validating"), ("PUT", "/secrets/")])
async def test_what_is_served_stays_while_the_api_server_fails(
    proxy: FaultProxy, webhook: Webhook, keeper: CertificateKeeper, clock: MovedClock, spoilt: tuple[str, str]
) -> None:
    await keeper.refresh()
    before = await served(keeper.context)
    clock.time = NOW + LEAF_DUE
    proxy.fail(*spoilt, 503)
    with pytest.raises(Transient, match="injected 503"):
        await keeper.refresh()
    assert await served(keeper.context) == before
    await keeper.refresh()
    assert await served(keeper.context) == webhook.stored("tls.crt") != before


async def test_nothing_is_served_that_could_not_be_published(
    proxy: FaultProxy, webhook: Webhook, keeper: CertificateKeeper
) -> None:
    proxy.fail("PATCH", "/validating", 503)
    with pytest.raises(Transient):
        await keeper.refresh()
    assert keeper.ends is None
    await keeper.refresh()
    assert keeper.ends is not None
    assert trusts(webhook.bundle(), x509.load_pem_x509_certificate(await served(keeper.context)), NOW)


async def test_a_leaf_of_a_trusted_ca_is_renewed_though_the_next_ca_can_not_be_published(
    proxy: FaultProxy, webhook: Webhook, keeper: CertificateKeeper, clock: MovedClock
) -> None:
    await keeper.refresh()
    before, bundle = await served(keeper.context), webhook.bundle()
    clock.time = NOW + CA_DUE
    proxy.fail("PATCH", "/validating", 403, times=10)
    for _ in range(2):
        with pytest.raises(Blocked):
            await keeper.refresh()
        clock.time += timedelta(days=1)
    after = await served(keeper.context)
    assert after != before
    assert trusts(bundle, x509.load_pem_x509_certificate(after), clock.now())
    proxy.heal()
    await keeper.refresh()
    assert await served(keeper.context) == after, "published only now, so it has to wait"


async def test_a_wiped_bundle_is_put_back(webhook: Webhook, keeper: CertificateKeeper) -> None:
    await keeper.refresh()
    before = webhook.bundle()
    webhook.patch("caBundle", "")
    await keeper.refresh()
    assert webhook.bundle() == before


async def test_a_slow_replica_does_not_undo_what_another_published(
    client: KubernetesClient, webhook: Webhook, keeper: CertificateKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the old Secret; before it writes the bundle, the other one brings in the next CA."""
    await keeper.refresh()
    first = webhook.bundle()
    other = CertificateKeeper(client, webhook.place, MovedClock(NOW + CA_DUE))
    webhook.patch("caBundle", "")
    write = client.write

    async def overtaken(call: Call) -> Manifest:
        monkeypatch.setattr(client, "write", write)
        await other.refresh()
        return await write(call)

    monkeypatch.setattr(client, "write", overtaken)
    await keeper.refresh()
    assert webhook.bundle() == first + webhook.stored("ca-next.crt")


async def test_a_deleted_secret_comes_back_with_the_ca_that_is_trusted(
    webhook: Webhook, keeper: CertificateKeeper
) -> None:
    await keeper.refresh()
    before, bundle = webhook.secret()["data"], webhook.bundle()
    webhook.delete_secret()
    await keeper.refresh()
    assert webhook.secret()["data"] == before
    assert webhook.bundle() == bundle


async def test_a_missing_configuration_is_waited_for(unregistered: Webhook, keeper: CertificateKeeper) -> None:
    assert await keeper.refresh() == 10
    leaf = await served(keeper.context)
    unregistered.create()
    assert await keeper.refresh() == LOOK_AGAIN
    assert trusts(unregistered.bundle(), x509.load_pem_x509_certificate(leaf), NOW)


async def test_an_empty_secret_is_filled(webhook: Webhook, keeper: CertificateKeeper) -> None:
    webhook.create_secret("Opaque", {})
    await keeper.refresh()
    assert await served(keeper.context) == webhook.stored("tls.crt")


@pytest.mark.parametrize(
    ("kind", "data", "at_fault"),
    [
        ("kubernetes.io/tls", {"tls.crt": "example", "tls.key": "example"}, "type"),
        ("Opaque", {"ca.crt": "example"}, "data.ca.crt"),
    ],
)
async def test_a_foreign_secret_is_left_alone(
    webhook: Webhook, keeper: CertificateKeeper, kind: str, data: dict[str, str], at_fault: str
) -> None:
    webhook.create_secret(kind, data)
    before = webhook.secret()
    with pytest.raises(InvalidSpec) as failure:
        await keeper.refresh()
    assert failure.value.finding.path == at_fault
    assert webhook.secret() == before
    assert webhook.bundle() == b""


async def test_conflicts_without_end_are_told(proxy: FaultProxy, webhook: Webhook, keeper: CertificateKeeper) -> None:
    proxy.fail("POST", "/secrets", 409, times=100)
    with pytest.raises(Transient, match=webhook.name):
        await keeper.refresh()
    assert proxy.pending_faults() == 95
