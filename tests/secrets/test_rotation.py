"""How old secrets are shows in status; what an engine can rotate is rotated; pods are replaced only when they must."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hack.process import OperatorProcess

from microapp_operator.adapters.vault import VaultStore
from microapp_operator.decide.rotation import evaluate_rotation
from microapp_operator.desired.context import SecretSource, SourceKind
from microapp_operator.reconcile.secrets import SecretLane
from microapp_operator.reconcile.secrets.identity import IdentityKeeper
from microapp_operator.reconcile.secrets.wish import Removal, Wish, update_entries
from microapp_operator.settings import VaultSettings, read_settings
from tests.component.conftest import Tenant
from tests.secrets.conftest import Store, kv, with_secret
from tests.secrets.test_identity import approve_secret_later, events
from tests.support.eventually import eventually
from tests.support.samples import make_app, make_tier

NOTHING: dict[str, Any] = {}


def note(store: Store, path: str, days: float) -> None:
    """Say in the metadata that the value is so old."""
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    store.root.secrets.kv.v2.update_metadata(path, custom_metadata={"rotated_at": at}, mount_point="secret")


def workload(tenant: Tenant, namespace: str) -> tuple[int, str]:
    """(generation of the Deployment, what its pods are replaced for)."""
    found = tenant.get("deployment", "app", namespace)
    annotations = found["spec"]["template"]["metadata"]["annotations"]
    return found["metadata"]["generation"], annotations["microapps.dev/secrets"]


def test_an_old_secret_is_told_a_week_ahead_then_overdue_then_well_again(
    tenant: Tenant, store: Store, operator: OperatorProcess
) -> None:
    with_secret(tenant, store)
    path = f"{tenant.name}/app/api"
    eventually(lambda: tenant.reasons("app", "RotationCurrent"), ("True", "Rotated"))
    note(store, path, 85)
    eventually(lambda: tenant.reasons("app", "RotationCurrent"), ("True", "RotationDue"))
    note(store, path, 91)
    eventually(lambda: tenant.reasons("app", "RotationCurrent"), ("False", "RotationOverdue"))
    assert "secret api, last rotated on" in tenant.condition("app", "RotationCurrent")[2]
    age = operator.total(
        "microapp_operator_secret_age_seconds", resource_namespace=tenant.name, resource_name="app", secret="api"
    )
    assert age == pytest.approx(91 * 86400, abs=600)
    tenant.wait("app", "Ready")
    store.put(path, token="t1")
    note(store, path, 0)
    eventually(lambda: tenant.reasons("app", "RotationCurrent"), ("True", "Rotated"))


def test_a_note_that_a_value_is_newer_than_it_is_changes_nothing(tenant: Tenant, store: Store) -> None:
    with_secret(tenant, store)
    written = tenant.get("mapp", "app")["status"]["secretStore"]["secrets"][0]["rotatedAt"]
    note(store, f"{tenant.name}/app/api", -30)
    store.put(f"{tenant.name}/app/other", x="y")
    tenant.patch("app", {"secrets": [kv(), kv("other")]})
    eventually(lambda: len(tenant.get("mapp", "app")["status"]["secretStore"]["secrets"]), 2)
    assert tenant.get("mapp", "app")["status"]["secretStore"]["secrets"][0]["rotatedAt"] == written


def test_an_overdue_rotation_holds_new_revisions_of_a_high_risk_app_and_no_running_one(
    tenant: Tenant, store: Store
) -> None:
    store.put(f"{tenant.name}/app/api", token="t0")
    namespace = tenant.apply(riskTier="high", secrets=[kv()])
    tenant.wait("app", "Ready")
    note(store, f"{tenant.name}/app/api", 31)
    eventually(lambda: tenant.reasons("app", "RotationCurrent"), ("False", "RotationOverdue"))
    tenant.wait("app", "Ready")
    before = workload(tenant, namespace)
    tenant.patch("app", {"runtime": {"env": [{"name": "NEW", "value": "1"}]}})
    tenant.wait("app", "Stalled")
    assert tenant.reasons("app", "Stalled") == ("True", "RotationOverdue")
    assert workload(tenant, namespace) == before
    store.put(f"{tenant.name}/app/api", token="t1")
    note(store, f"{tenant.name}/app/api", 0)
    eventually(lambda: workload(tenant, namespace)[0] > before[0], timeout=60)
    tenant.wait("app", "Ready")


def test_a_new_value_is_read_again_without_a_restart_unless_the_app_can_not(
    tenant: Tenant, store: Store, operator: OperatorProcess
) -> None:
    namespace = with_secret(tenant, store)
    eventually(lambda: tenant.get("mapp", "app")["status"]["secretStore"]["secrets"][0]["version"], "1")
    tenant.wait("app", "Ready")
    before = workload(tenant, namespace)
    store.put(f"{tenant.name}/app/api", token="t1")
    eventually(lambda: "was rotated" in events(tenant))
    assert workload(tenant, namespace) == before
    tenant.patch("app", {"secrets": [kv(onChange="Restart")]})
    tenant.wait("app", "Ready")
    before = workload(tenant, namespace)
    store.put(f"{tenant.name}/app/api", token="t2")
    eventually(lambda: workload(tenant, namespace)[1] != before[1])
    tenant.wait("app", "Ready")
    assert workload(tenant, namespace)[0] == before[0] + 1
    after = workload(tenant, namespace)
    operator.stop()
    operator.start()
    passes = operator.total("microapp_operator_reconcile_total")
    tenant.kubectl("label", "mapp", "app", "-n", tenant.name, "again=1")
    eventually(lambda: operator.total("microapp_operator_reconcile_total") > passes)
    eventually(lambda: operator.total("microapp_operator_store_requests_total", operation="read", code="200") > 0)
    assert workload(tenant, namespace) == after


@pytest.fixture
def ledger(store: Store) -> Iterator[str]:
    """A database user whose password the engine rotates once a day."""
    name = "ledger"
    store.vault.postgres.query(f"CREATE ROLE {name} WITH LOGIN PASSWORD 'first'")
    role = {"db_name": "main", "username": name, "rotation_period": "24h"}
    store.root.write_data(f"database/static-roles/{name}", data=role)
    yield name
    store.root.delete(f"database/static-roles/{name}")
    store.vault.postgres.query(f"DROP ROLE {name}")


def test_a_rotation_ahead_of_the_engines_time_replaces_the_pods_once(tenant: Tenant, store: Store, ledger: str) -> None:
    namespace = tenant.apply(secrets=[{"name": "db", "engine": "database", "path": f"database/static-creds/{ledger}"}])
    approve_secret_later(tenant)
    eventually(lambda: tenant.get("mapp", "app")["status"].get("secretStore", NOTHING).get("secrets", []) != [])
    eventually(lambda: tenant.get("mapp", "app")["status"]["secretStore"]["secrets"][0]["version"] != "")
    assert store.login(namespace).read(f"database/static-creds/{ledger}")["data"]["username"] == ledger
    tenant.wait("app", "Ready")
    before = workload(tenant, namespace)
    store.root.write_data(f"database/rotate-role/{ledger}", data={})
    eventually(lambda: workload(tenant, namespace)[1] != before[1])
    tenant.wait("app", "Ready")
    assert workload(tenant, namespace)[0] == before[0] + 1


class Later:
    """A clock that is ahead."""

    def __init__(self, days: int) -> None:
        self._ahead = timedelta(days=days)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


@pytest.mark.usefixtures("operator")
async def test_what_the_engine_can_rotate_is_rotated_when_it_is_overdue_one_at_a_time(
    store: Store, settings: Any, ledger: str
) -> None:
    second = "ledger2"
    store.vault.postgres.query(f"CREATE ROLE {second} WITH LOGIN PASSWORD 'first'")
    store.root.write_data(
        f"database/static-roles/{second}", data={"db_name": "main", "username": second, "rotation_period": "9999h"}
    )
    given = read_settings(VaultSettings, settings)
    before = {name: _rotated_at(store, name) for name in (ledger, second)}
    await _run_lane(given, Later(days=91), (ledger, second))
    after = {name: _rotated_at(store, name) for name in (ledger, second)}
    assert sum(before[name] != after[name] for name in before) == 1
    store.root.delete(f"database/static-roles/{second}")


def _rotated_at(store: Store, name: str) -> str:
    return str(store.root.read(f"database/static-roles/{name}")["data"]["last_vault_rotation"])


async def _run_lane(given: VaultSettings, clock: Later, names: tuple[str, ...]) -> None:
    vault = VaultStore(given)
    keeper = IdentityKeeper(vault, given)
    looked = asyncio.Event()
    lane = SecretLane(vault, keeper, clock, 3600, lambda _: looked.set() if lane.seen(key) else None)
    lane.start()
    app = make_app("rotating")
    sources = tuple(SecretSource(n, SourceKind.STATIC, "database", f"static-creds/{n}") for n in names)
    key = ("finance", "rotating")
    lane.want(key, Wish(app, make_tier(), sources, given, "uid"))
    async with asyncio.timeout(30):
        await looked.wait()
        await lane._queue.idle()
    await lane.stop()
    await keeper.remove(Removal("ma-finance-rotating", "uid"))
    await vault.close()


def test_update_entries_is_what_status_keeps_between_two_processes() -> None:
    source = SecretSource("api", SourceKind.KV, "secret", "finance/app/api", restart=True, justification="tier/low")
    (entry,) = update_entries((source,), (), ())
    assert (entry.state, entry.version, entry.restarts) == ("Pending", "", 0)
    assert update_entries((source,), (), (entry,)) == (entry,)
    assert evaluate_rotation((entry,), make_tier(), datetime.now(UTC)).overdue == ()
    assert json.loads(entry.model_dump_json())["justification"] == "tier/low"
