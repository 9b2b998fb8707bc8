"""What is rendered for an app with secrets: per mode the children it changes or adds, and what stands in Vault."""

import json
from collections import defaultdict
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.golden.test_golden import _dump
from tests.support.samples import make_app, make_tier

from microapp_operator.desired.context import (
    RenderContext,
    RuntimeChoice,
    SecretsContext,
    SecretSource,
    SourceKind,
    WorkloadKind,
)
from microapp_operator.desired.plan import build_plan
from microapp_operator.desired.vault import (
    build_database_role,
    build_operator_policy,
    build_policy,
    build_role,
)
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.model.tier import Injection
from microapp_operator.settings import VaultSettings

HERE = Path(__file__).parent / "secrets"
SHIPPED = Path(__file__).parents[2] / "charts" / "microapp-operator" / "files" / "vault-operator-policy.hcl"
VAULT = VaultSettings(
    address="https://vault.example.com:8200",
    ca="-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    networks=(ip_network("192.0.2.10/32"),),
    agent_image="registry.example.com/platform/vault@sha256:" + "c" * 64,
    launcher_image="registry.example.com/platform/launcher@sha256:" + "d" * 64,
)
API = SecretSource("api", SourceKind.KV, "secret", "finance/expenses/api", field="token", env="API_TOKEN", restart=True)
BOX = SecretSource("box", SourceKind.KV, "secret", "finance/expenses/box")
DYNAMIC = SecretSource("db", SourceKind.DYNAMIC, "database", "creds/ma-finance-expenses.db", "expenses-ro")
STATIC = SecretSource("ledger", SourceKind.STATIC, "database", "static-creds/ledger", field="password")
SOURCES = (API, BOX, DYNAMIC, STATIC)
CHANGED = ("Deployment", "ConfigMap", "VaultAuth", "VaultStaticSecret", "VaultDynamicSecret", "SecretStore",
           "ExternalSecret")  # fmt: skip


def expenses() -> MicroApp:
    return make_app(
        runtime={"command": ["/app", "--serve"]},
        secrets=[{"name": s.name, "path": f"expenses/{s.name}"} for s in SOURCES],
    )


def render(injection: Injection, **secrets: Any) -> dict[str, str]:
    """File name to content."""
    tier = make_tier(secrets={"injection": injection.value, **secrets})
    only_kv = injection is Injection.EXTERNAL_SECRETS
    sources = tuple(s for s in SOURCES if s.kind is SourceKind.KV) if only_kv else SOURCES
    context = RenderContext(
        runtime=RuntimeChoice(WorkloadKind.DEPLOYMENT), secrets=SecretsContext(sources, VAULT, (("api", "1"),))
    )
    kinds: dict[str, list[Manifest]] = defaultdict(list)
    for manifest in build_plan(expenses(), tier, context).all():
        store_policy = manifest["metadata"]["name"] == "allow-secret-store"
        if manifest["kind"] in CHANGED or store_policy or manifest["metadata"]["name"] == "allow-dns":
            kinds[manifest["kind"].lower()].append(manifest)
    return {f"{kind}.yaml": _dump(manifests) for kind, manifests in kinds.items()}


def render_vault() -> dict[str, str]:
    app, tier = expenses(), make_tier()
    template = {"db_name": "main", "creation_statements": ["CREATE …"], "default_ttl": 600, "max_ttl": 864000}
    return {
        "role.json": json.dumps(build_role(app, tier, VAULT), indent=1) + "\n",
        "policy.hcl": build_policy(app, SOURCES),
        "database-role.json": json.dumps(build_database_role(template, tier), indent=1, ensure_ascii=False) + "\n",
    }


CASES = {
    "rendered": lambda: render(Injection.RENDERED),
    "vault-annotations": lambda: render(Injection.VAULT_ANNOTATIONS),
    "openbao-annotations": lambda: render(Injection.OPENBAO_ANNOTATIONS),
    "vault-secrets-operator": lambda: render(Injection.VAULT_SECRETS_OPERATOR),
    "external-secrets": lambda: render(Injection.EXTERNAL_SECRETS),
    "external-secrets-elsewhere": lambda: render(Injection.EXTERNAL_SECRETS, externalStore="aws"),
    "vault": render_vault,
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered(case: str, golden_update: bool) -> None:
    rendered, folder = CASES[case](), HERE / case
    if golden_update:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.iterdir():
            stale.unlink()
        for name, text in rendered.items():
            (folder / name).write_text(text)
    golden = {path.name: path.read_text() for path in folder.iterdir()}
    assert golden == rendered, "rewrite with --golden-update after reading the difference"


def test_the_policy_that_ships_is_the_one_for_the_default_mounts(golden_update: bool) -> None:
    policy = build_operator_policy(VAULT)
    if golden_update:
        SHIPPED.write_text(policy)
    assert SHIPPED.read_text() == policy


def test_every_mode_has_a_case() -> None:
    tested = {case.replace("-elsewhere", "").replace("-", "").lower() for case in CASES} - {"vault"}
    assert tested == {mode.value.lower() for mode in Injection}


@pytest.mark.parametrize("mode", [Injection.RENDERED, Injection.VAULT_ANNOTATIONS, Injection.OPENBAO_ANNOTATIONS])
def test_the_apps_own_container_gets_files_and_neither_token_nor_agents_configuration(mode: Injection) -> None:
    (deployment,) = yaml.safe_load_all(render(mode)["deployment.yaml"])
    pod = deployment["spec"]["template"]["spec"]
    app = next(c for c in pod["containers"] if c["name"] == "app")
    assert pod["automountServiceAccountToken"] is False
    assert not {m["name"] for m in app["volumeMounts"]} & {"secrets-token", "secrets-agent"}


def test_a_restart_changes_the_pod_template_and_nothing_else() -> None:
    tier, runtime = make_tier(), RuntimeChoice(WorkloadKind.DEPLOYMENT)

    def template(*versions: tuple[str, str]) -> Manifest:
        context = RenderContext(runtime=runtime, secrets=SecretsContext(SOURCES, VAULT, versions))
        plan = build_plan(expenses(), tier, context)
        found: Manifest = next(m for m in plan.workload if m["kind"] == "Deployment")["spec"]["template"]
        return found

    one, two = template(), template(("api", "1"))
    assert one["spec"] == two["spec"]
    assert one["metadata"]["annotations"] != two["metadata"]["annotations"]
    assert two == template(("api", "1"))
