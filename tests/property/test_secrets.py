"""Laws of deciding on secrets, over whatever stands in spec.secrets and in Connectors, validated or not."""

import re
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.golden.hostile import APP_NAME, LABEL, NASTY
from tests.support.samples import make_tier
from tests.support.secrets import SERVED, VAULT, connector_with, decide, declaring, request

from microapp_operator.decide.secrets import SecretsDecision
from microapp_operator.desired.context import SecretSource, SourceKind
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.desired.vault import build_policy
from microapp_operator.model import Connector, MicroApp, RiskTier, SecretRequest
from microapp_operator.model.common import Classification
from microapp_operator.model.microapp import OnChange, SecretUse
from microapp_operator.model.tier import Injection
from microapp_operator.settings import VaultSettings

SELF = {"auth/token/lookup-self": "read", "auth/token/renew-self": "update", "sys/leases/renew": "update"}
RULE = re.compile(r'path "([A-Za-z0-9._/-]+)" \{ capabilities = \["(read|update)"\] \}')
APP_NAMES = st.sampled_from(["expenses", "a", "b-c", "c", "a-b-c"]) | APP_NAME
TENANTS = st.sampled_from(["finance", "a", "a-b", "sales"]) | LABEL
ENGINES = st.sampled_from(["kv", "database"])
_PARTS = st.sampled_from(
    ["expenses", "a", "c", "b-c", "finance", "sales", "_platform", "data", "metadata", "secret", "database", "reports",
     "creds", "static-creds", "roles", "expenses-ro", "ma-finance-other.db", "ma-", "ledger", "sys", "auth", "identity",
     "cubbyhole", "..", ".", "", "*", "+", "a*", "...", "-x", "api", "{{identity.entity.id}}", "é", "a b", "a\nb",
     'x" { capabilities = ["sudo"] }']
)  # fmt: skip
_ROLES = st.sampled_from(["expenses-ro", "ledger", "ma-finance-other.db"])
OWN = "<app>"
"""Stands for the app's own name in a path: what is nearly right is what a rule can miss."""
PATHS = (
    st.lists(_PARTS, max_size=3).map(lambda parts: "/".join([OWN, *parts]))
    | st.tuples(st.sampled_from(["database/creds/", "reports/static-creds/"]), _ROLES | _PARTS).map("".join)
    | st.lists(_PARTS, max_size=5).map("/".join)
    | NASTY
    | st.text(max_size=30)
)
NAMES = ("ledger", "tax", "nobody")
CONNECTORS = st.dictionaries(
    st.sampled_from(NAMES[:2]),
    st.builds(connector_with, PATHS, ENGINES, tiers=st.sampled_from([["low"], ["high"], ["low", "high"]])),
)
VARIABLE = st.none() | st.just("TOKEN")
REQUESTS = st.builds(
    request,
    LABEL,
    PATHS,
    engine=ENGINES,
    connector_ref=st.none(),
    field=VARIABLE,
    env=VARIABLE,
    use=st.none() | st.sampled_from(SecretUse),
    on_change=st.sampled_from(OnChange),
    classification=st.sampled_from(Classification),
) | st.builds(
    request,
    LABEL,
    st.none(),
    engine=ENGINES,
    connector_ref=st.sampled_from(NAMES),
    field=VARIABLE,
    env=VARIABLE,
    classification=st.sampled_from(Classification),
)
SECRETS = st.lists(REQUESTS, max_size=6, unique_by=lambda s: s.name).map(tuple)
ABROAD = {"name": "out", "host": "api.example.com", "port": 443, "dataClassification": "internal", "justification": "x"}
SPEC = st.just({"runtime": {"command": ["/app"]}}) | st.fixed_dictionaries(
    {
        "runtime": st.fixed_dictionaries(
            {
                "profile": st.sampled_from(["container", "wasm", "serverless"]),
                "command": st.sampled_from([[], ["/app"]]),
            }
        ),
        "egress": st.sampled_from([[], [ABROAD]]),
        "storage": st.lists(
            st.sampled_from(["/data", "/secrets", "/secrets/x", "/.", "/microapps.dev"]), max_size=1
        ).map(lambda paths: [{"name": "v", "size": "1Gi", "mountPath": path} for path in paths]),
    }
)
TIERS = st.builds(
    lambda name, mode: make_tier(name, secrets={"injection": mode.value}),
    st.sampled_from(["low", "high"]),
    st.just(Injection.RENDERED) | st.sampled_from(Injection),
)
STORES = st.builds(
    lambda mounts, launcher: VAULT.model_copy(update={"database_mounts": mounts, "launcher_image": launcher}),
    st.sampled_from([(), ("database",), ("database", "reports")]),
    st.sampled_from([None, VAULT.launcher_image]),
)


def app_of(name: str, tenant: str, secrets: tuple[SecretRequest, ...], **spec: Any) -> MicroApp:
    """An app that declares ``secrets`` with its own name filled in."""
    named = (s.model_copy(update={"path": s.path and s.path.replace(OWN, name)}) for s in secrets)
    return declaring(*named, name=name, namespace=tenant, **spec)


APPS = st.builds(
    lambda name, tenant, secrets, spec: app_of(name, tenant, secrets, **spec),
    APP_NAMES,
    TENANTS,
    SECRETS,
    SPEC,
)
laws = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def permitted(app: MicroApp, source: SecretSource, connectors: dict[str, Connector], store: VaultSettings) -> str:
    """The one place where the secret may be, from what is declared; empty when there is none."""
    declared = next(s for s in app.spec.secrets if s.name == source.name)
    meta = app.metadata
    path, home = declared.path, f"{store.kv_mount}/data/{meta.namespace}"
    if declared.connector_ref is not None:
        credential = connectors[declared.connector_ref].spec.credential
        assert credential is not None
        path, home = credential.path, f"{store.kv_mount}/data/_platform"
    if source.kind is SourceKind.KV:
        return f"{home}/{path}" if declared.connector_ref or str(path).startswith(f"{meta.name}/") else ""
    if source.mount not in store.database_mounts or source.template.startswith("ma-"):
        return ""
    if source.kind is SourceKind.DYNAMIC:
        return f"{source.mount}/creds/{namespace_name(meta.namespace, meta.name)}.{source.name}"
    shared = re.fullmatch(rf"{source.mount}/static-creds/(?!ma-)[A-Za-z0-9._-]+", str(path))
    return str(path) if shared else ""


@laws
@given(APPS, TIERS, CONNECTORS, STORES, st.sampled_from([frozenset[str](), SERVED]))
def test_every_secret_granted_is_where_this_app_may_read(
    app: MicroApp, tier: RiskTier, connectors: dict[str, Connector], store: VaultSettings, served: frozenset[str]
) -> None:
    decided = decide(app, tier, connectors=connectors, vault=store, served=served)
    for source in decided.sources:
        assert source.read_path == permitted(app, source, connectors, store)


@laws
@given(APPS, TIERS, CONNECTORS, STORES, st.sets(st.integers(0, 5)))
def test_every_secret_is_granted_refused_or_waits_and_a_refusal_says_why(
    app: MicroApp, tier: RiskTier, connectors: dict[str, Connector], store: VaultSettings, late: set[int]
) -> None:
    paths = tuple(f"spec.secrets[{n}]" for n in late)
    decided = decide(app, tier, connectors=connectors, vault=store, waiting=paths)
    at_once = decide(app, tier, connectors=connectors, vault=store)
    assert len(at_once.sources) + len(at_once.refused) == len(app.spec.secrets)
    assert decided.refused == at_once.refused
    held = {s.name for n, s in enumerate(app.spec.secrets) if n in late}
    assert decided.sources == tuple(s for s in at_once.sources if s.name not in held)
    for finding in decided.refused:
        assert finding.path.startswith("spec.")
        assert finding.message.endswith(".")
        assert finding.reason.remedy


@laws
@given(APPS, TIERS, CONNECTORS, STORES)
def test_a_policy_opens_the_secrets_granted_and_nothing_else(
    app: MicroApp, tier: RiskTier, connectors: dict[str, Connector], store: VaultSettings
) -> None:
    sources = decide(app, tier, connectors=connectors, vault=store).sources
    title, *rules = build_policy(app, sources).splitlines()
    assert title.startswith("# ")
    opened = dict(found.groups() for rule in rules if (found := RULE.fullmatch(rule)))
    assert len(opened) == len(rules), rules
    assert opened == {**{s.read_path: "read" for s in sources}, **SELF}
    assert not any(".." in path or "//" in path for path in opened)


WHO = st.tuples(APP_NAMES, TENANTS)


@laws
@given(WHO, WHO, SECRETS, STORES)
def test_no_two_apps_get_a_place_of_their_own_in_common(
    one: tuple[str, str], two: tuple[str, str], secrets: tuple[SecretRequest, ...], store: VaultSettings
) -> None:
    assume(one != two)

    def own(who: tuple[str, str], kind: SourceKind) -> set[str]:
        decided: SecretsDecision = decide(app_of(*who, secrets), make_tier(), vault=store)
        return {s.read_path for s in decided.sources if s.kind is kind}

    assert not own(one, SourceKind.KV) & own(two, SourceKind.KV)
    if namespace_name(one[1], one[0]) != namespace_name(two[1], two[0]):  # a namespace is one app's at a time
        assert not own(one, SourceKind.DYNAMIC) & own(two, SourceKind.DYNAMIC)
