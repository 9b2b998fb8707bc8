"""``python -m hack.vaultlog``: records the audit log of a real Vault in use, for the golden file of the transformer."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path

from hvac import exceptions as refused

from hack.kubectl import Kubectl, kubectl_for
from hack.lab.context import cluster_from_environment, started
from hack.lab.vault import LocalVault
from hack.secrets import account_token

TARGET = Path(__file__).parent.parent / "tests" / "golden" / "vaultlog" / "audit.log"
_POLICY = """
path "secret/data/finance/expenses/*" { capabilities = ["read", "create", "update"] }
path "secret/metadata/finance/expenses/*" { capabilities = ["read", "list"] }
path "database/creds/expenses-ro" { capabilities = ["read"] }
"""


def _use(vault: LocalVault, kubectl: Kubectl) -> None:
    """One of everything: reads, a refused one, one of nothing, a write, metadata, a database user, a bad login."""
    client = vault.client(token="")
    jwt = account_token(kubectl, "ma-finance-expenses", "expenses")
    client.auth.kubernetes.login(role="ma-finance-expenses", jwt=jwt)
    kv = client.secrets.kv.v2
    kv.create_or_update_secret("finance/expenses/api", {"token": "t0"}, mount_point="secret")
    kv.read_secret_version("finance/expenses/api", mount_point="secret", raise_on_deleted_version=True)
    kv.read_secret_metadata("finance/expenses/api", mount_point="secret")
    kv.list_secrets("finance/expenses/", mount_point="secret")
    client.read("database/creds/expenses-ro")
    for path in ("secret/data/finance/expenses/none", "secret/data/finance/portal/api", "nowhere/x"):
        with suppress(refused.InvalidPath, refused.Forbidden):
            client.adapter.get(f"/v1/{path}")
    with suppress(refused.Forbidden):
        vault.client(token="").auth.kubernetes.login(role="ma-finance-expenses", jwt="not.a.token")
    with suppress(refused.Forbidden):
        vault.client(token="hvs.made-up").adapter.get("/v1/secret/data/finance/expenses/api")


def main() -> None:
    """Start what is needed, use it, write the lines of the use alone."""
    with started(cluster_from_environment()) as cluster, tempfile.TemporaryDirectory() as folder:
        kubectl = kubectl_for(cluster)
        vault = LocalVault(Path(folder) / "vault")
        vault.up(cluster, kubectl)
        try:
            account = {"name": "expenses", "namespace": "ma-finance-expenses"}
            for manifest in (
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": account["namespace"]}},
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
            ):
                kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))
            root = vault.client()
            root.sys.create_or_update_policy("ma-finance-expenses", _POLICY)
            root.auth.kubernetes.create_role(
                name="ma-finance-expenses",
                bound_service_account_names=["expenses"],
                bound_service_account_namespaces=[account["namespace"]],
                audience="vault",
                policies=["ma-finance-expenses"],
            )
            begin = vault.audit_log.stat().st_size
            _use(vault, kubectl)
            TARGET.parent.mkdir(parents=True, exist_ok=True)
            TARGET.write_bytes(vault.audit_log.read_bytes()[begin:])
            kubectl("delete", "namespace", account["namespace"], "--wait=false")
        finally:
            vault.remove()


if __name__ == "__main__":
    main()
