"""Every app has an identity of its own in a real Vault, which reads what is its own and nothing else."""

import json
from typing import Any

import jwt
import pytest
from hack import approve as approving
from hack.lab.context import Cluster
from hack.process import OperatorProcess
from hack.secrets import account_token
from hvac import exceptions as refused

from microapp_operator.gates import compute_secret_fingerprint
from microapp_operator.model import MicroApp, parse
from tests.component.conftest import Tenant
from tests.secrets.conftest import DATABASE, Store, kv, with_secret
from tests.support.eventually import eventually

pytestmark = pytest.mark.usefixtures("operator")


def events(tenant: Tenant) -> str:
    return tenant.kubectl("get", "events", "-n", tenant.name, "-o", "jsonpath={.items[*].note}{.items[*].message}")


def approve_secret(tenant: Tenant, name: str, app: str = "app") -> None:
    raw = tenant.get("mapp", app)
    parsed = parse(MicroApp, raw)
    secret = next(s for s in parsed.spec.secrets if s.name == name)
    fingerprint = compute_secret_fingerprint(parsed, secret)
    approval = approving.build_approval(raw, f"{app}-{name}", scope="secret", secret=name, fingerprint=fingerprint)
    approving.approve(tenant.kubectl, approval, "reviewer@example.com")


def test_an_app_reads_its_own_secret_and_its_token_does_nothing_else(tenant: Tenant, store: Store) -> None:
    namespace = with_secret(tenant, store)
    app = store.login(namespace)
    assert store.read(app, f"{tenant.name}/app/api") == {"token": "t0"}
    for path in ("secret/metadata/x", "secret/config", "sys/policies/acl/default", f"auth/kubernetes/role/{namespace}"):
        with pytest.raises(refused.Forbidden):
            app.read(path)
    with pytest.raises(refused.Forbidden):
        app.secrets.kv.v2.create_or_update_secret(f"{tenant.name}/app/api", {"a": "b"}, mount_point="secret")
    own = app.auth.token.lookup_self()["data"]
    assert own["policies"] == [namespace]
    assert (own["creation_ttl"], own["renewable"]) == (3600, True)
    assert app.auth.token.renew_self()["auth"]["policies"] == [namespace]


def test_the_token_of_one_app_gets_403_on_the_path_of_another(tenant: Tenant, store: Store) -> None:
    first, second = with_secret(tenant, store, "first"), with_secret(tenant, store, "second")
    with pytest.raises(refused.Forbidden):
        store.read(store.login(first, "first"), f"{tenant.name}/second/api")
    with pytest.raises(refused.Forbidden):
        store.read(store.login(second, "second"), f"{tenant.name}/first/api")


def test_a_wrong_audience_account_or_namespace_can_not_log_in(tenant: Tenant, store: Store) -> None:
    namespace, other = with_secret(tenant, store), with_secret(tenant, store, "other")
    store.kubectl("create", "serviceaccount", "app", "-n", tenant.name)
    store.kubectl("create", "serviceaccount", "second", "-n", namespace)
    for told in (
        {"audience": "https://kubernetes.default.svc"},
        {"account": "second"},
        {"account": "other", "jwt": account_token(store.kubectl, other, "other")},
        {"jwt": account_token(store.kubectl, tenant.name, "app")},
        {"jwt": "not.a.token"},
    ):
        with pytest.raises(refused.Forbidden):
            store.login(namespace, **told)
    assert store.login(namespace)


def test_an_expired_token_can_not_log_in(tenant: Tenant, store: Store, cluster: Cluster) -> None:
    """The API server gives none for less than ten minutes: one that has ended is signed with its own key."""
    namespace = with_secret(tenant, store)
    good = account_token(store.kubectl, namespace, "app")
    claims = jwt.decode(good, options={"verify_signature": False})
    ended = claims | {"exp": claims["iat"] - 60, "iat": claims["iat"] - 700, "nbf": claims["iat"] - 700}
    key = (cluster.kubeconfig.parent / "pki" / "sa.key").read_bytes()
    kid = {"kid": jwt.get_unverified_header(good)["kid"]}
    assert store.login(namespace, jwt=jwt.encode(claims, key, algorithm="RS256", headers=kid))
    with pytest.raises(refused.Forbidden):
        store.login(namespace, jwt=jwt.encode(ended, key, algorithm="RS256", headers=kid))


def test_an_account_made_anew_under_the_same_name_inherits_no_identity(tenant: Tenant, store: Store) -> None:
    namespace = with_secret(tenant, store)
    before = store.login(namespace).auth.token.lookup_self()["data"]["entity_id"]
    uid = tenant.get("serviceaccount", "app", namespace)["metadata"]["uid"]
    store.kubectl("delete", "serviceaccount", "app", "-n", namespace)
    eventually(lambda: tenant.exists("serviceaccount", "app", namespace))
    eventually(lambda: tenant.get("mapp", "app")["status"]["secretStore"]["accountUid"] != uid)
    assert store.login(namespace).auth.token.lookup_self()["data"]["entity_id"] != before
    eventually(lambda: store.exists(f"identity/entity/id/{before}"), False)


@pytest.mark.parametrize(
    ("path", "change", "field"),
    [
        ("auth/kubernetes/role/{}", {"bound_service_account_namespaces": ["{}", "default"]}, "bound_service_account_n"),
        ("auth/kubernetes/role/{}", {"bound_service_account_namespace_selector": '{{"matchLabels":{{}}}}'}, "selector"),
        ("auth/kubernetes/role/{}", {"token_policies": ["{}", "default"]}, "token_policies"),
        ("auth/kubernetes/role/{}", {"token_ttl": 7200}, "token_ttl"),
        ("auth/kubernetes/role/{}", {"audience": "other"}, "audience"),
        ("sys/policies/acl/{}", {"policy": 'path "secret/*" {{ capabilities = ["read"] }}'}, "policy"),
    ],
)
def test_a_changed_role_or_policy_is_repaired_and_the_field_named(
    tenant: Tenant, store: Store, path: str, change: dict[str, Any], field: str
) -> None:
    namespace = with_secret(tenant, store)
    where = path.format(namespace)
    eventually(lambda: tenant.get("mapp", "app")["status"]["secretStore"].get("applied", "") != "")
    wanted = store.root.read(where)["data"]
    spoilt = json.loads(json.dumps(wanted | change).replace("{}", namespace).replace("{{", "{").replace("}}", "}"))
    store.root.write_data(where, data=spoilt)
    assert store.root.read(where)["data"] != wanted
    eventually(lambda: store.root.read(where)["data"] == wanted)
    eventually(lambda: field in events(tenant))


def test_a_deleted_role_is_made_anew(tenant: Tenant, store: Store) -> None:
    namespace = with_secret(tenant, store)
    store.root.delete(f"auth/kubernetes/role/{namespace}")
    eventually(lambda: store.exists(f"auth/kubernetes/role/{namespace}"))
    eventually(lambda: "was deleted" in events(tenant))


def test_a_database_user_needs_an_approval_is_its_own_and_ends_with_the_app(tenant: Tenant, store: Store) -> None:
    store.put(f"{tenant.name}/app/api", token="t0")
    namespace = tenant.apply(secrets=[kv(), DATABASE])
    eventually(lambda: tenant.reasons("app", "SecretsReady"), ("False", "SecretApprovalPending"))
    assert "secret db" in tenant.condition("app", "SecretsReady")[2]
    tenant.wait("app", "Ready")
    eventually(lambda: store.exists(f"auth/kubernetes/role/{namespace}"))
    own = f"database/creds/{namespace}.db"
    with pytest.raises(refused.Forbidden):
        store.login(namespace).read(own)
    approve_secret(tenant, "db")
    tenant.wait("app", "SecretsReady")
    app = store.login(namespace)
    made = app.read(own)
    user, password = made["data"]["username"], made["data"]["password"]
    assert made["lease_duration"] <= 3600
    database = store.vault.postgres
    assert database.query_as(user, password, "SELECT 1") == ["1"]
    with pytest.raises(refused.Forbidden):
        app.read("database/creds/expenses-ro")
    tenant.kubectl("delete", "mapp", "app", "-n", tenant.name, "--timeout=60s")
    assert database.query(f"SELECT rolname FROM pg_roles WHERE rolname = '{user}'") == []
    with pytest.raises(refused.Forbidden):
        app.read(own)
    for gone in (
        f"auth/kubernetes/role/{namespace}",
        f"sys/policies/acl/{namespace}",
        f"database/roles/{namespace}.db",
    ):
        assert not store.exists(gone)


def test_deleting_one_app_leaves_its_sibling_alone(tenant: Tenant, store: Store) -> None:
    first, second = with_secret(tenant, store, "a"), with_secret(tenant, store, "a-b")
    sibling = store.login(second, "a-b")
    old = store.login(first, "a")
    entity = old.auth.token.lookup_self()["data"]["entity_id"]
    tenant.kubectl("delete", "mapp", "a", "-n", tenant.name, "--timeout=60s")
    with pytest.raises(refused.Forbidden):
        store.read(old, f"{tenant.name}/a/api")
    assert not store.exists(f"identity/entity/id/{entity}")
    assert store.read(sibling, f"{tenant.name}/a-b/api") == {"token": "t0"}


def test_secrets_that_are_no_longer_declared_can_no_longer_be_read(tenant: Tenant, store: Store) -> None:
    namespace = with_secret(tenant, store)
    app = store.login(namespace)
    tenant.patch("app", {"secrets": []})
    eventually(lambda: store.exists(f"auth/kubernetes/role/{namespace}"), False)
    with pytest.raises(refused.Forbidden):
        store.read(app, f"{tenant.name}/app/api")
    eventually(lambda: "secretStore" in tenant.get("mapp", "app")["status"], False)
    assert tenant.reasons("app", "SecretsReady") == ("True", "NotRequired")


@pytest.mark.parametrize(
    ("secret", "reason", "words"),
    [
        ({"name": "a", "path": "sys/policies/acl/x"}, "SecretPathNotAllowed", "names Vault's own mount sys/"),
        ({"name": "a", "path": "auth/kubernetes/role/x"}, "SecretPathNotAllowed", "names Vault's own mount auth/"),
        ({"name": "a", "path": "identity/entity"}, "SecretPathNotAllowed", "names Vault's own mount identity/"),
        ({"name": "a", "path": "other/api"}, "SecretPathNotAllowed", "is not below app/"),
        ({"name": "a", "path": "app//x"}, "SecretPathNotAllowed", "empty, dotted or wild segment"),
        ({"name": "a", "path": "app/./x"}, "SecretPathNotAllowed", "empty, dotted or wild segment"),
        ({"name": "a", "path": "app"}, "SecretPathNotAllowed", "is not below app/"),
        ({**DATABASE, "path": "postgres/creds/x"}, "SecretPathNotAllowed", "no database engine of this platform"),
        ({**DATABASE, "path": "database/config/main"}, "SecretPathNotAllowed", "is no <mount>/creds/<role>"),
        ({**DATABASE, "path": "database/creds/ma-x-y.db"}, "SecretPathNotAllowed", "belongs to another app"),
        ({"name": "a", "connectorRef": "nowhere"}, "ConnectorNotFound", "there is no Connector nowhere"),
        ({**DATABASE, "env": "DB"}, "SecretNotDeliverable", "ends before the process does"),
    ],
)
def test_a_path_that_is_not_the_apps_own_is_refused_and_nothing_of_it_is_in_vault(
    tenant: Tenant, store: Store, secret: dict[str, Any], reason: str, words: str
) -> None:
    namespace = tenant.apply(secrets=[kv(), secret])
    eventually(lambda: tenant.reasons("app", "SecretsReady"), ("False", reason))
    message = tenant.condition("app", "SecretsReady")[2]
    assert "spec.secrets[1]" in message
    assert words in message
    assert tenant.reasons("app", "Stalled")[0] == "True"
    assert not store.exists(f"auth/kubernetes/role/{namespace}")
    assert not store.exists(f"sys/policies/acl/{namespace}")


def test_what_is_not_in_vault_is_said_and_found_once_it_is_there(tenant: Tenant, store: Store) -> None:
    namespace = tenant.apply(secrets=[kv(), {**DATABASE, "path": "database/creds/nosuchrole"}])
    approve_secret_later(tenant)
    eventually(lambda: "has no database role nosuchrole" in tenant.condition("app", "SecretsReady")[2])
    assert "has no value at vault://secret/" in tenant.condition("app", "SecretsReady")[2]
    assert "nosuchrole" not in json.dumps(store.root.read(f"sys/policies/acl/{namespace}"))
    assert not store.exists(f"database/roles/{namespace}.db")


def approve_secret_later(tenant: Tenant) -> None:
    eventually(lambda: tenant.get("mapp", "app").get("status", {}).get("policyDigest", "") != "")
    approve_secret(tenant, "db")


def test_a_third_partys_token_comes_from_a_connector_or_not_at_all(tenant: Tenant, store: Store) -> None:
    outside = {
        "name": "tax", "cidr": "203.0.113.0/24", "port": 443, "dataClassification": "internal", "justification": "x",
    }  # fmt: skip
    tenant.apply(secrets=[kv()], egress=[outside])
    eventually(lambda: tenant.reasons("app", "SecretsReady"), ("False", "LongLivedToken"))
    name = f"tax-{tenant.name}"
    connector = {
        "apiVersion": "microapps.dev/v1alpha1",
        "kind": "Connector",
        "metadata": {"name": name},
        "spec": {
            "cidrs": ["203.0.113.0/24"],
            "ports": [443],
            "classifications": ["internal"],
            "tiers": ["low"],
            "credential": {"path": f"connectors/{name}"},
        },
    }
    store.kubectl("apply", "-f", "-", stdin=json.dumps(connector))
    store.put(f"_platform/connectors/{name}", key="k0")
    through = [{"name": "tax", "connectorRef": name, "dataClassification": "internal", "justification": "x"}]
    tenant.patch("app", {"secrets": [{"name": "tax", "connectorRef": name}], "egress": through})
    tenant.wait("app", "SecretsReady")
    assert store.read(store.login(f"ma-{tenant.name}-app"), f"_platform/connectors/{name}") == {"key": "k0"}
    store.kubectl("delete", "connector", name)
    eventually(lambda: tenant.reasons("app", "SecretsReady"), ("False", "ConnectorNotFound"))


def test_a_hundred_passes_make_no_login_and_no_request(tenant: Tenant, store: Store, operator: OperatorProcess) -> None:
    with_secret(tenant, store)
    logins = operator.total("microapp_operator_store_logins_total")
    passes = operator.total("microapp_operator_reconcile_total")
    for number in range(100):
        tenant.kubectl("label", "mapp", "app", "-n", tenant.name, f"pass={number}", "--overwrite")
    eventually(lambda: operator.total("microapp_operator_reconcile_total") >= passes + 60)
    assert operator.total("microapp_operator_store_logins_total") == logins == 1
