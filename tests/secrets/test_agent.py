"""The real agent takes the configuration as it is rendered, and writes the files the app is promised."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hack.lab.build import binary
from hack.lab.components import VAULT
from hack.lab.vault import LocalVault
from hack.secrets import account_token

from tests.component.conftest import Tenant
from tests.secrets.conftest import DATABASE, Store, kv
from tests.secrets.test_identity import approve_secret_later
from tests.support.eventually import eventually

pytestmark = pytest.mark.usefixtures("operator")


@contextmanager
def agent(tenant: Tenant, namespace: str, store: Store, folder: Path) -> Iterator[Path]:
    """Running as in the pod of ``app``, with its directories below ``folder``; yields that of the files."""
    data = tenant.get("configmap", "secrets-agent", namespace)["data"]
    (folder / "token").write_text(account_token(store.kubectl, namespace, "app"))
    (folder / "ca.crt").write_text(data["ca.crt"])
    files = folder / "secrets"
    files.mkdir()
    text = data["agent.json"].replace("/etc/secrets-agent/", f"{folder}/").replace('"/secrets/', f'"{files}/')
    (folder / "agent.json").write_text(text.replace("/var/run/secrets/microapps.dev/vault/", f"{folder}/"))
    log = (folder / "log").open("wb")
    command = [str(binary(VAULT)), "agent", f"-config={folder}/agent.json"]
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield files
        finally:
            process.terminate()


def test_files_are_written_as_promised_and_follow_the_store(
    tenant: Tenant, store: Store, vault: LocalVault, tmp_path: Path
) -> None:
    store.put(f"{tenant.name}/app/api", token="t0", other="x")
    namespace = tenant.apply(
        secrets=[kv(), {**kv("token"), "path": "app/api", "field": "token"}, {**DATABASE, "name": "db"}]
    )
    approve_secret_later(tenant)
    tenant.wait("app", "SecretsReady")
    eventually(
        lambda: len(json.loads(tenant.get("configmap", "secrets-agent", namespace)["data"]["agent.json"])["template"]),
        3,
    )
    with agent(tenant, namespace, store, tmp_path) as files:
        eventually(lambda: sorted(f.name for f in files.iterdir()), ["api", "db", "token"])
        assert json.loads((files / "api").read_text()) == {"token": "t0", "other": "x"}
        assert (files / "token").read_text() == "t0"
        user = json.loads((files / "db").read_text())
        assert vault.postgres.query_as(user["username"], user["password"], "SELECT 1") == ["1"]
        assert (files / "api").stat().st_mode & 0o777 == 0o440
        store.put(f"{tenant.name}/app/api", token="t1")
        eventually((files / "token").read_text, "t1", timeout=60)
    said = (tmp_path / "log").read_text()
    for value in ("t0", user["password"]):
        assert f'"{value}"' not in said
    leases = store.root.list(f"sys/leases/lookup/database/creds/{namespace}.db")["data"]["keys"]
    assert len(leases) == 1
