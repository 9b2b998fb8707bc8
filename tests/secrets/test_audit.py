"""Each read of a secret from a real Vault becomes one event that says who, what, with what result and why."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hack.lab.context import Cluster
from hack.lab.vault import LocalVault
from hvac import exceptions as refused

from tests.component.conftest import Tenant
from tests.secrets.conftest import DATABASE, Store, kv, with_secret
from tests.secrets.test_identity import approve_secret_later
from tests.support.eventually import eventually

pytestmark = pytest.mark.usefixtures("operator")


def vault_audit(cluster: Cluster, log: Path, *arguments: str) -> list[dict[str, Any]]:
    """What the command prints of the log as it is now."""
    command = [sys.executable, "-m", "microapp_operator", "vault-audit", f"--log={log}", "--once", *arguments]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_reads_are_told_with_what_permits_them_and_refused_ones_without(
    cluster: Cluster, tenant: Tenant, store: Store, vault: LocalVault, tmp_path: Path
) -> None:
    namespace = with_secret(tenant, store)
    tenant.patch("app", {"secrets": [kv(), DATABASE]})
    approve_secret_later(tenant)
    eventually(lambda: store.exists(f"database/roles/{namespace}.db"))
    tenant.wait("app", "SecretsReady")
    app = store.login(namespace)
    store.read(app, f"{tenant.name}/app/api")
    app.read(f"database/creds/{namespace}.db")
    with pytest.raises(refused.Forbidden):
        store.read(app, f"{tenant.name}/neighbour/api")
    state = tmp_path / "state"
    events = [e for e in vault_audit(cluster, vault.audit_log, f"--state={state}") if namespace in e["principal"]]
    principal = f"system:serviceaccount:{namespace}:app"
    told = [[e["secret_id"], e["action"], e["result"], e["justification"]] for e in events]
    assert {e["principal"] for e in events} == {principal}
    assert told == [
        [f"vault://secret/{tenant.name}/app/api", "kv.read", "success", f"{tenant.name}/tier/low"],
        [f"vault://database/creds/{namespace}.db", "database.read", "success", f"{tenant.name}/approval/app-db"],
        [f"vault://secret/{tenant.name}/neighbour/api", "kv.read", "denied", None],
    ]
    assert vault_audit(cluster, vault.audit_log, f"--state={state}") == []
    store.read(app, f"{tenant.name}/app/api")
    (again,) = vault_audit(cluster, vault.audit_log, f"--state={state}")
    assert again["secret_id"] == f"vault://secret/{tenant.name}/app/api"


def test_the_operator_itself_reads_no_secret(tenant: Tenant, store: Store, cluster: Cluster, vault: LocalVault) -> None:
    with_secret(tenant, store)
    events = vault_audit(cluster, vault.audit_log, "--offline")
    assert events
    assert not [e for e in events if "microapp-operator" in e["principal"]]


@contextmanager
def listener(cluster: Cluster, socket: Path, out: Path) -> Iterator[None]:
    """The command, taking what Vault writes to ``socket`` and appending events to ``out``; ended as an admin would."""
    command = [sys.executable, "-m", "microapp_operator", "vault-audit", f"--listen={socket}"]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    with out.open("ab") as events, subprocess.Popen(command, stdout=events, env=environment) as process:
        try:
            eventually(lambda: socket.is_socket() or process.poll() is not None)
            assert process.poll() is None
            yield
        finally:
            process.terminate()
        assert process.wait(30) == 0


@pytest.fixture
def device(vault: LocalVault) -> Iterator[str]:
    """Name of the socket device that a test enables; it is gone afterwards."""
    yield "socket"
    vault.client().sys.disable_audit_device("socket")


def test_a_socket_device_is_listened_to_and_found_again_by_vault(
    cluster: Cluster, tenant: Tenant, store: Store, device: str, tmp_path: Path
) -> None:
    namespace = with_secret(tenant, store)
    app = store.login(namespace)
    socket, out = tmp_path / "audit.sock", tmp_path / "events.jsonl"

    def told() -> list[list[str]]:
        events = [json.loads(each) for each in out.read_text().splitlines()]
        return [[e["secret_id"], e["result"], e["justification"]] for e in events if namespace in e["principal"]]

    read = [f"vault://secret/{tenant.name}/app/api", "success", f"{tenant.name}/tier/low"]
    with listener(cluster, socket, out):
        store.root.sys.enable_audit_device(
            "socket", path=device, options={"address": str(socket), "socket_type": "unix"}
        )
        store.read(app, f"{tenant.name}/app/api")
        eventually(told, [read])
    store.read(app, f"{tenant.name}/app/api")  # nobody listens, and Vault serves all the same: it has other devices
    assert told() == [read]
    with listener(cluster, socket, out):
        store.read(app, f"{tenant.name}/app/api")
        eventually(lambda: told()[1:2], [read])
