"""While Vault is away only two conditions say so; nothing else changes, and all of it recovers by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.lab.vault import LocalVault
from hack.process import OperatorProcess
from hack.secrets import connect
from hvac import exceptions as refused

from tests.component.conftest import Tenant
from tests.secrets.conftest import Store, kv, with_secret
from tests.support.eventually import eventually
from tests.support.vault_proxy import VaultProxy

pytestmark = pytest.mark.usefixtures("operator")
RECOVERY = 60.0
"""Seconds within which all is well again after Vault is back."""


def untouched(tenant: Tenant, namespace: str, name: str = "app") -> tuple[str, str]:
    """What must not move: the workload, and whether the app is ready."""
    deployment = tenant.get("deployment", name, namespace)["metadata"]
    return f"{deployment['uid']}/{deployment['generation']}", tenant.condition(name, "Ready")[0]


def recover(vault: LocalVault, outage: str) -> None:
    if outage == "stopped":
        vault.start()
    vault.unseal()


@pytest.mark.parametrize("outage", ["sealed", "stopped"])
def test_an_outage_changes_two_conditions_and_nothing_else_and_passes(
    tenant: Tenant, store: Store, vault: LocalVault, outage: str
) -> None:
    namespace = with_secret(tenant, store)
    tenant.wait("app", "Ready")
    before = untouched(tenant, namespace)
    if outage == "sealed":
        vault.seal()
    else:
        vault.stop()
    try:
        reason = {"sealed": "SecretStoreSealed", "stopped": "SecretStoreUnreachable"}[outage]
        eventually(lambda: tenant.reasons("app", "VaultReachable"), ("False", reason), timeout=60)
        eventually(lambda: tenant.reasons("app", "SecretsReady"), ("False", reason))
        tenant.apply("other")
        tenant.wait("other", "Ready")
        tenant.patch("app", {"description": "edited meanwhile"})
        tenant.wait("app", "Ready")
        assert untouched(tenant, namespace) == before
    finally:
        recover(vault, outage)
    eventually(lambda: tenant.reasons("app", "SecretsReady"), ("True", "SecretsDelivered"), timeout=RECOVERY)
    assert tenant.reasons("app", "VaultReachable") == ("True", "Reachable")
    assert untouched(tenant, namespace) == before


def test_an_app_made_during_an_outage_gets_its_identity_afterwards(
    tenant: Tenant, store: Store, vault: LocalVault
) -> None:
    store.put(f"{tenant.name}/app/api", token="t0")
    vault.seal()
    try:
        namespace = tenant.apply(secrets=[kv()])
        eventually(lambda: tenant.reasons("app", "VaultReachable"), ("False", "SecretStoreSealed"), timeout=60)
        assert tenant.exists("deployment", "app", namespace)
    finally:
        vault.unseal()
    eventually(lambda: tenant.reasons("app", "SecretsReady"), ("True", "SecretsDelivered"), timeout=RECOVERY)
    assert store.login(namespace)


@pytest.mark.parametrize("outage", ["sealed", "stopped"])
def test_an_operator_that_starts_during_an_outage_says_so_and_recovers(
    tenant: Tenant, store: Store, vault: LocalVault, operator: OperatorProcess, outage: str
) -> None:
    namespace = with_secret(tenant, store)
    operator.stop()
    if outage == "sealed":
        vault.seal()
    else:
        vault.stop()
    try:
        operator.start()
        reason = {"sealed": "SecretStoreSealed", "stopped": "SecretStoreUnreachable"}[outage]
        eventually(lambda: tenant.reasons("app", "VaultReachable"), ("False", reason))
    finally:
        recover(vault, outage)
    eventually(lambda: tenant.reasons("app", "SecretsReady"), ("True", "SecretsDelivered"), timeout=RECOVERY)
    assert "pulse_crashed" not in operator.log.read_text()
    assert store.login(namespace)


def test_a_deletion_waits_for_vault_and_ends_clean_once_it_is_back(
    tenant: Tenant, store: Store, vault: LocalVault
) -> None:
    namespace = with_secret(tenant, store)
    old = store.login(namespace)
    vault.stop()
    try:
        eventually(lambda: tenant.reasons("app", "VaultReachable")[0], "False", timeout=60)
        tenant.kubectl("delete", "mapp", "app", "-n", tenant.name, "--wait=false")
        eventually(lambda: tenant.reasons("app", "Reconciling"), ("True", "CleanupPending"))
        assert tenant.exists("namespace", namespace, namespace)
    finally:
        recover(vault, "stopped")
    eventually(
        lambda: tenant.kubectl("get", "mapp", "app", "-n", tenant.name, "--ignore-not-found"), "", timeout=RECOVERY
    )
    with pytest.raises(refused.Forbidden):
        store.read(old, f"{tenant.name}/app/api")
    assert not store.exists(f"auth/kubernetes/role/{namespace}")


def test_an_admin_can_release_a_deletion_and_that_is_told(tenant: Tenant, store: Store, vault: LocalVault) -> None:
    namespace = with_secret(tenant, store)
    vault.seal()
    try:
        eventually(lambda: tenant.reasons("app", "VaultReachable")[0], "False", timeout=60)
        tenant.kubectl("delete", "mapp", "app", "-n", tenant.name, "--wait=false")
        eventually(lambda: tenant.reasons("app", "Reconciling"), ("True", "CleanupPending"))
        why = "microapps.dev/skip-secret-cleanup=Vault is lost for good"
        tenant.kubectl("annotate", "mapp", "app", "-n", tenant.name, why)
        eventually(lambda: tenant.kubectl("get", "mapp", "app", "-n", tenant.name, "--ignore-not-found"), "")
        who = tenant.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
        told = f"says {who}: Vault is lost for good"
        eventually(lambda: told in tenant.kubectl("get", "events", "-n", tenant.name))
    finally:
        vault.unseal()
    assert store.exists(f"auth/kubernetes/role/{namespace}")
    store.root.delete(f"auth/kubernetes/role/{namespace}")
    store.root.delete(f"sys/policies/acl/{namespace}")


def test_a_revoked_operator_token_is_replaced_by_one_login(
    tenant: Tenant, store: Store, operator: OperatorProcess
) -> None:
    with_secret(tenant, store)
    logins = operator.total("microapp_operator_store_logins_total")
    for accessor in store.root.list("auth/token/accessors")["data"]["keys"]:
        found = store.root.auth.token.lookup_accessor(accessor)["data"]
        if found["policies"] == ["microapp-operator"]:
            store.root.auth.token.revoke_accessor(accessor)
    eventually(lambda: operator.total("microapp_operator_store_logins_total"), logins + 1, timeout=60)
    assert tenant.reasons("app", "SecretsReady") == ("True", "SecretsDelivered")


@pytest.fixture
def proxied(
    cluster: Cluster, kubectl: Kubectl, vault: LocalVault, operator: OperatorProcess, tmp_path: Path
) -> Iterator[tuple[VaultProxy, OperatorProcess]]:
    """An operator that reaches Vault through a proxy, in the place of the one of the session."""
    operator.stop()
    with VaultProxy(vault) as proxy:
        settings = connect(vault, kubectl, tmp_path, address=proxy.address, ca="", resync=2)
        with OperatorProcess(cluster.kubeconfig, tmp_path / "operator.log", (f"--vault={settings}",)) as process:
            yield proxy, process
    operator.start()


@pytest.mark.parametrize(
    ("status", "path"),
    [
        pytest.param(403, "/login|/role/|/policies/|lookup-self", id="403"),
        pytest.param(429, "", id="429"),
        pytest.param(500, "", id="500"),
        pytest.param(502, "", id="502"),
        pytest.param(0, "", id="slow"),
    ],
)
def test_a_fault_of_vault_keeps_apps_running_and_passes(
    tenant: Tenant, store: Store, proxied: tuple[VaultProxy, OperatorProcess], status: int, path: str
) -> None:
    proxy, _ = proxied
    namespace = with_secret(tenant, store)
    tenant.wait("app", "Ready")
    before = untouched(tenant, namespace)
    if status:
        proxy.fail(status, path)
    else:
        proxy.delay(25)
    eventually(lambda: tenant.reasons("app", "SecretsReady")[0], "False", timeout=90)
    tenant.apply("other")
    tenant.wait("other", "Ready")
    assert untouched(tenant, namespace) == before
    proxy.fail(0)
    proxy.delay(0)
    eventually(lambda: tenant.reasons("app", "SecretsReady"), ("True", "SecretsDelivered"), timeout=RECOVERY)
    assert untouched(tenant, namespace) == before
