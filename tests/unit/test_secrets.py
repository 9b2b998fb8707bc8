"""Where an app's secrets are, and each reason for which it can't have one."""

from typing import Any

import pytest
from tests.support.samples import make_approval, make_connector, make_tier
from tests.support.secrets import VAULT, connector_with, decide, declaring, request

from microapp_operator.decide.limits import LimitInput
from microapp_operator.decide.secrets import SecretsDecision, build_context, resolve_secrets
from microapp_operator.desired.context import SecretSource, SourceKind
from microapp_operator.gates import ApprovalVerdict
from microapp_operator.model import parse
from microapp_operator.model.common import Classification
from microapp_operator.model.microapp import MicroAppStatus, OnChange, SecretUse
from microapp_operator.reasons import Reason

ABROAD = {"name": "out", "host": "api.example.com", "port": 443, "dataClassification": "internal", "justification": "x"}
KV, CREDS = "expenses/api", "database/creds/expenses-ro"
PATH, CONNECTOR = "spec.secrets[0].path", "spec.secrets[0].connectorRef"
NOT_ALLOWED, CANNOT = Reason.SECRET_PATH_NOT_ALLOWED, Reason.SECRET_NOT_DELIVERABLE


def source(*secrets: Any, tier: dict[str, Any] | None = None, **more: Any) -> SecretSource:
    """The one that is granted."""
    decided = decide(declaring(*secrets, **more.pop("spec", {})), make_tier(**(tier or {})), **more)
    assert decided.refused == ()
    (found,) = decided.sources
    return found


def refusals(decided: SecretsDecision) -> list[tuple[Reason, str]]:
    assert decided.sources == ()
    return [(f.reason, f.path) for f in decided.refused]


@pytest.mark.parametrize(
    ("secret", "read_path", "secret_id"),
    [
        pytest.param(
            request(path=KV), "secret/data/finance/expenses/api", "vault://secret/finance/expenses/api", id="kv"
        ),
        pytest.param(
            request(path=CREDS, engine="database"),
            "database/creds/ma-finance-expenses.api",
            "vault://database/creds/ma-finance-expenses.api",
            id="dynamic",
        ),
        pytest.param(
            request(path="database/static-creds/ledger", engine="database"),
            "database/static-creds/ledger",
            "vault://database/static-creds/ledger",
            id="static",
        ),
    ],
)
def test_a_path_names_a_place_of_the_apps_own(secret: Any, read_path: str, secret_id: str) -> None:
    found = source(secret)
    assert (found.read_path, found.secret_id, found.justification) == (read_path, secret_id, "tier/low")


def test_a_user_of_its_own_is_made_from_the_role_that_is_named() -> None:
    found = source(request(path=CREDS, engine="database"))
    assert (found.kind, found.template) == (SourceKind.DYNAMIC, "expenses-ro")


@pytest.mark.parametrize(
    ("secret", "restart"),
    [
        pytest.param(request(path=KV), False, id="file"),
        pytest.param(request(path=KV, on_change=OnChange.RESTART), True, id="asked-for"),
        pytest.param(request(path=KV, env="TOKEN"), True, id="variable"),
    ],
)
def test_pods_are_replaced_for_what_they_cannot_read_anew(secret: Any, restart: bool) -> None:
    assert source(secret, spec={"runtime": {"command": ["/app"]}}).restart is restart


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "..", "expenses/..", "expenses/../other/api", "expenses/a..b", "expenses/./api", "../finance/x"),
        *("expenses//api", "/expenses/api", "expenses/api/", "expenses", "expenses/"),
        *("*", "+", "expenses/*", "expenses/+", "expenses/a*", "expenses/+/api"),
        *("sys/health", "auth/token/create", "identity/entity", "cubbyhole/x", "sys", "auth/"),
        *("other/api", "finance/expenses/api", "secret/expenses/api", "data/expenses/api", "_platform/ledger"),
        *("EXPENSES/api", "expenses-2/api", "expenses /api", "expenses/api\n", "expenses/{{identity.entity.id}}"),
    ],
)
def test_what_is_not_below_the_apps_name_is_refused(path: str) -> None:
    assert refusals(decide(declaring(request(path=path)), make_tier())) == [(NOT_ALLOWED, PATH)]


@pytest.mark.parametrize("mount", ["sys", "auth", "identity", "cubbyhole"])
def test_vaults_own_mounts_are_refused_by_name_even_to_an_app_of_that_name(mount: str) -> None:
    (finding,) = decide(declaring(request(path=f"{mount}/api"), name=mount), make_tier()).refused
    assert finding.message == f"{mount}/api names Vault's own mount {mount}/."


@pytest.mark.parametrize(
    "path",
    [
        *("database", "database/creds", "database/creds/", "database/creds/a/b", "database/roles/expenses-ro"),
        *("database/config/main", "database/rotate-role/ledger", "other/creds/expenses-ro", "sys/creds/x"),
        *("auth/creds/x", "database/creds/ma-finance-other.db", "database/static-creds/ma-finance-other.db"),
        *("database/creds/*", "database/creds/+", "database/creds/a..b", "database/creds/../config", "+/creds/x"),
        *("database/creds/_x", "database/creds/.x", "expenses/api"),
    ],
)
def test_what_is_no_role_of_a_known_database_engine_is_refused(path: str) -> None:
    assert refusals(decide(declaring(request(path=path, engine="database")), make_tier())) == [(NOT_ALLOWED, PATH)]


def test_an_engine_that_is_not_there_is_refused_by_the_names_of_those_that_are() -> None:
    app, vault = declaring(request(path=CREDS, engine="database")), VAULT.model_copy(update={"database_mounts": ()})
    (finding,) = decide(app, make_tier(), vault=vault).refused
    assert "(there are: none)" in finding.message


def of_connector(**fields: Any) -> Any:
    return request(connector_ref="ledger", **fields)


@pytest.mark.parametrize(
    ("connector", "read_path"),
    [
        pytest.param(connector_with("ledger/token"), "secret/data/_platform/ledger/token", id="kv"),
        pytest.param(
            connector_with("database/creds/ledger-ro", "database"),
            "database/creds/ma-finance-expenses.api",
            id="dynamic",
        ),
        pytest.param(
            connector_with("database/static-creds/ledger", "database"), "database/static-creds/ledger", id="static"
        ),
    ],
)
def test_the_credential_of_a_connector_is_the_platforms(connector: Any, read_path: str) -> None:
    assert source(of_connector(), connectors={"ledger": connector}).read_path == read_path


@pytest.mark.parametrize(
    ("connector", "expected"),
    [
        pytest.param(None, (Reason.CONNECTOR_NOT_FOUND, CONNECTOR), id="missing"),
        pytest.param(make_connector(), (NOT_ALLOWED, CONNECTOR), id="without-a-credential"),
        pytest.param(connector_with("x", tiers=["high"]), (NOT_ALLOWED, CONNECTOR), id="of-another-tier"),
        pytest.param(
            connector_with("x", classifications=["public"]),
            (NOT_ALLOWED, "spec.secrets[0].classification"),
            id="of-other-data",
        ),
        pytest.param(connector_with("a/../b"), (NOT_ALLOWED, CONNECTOR), id="climbing"),
        pytest.param(connector_with("a/*"), (NOT_ALLOWED, CONNECTOR), id="wild"),
        pytest.param(connector_with(""), (NOT_ALLOWED, CONNECTOR), id="nowhere"),
        pytest.param(connector_with("ledger", "database"), (NOT_ALLOWED, CONNECTOR), id="no-role"),
        pytest.param(connector_with("other/creds/x", "database"), (NOT_ALLOWED, CONNECTOR), id="unknown-engine"),
        pytest.param(connector_with("database/creds/ma-a-b.c", "database"), (NOT_ALLOWED, CONNECTOR), id="an-apps"),
    ],
)
def test_a_connector_gives_only_what_it_has_and_to_whom_it_is_open(
    connector: Any, expected: tuple[Reason, str]
) -> None:
    connectors = {"ledger": connector} if connector else {}
    app = declaring(of_connector(classification=Classification.INTERNAL))
    assert refusals(decide(app, make_tier(), connectors=connectors)) == [expected]


@pytest.mark.parametrize("use", [None, SecretUse.INTEGRATION])
def test_a_long_lived_token_of_a_third_party_is_refused(use: SecretUse | None) -> None:
    app = declaring(request(path=KV, use=use), egress=[ABROAD])
    assert refusals(decide(app, make_tier())) == [(Reason.LONG_LIVED_TOKEN, "spec.secrets[0]")]


@pytest.mark.parametrize(
    ("secret", "egress"),
    [
        pytest.param(request(path=KV, use=SecretUse.OWN), ABROAD, id="its-own"),
        pytest.param(request(path=CREDS, engine="database"), ABROAD, id="short-lived"),
        pytest.param(
            request(path=KV),
            {k: v for k, v in ABROAD.items() if k not in ("host", "port")} | {"connectorRef": "ledger"},
            id="vetted",
        ),
    ],
)
def test_what_is_no_such_token_is_granted(secret: Any, egress: dict[str, Any]) -> None:
    assert source(secret, spec={"egress": [egress]})


RENDERED: dict[str, Any] = {}
ANNOTATIONS = {"secrets": {"injection": "VaultAnnotations"}}
OPERATOR = {"secrets": {"injection": "VaultSecretsOperator"}}
EXTERNAL = {"secrets": {"injection": "ExternalSecrets"}}
NO_LAUNCHER = VAULT.model_copy(update={"launcher_image": None})
COMMAND = {"runtime": {"command": ["/app"]}}
VARIABLE = request(path=KV, env="TOKEN")


@pytest.mark.parametrize(
    ("secret", "tier", "more", "path"),
    [
        *(
            pytest.param(request(path=KV), tier, {"spec": {"runtime": {"profile": "serverless"}}}, where, id=name)
            for name, tier, where in (
                ("serverless-with-an-agent", RENDERED, "spec.runtime.profile"),
                ("serverless-with-an-injected-agent", ANNOTATIONS, "spec.runtime.profile"),
            )
        ),
        pytest.param(request(path=CREDS, engine="database"), EXTERNAL, {}, "spec.secrets[0]", id="a-copied-user"),
        pytest.param(
            request(path="database/static-creds/x", engine="database"), EXTERNAL, {}, "spec.secrets[0]", id="static"
        ),
        *(
            pytest.param(
                request(path=KV),
                RENDERED,
                {"spec": {"storage": [{"name": "v", "size": "1Gi", "mountPath": mount}]}},
                "spec.storage[0].mountPath",
                id=f"hidden-by-{mount}",
            )
            for mount in ("/secrets", "/secrets/api", "/microapps.dev/x", "/.", "/data/../secrets")
        ),
        pytest.param(
            request(path=CREDS, engine="database", env="PGPASSWORD"),
            RENDERED,
            {"spec": COMMAND},
            "spec.secrets[0].env",
            id="variable-of-a-user-made-on-demand",
        ),
        pytest.param(
            VARIABLE, RENDERED, {"spec": COMMAND, "vault": NO_LAUNCHER}, "spec.secrets[0].env", id="no-launcher"
        ),
        pytest.param(VARIABLE, OPERATOR, {}, "spec.secrets[0].env", id="a-whole-secret-as-a-variable"),
        pytest.param(request(path=KV), OPERATOR, {"served": frozenset()}, "spec.riskTier", id="no-secrets-operator"),
        pytest.param(request(path=KV), EXTERNAL, {"served": frozenset()}, "spec.riskTier", id="no-external-secrets"),
    ],
)
def test_what_cannot_be_delivered_is_refused(
    secret: Any, tier: dict[str, Any], more: dict[str, Any], path: str
) -> None:
    app = declaring(secret, **more.pop("spec", {}))
    assert refusals(decide(app, make_tier(**tier), **more)) == [(CANNOT, path)]


@pytest.mark.parametrize(
    ("secret", "tier", "spec"),
    [
        pytest.param(VARIABLE, RENDERED, COMMAND, id="variable-by-the-launcher"),
        pytest.param(request(path=KV, env="TOKEN", field="token"), OPERATOR, {}, id="a-field-as-a-variable"),
        pytest.param(request(path=KV), EXTERNAL, {"runtime": {"profile": "serverless"}}, id="serverless-with-a-copy"),
        pytest.param(
            request(path=KV),
            RENDERED,
            {"storage": [{"name": "v", "size": "1Gi", "mountPath": "/secrets-of-ours"}]},
            id="a-volume-beside",
        ),
    ],
)
def test_what_can_be_delivered_is_granted(secret: Any, tier: dict[str, Any], spec: dict[str, Any]) -> None:
    assert source(secret, tier=tier, spec=spec)


def test_one_refusal_takes_no_other_secret_with_it() -> None:
    app = declaring(request("bad", "sys/health"), request("good", KV))
    decided = decide(app, make_tier())
    assert [s.name for s in decided.sources] == ["good"]
    assert [f.path for f in decided.refused] == ["spec.secrets[0].path"]


def test_what_lacks_its_approval_is_neither_granted_nor_refused() -> None:
    decided = decide(declaring(request(path=KV)), make_tier(), waiting=("spec.secrets[0]",))
    assert (decided.sources, decided.refused) == ((), ())


def test_an_approval_is_what_permits_a_secret_that_needed_one() -> None:
    app = declaring(request(path=KV))
    verdict = ApprovalVerdict(True, delivered=(("api", make_approval(app, "0" * 64, "carol@example.com")),))
    decided = resolve_secrets(LimitInput(app, make_tier(), {}, ()), verdict, VAULT, frozenset())
    assert [s.justification for s in decided.sources] == ["approval/by-carol"]


def test_without_a_store_nothing_is_decided() -> None:
    app = declaring(request(path="sys/health"), request("good", KV))
    assert decide(app, make_tier(), vault=None) == SecretsDecision()


def test_builders_are_told_of_secrets_only_where_there_are_any() -> None:
    app = declaring(request(path=KV))
    given, decided = LimitInput(app, make_tier(), {}, ()), decide(app, make_tier())
    assert build_context(given, SecretsDecision(), VAULT) is None
    assert build_context(given, decided, None) is None
    context = build_context(given, decided, VAULT)
    assert context is not None
    assert (context.sources, context.versions) == (decided.sources, ())


def test_builders_are_told_how_often_pods_were_replaced() -> None:
    entries = [{"name": "api", "state": "Ready", "restarts": 2}, {"name": "gone", "state": "Ready", "restarts": 9}]
    status = {"secretStore": {"role": "ma-finance-expenses", "accountUid": "1", "secrets": entries}}
    app = declaring(request(path=KV)).model_copy(update={"status": parse(MicroAppStatus, status)})
    context = build_context(LimitInput(app, make_tier(), {}, ()), decide(app, make_tier()), VAULT)
    assert context is not None
    assert context.versions == (("api", "2"),)
