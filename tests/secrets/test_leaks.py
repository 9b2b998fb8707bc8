"""No value of a secret is anywhere but in Vault; the operator's own policy opens nothing more than it needs."""

import json
import uuid
from pathlib import Path

import hvac
import pytest
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.lab.vault import LocalVault
from hack.process import OperatorProcess
from hack.secrets import account_token
from hvac import exceptions as refused

from tests.component.conftest import Tenant
from tests.secrets.conftest import DATABASE, Store, kv, with_secret
from tests.secrets.test_identity import approve_secret_later
from tests.support.eventually import eventually


def test_a_planted_value_is_in_no_log_event_status_object_or_process(
    cluster: Cluster, tenant: Tenant, store: Store, operator: OperatorProcess, settings: Path
) -> None:
    operator.stop()
    planted = f"planted{uuid.uuid4().hex}"
    log = settings.parent / "debug.log"
    jwt = (settings.parent / "vault-token").read_text()
    with OperatorProcess(cluster.kubeconfig, log, (f"--vault={settings}", "--log-level=DEBUG")) as process:
        store.put(f"{tenant.name}/app/api", token=planted)
        namespace = tenant.apply(secrets=[kv(field="token", env="T"), DATABASE], runtime={"command": ["/app"]})
        approve_secret_later(tenant)
        tenant.wait("app", "SecretsReady")
        made = store.login(namespace).read(f"database/creds/{namespace}.db")["data"]["password"]
        store.put(f"{tenant.name}/app/api", token=planted + "2")
        eventually(lambda: "was rotated" in tenant.kubectl("get", "events", "-n", tenant.name))
        tokens = [t for t in _operator_tokens(store) if t]
        seen = "\n".join(
            (
                *(Path(f"/proc/{process.pid}/{name}").read_text() for name in ("cmdline", "environ")),
                process._get("/metrics") or "",
                tenant.kubectl("get", "mapp,events", "-n", tenant.name, "-o", "yaml"),
                tenant.kubectl(
                    "get", "all,configmaps,secrets,events,controllerrevisions", "-n", namespace, "-o", "yaml"
                ),
            )
        )
        tenant.kubectl("delete", "mapp", "app", "-n", tenant.name, "--timeout=60s")
    operator.start()
    seen += log.read_text()
    for value in (planted, made, jwt, "hvs.", *tokens):
        assert value not in seen
    assert "vault_login" in seen


def _operator_tokens(store: Store) -> list[str]:
    """Accessors of the operator's tokens: the tokens themselves nobody can list."""
    keys = store.root.list("auth/token/accessors")["data"]["keys"]
    return [k for k in keys if store.root.auth.token.lookup_accessor(k)["data"]["policies"] == ["microapp-operator"]]


@pytest.fixture
def power(vault: LocalVault, kubectl: Kubectl, settings: Path) -> hvac.Client:  # noqa: ARG001
    """Vault as the operator sees it."""
    client = vault.client(token="")
    jwt = account_token(kubectl, "microapp-system", "microapp-operator")
    client.auth.kubernetes.login(role="microapp-operator", jwt=jwt)
    return client


FORBIDDEN = [
    ("read", "secret/data/{}/app/api", None),
    ("read", "database/creds/expenses-ro", None),
    ("read", "database/static-creds/x", None),
    ("read", "database/config/main", None),
    ("read", "database/creds/{ns}.db", None),
    ("write", "secret/data/{}/app/api", {"data": {"a": "b"}}),
    ("write", "database/roles/expenses-ro", {"db_name": "main"}),
    ("write", "sys/policies/acl/microapp-operator", {"policy": 'path "*" { capabilities = ["sudo"] }'}),
    ("write", "sys/policies/acl/admin", {"policy": ""}),
    ("write", "auth/kubernetes/role/microapp-operator", {"token_policies": "root"}),
    ("write", "auth/kubernetes/role/admin", {"token_policies": "ma-x"}),
    ("write", "auth/kubernetes/role/ma-x", {"token_policies": "microapp-operator"}),
    ("write", "auth/kubernetes/role/ma-x", {"token_policies": "ma-x,microapp-operator"}),
    ("write", "auth/kubernetes/role/ma-x", {"token_policies": ["ma-x", "microapp-operator"]}),
    ("write", "auth/kubernetes/role/ma-x", {"policies": "microapp-operator", "token_policies": "ma-x"}),
    ("write", "auth/token/create", {}),
    ("write", "sys/seal", {}),
    ("write", "sys/mounts/x", {"type": "kv"}),
    ("write", "sys/auth/x", {"type": "userpass"}),
    ("write", "sys/audit/x", {"type": "file"}),
    ("write", "sys/leases/revoke-prefix/auth/kubernetes/login", {}),
    ("write", "sys/leases/revoke-prefix/database/creds/expenses-ro", {}),
    ("write", "identity/entity", {"name": "x"}),
    ("write", "identity/entity-alias", {"name": "x"}),
    ("write", "identity/entity/name/ma-x", {"policies": ["microapp-operator"]}),
    ("write", "identity/entity/id/x", {"policies": ["microapp-operator"]}),
    ("write", "identity/entity/merge", {"from_entity_ids": "x", "to_entity_id": "y"}),
    ("read", "identity/entity/id/x", None),
    ("read", "identity/entity/id?list=true", None),
    ("write", "identity/lookup/entity", {"name": "x"}),
    ("write", "identity/lookup/entity", {"id": "x"}),
    ("write", "identity/lookup/entity", {"alias_id": "x"}),
    ("write", "identity/lookup/entity", {"alias_name": "alice"}),
    ("write", "identity/lookup/entity", {"alias_name": "alice", "alias_mount_accessor": "auth_userpass_1"}),
    ("read", "sys/raw/core", None),
    ("delete", "sys/audit/file", None),
    ("delete", "secret/metadata/{}/app/api", None),
]


@pytest.mark.parametrize(("verb", "path", "body"), FORBIDDEN, ids=lambda v: json.dumps(v) if isinstance(v, dict) else v)
@pytest.mark.usefixtures("operator")
def test_the_operators_policy_opens_nothing_but_what_it_needs(
    power: hvac.Client, verb: str, path: str, body: dict[str, object] | None
) -> None:
    where = path.replace("{ns}", "ma-x-app").replace("{}", "x")
    request = {"read": power.adapter.get, "write": power.adapter.post, "delete": power.adapter.delete}[verb]
    with pytest.raises(refused.Forbidden):
        request(f"/v1/{where}", json=body)


@pytest.mark.usefixtures("operator")
def test_every_path_the_policy_opens_is_one_the_operator_uses(tenant: Tenant, store: Store, vault: LocalVault) -> None:
    namespace = with_secret(tenant, store)
    tenant.patch("app", {"secrets": [kv(), DATABASE]})
    approve_secret_later(tenant)
    eventually(lambda: store.exists(f"database/roles/{namespace}.db"))
    tenant.kubectl("delete", "mapp", "app", "-n", tenant.name, "--timeout=60s")
    used = set()
    for line in vault.audit_log.read_text().splitlines():
        entry = json.loads(line)
        if (entry.get("auth") or {}).get("policies") == ["microapp-operator"]:
            used.add(entry["request"]["path"])
    policy = store.root.read("sys/policies/acl/microapp-operator")["data"]["policy"]
    opened = [line.split('"')[1] for line in policy.splitlines() if line.startswith("path ")]
    optional = {"auth/token/renew-self", "database/static-roles/+", "database/rotate-role/+"}
    for path in opened:
        head = path.removesuffix("*").removesuffix("+")
        assert path in optional or any(each.startswith(head) for each in used), path
