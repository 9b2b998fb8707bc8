"""Modes VaultSecretsOperator and ExternalSecrets: other operators copy secrets into Kubernetes Secrets.

The copies are in the cluster's store, and readable by whoever may read Secrets there. Hence opt-in. The pods are
replaced by us, never by those operators: a Deployment they wrote to would be repaired.
"""

import base64
from typing import Any, Final

from microapp_operator.desired.context import SecretsContext, SecretSource, SourceKind
from microapp_operator.desired.delivery.files import TOKEN_SECONDS, VOLUME, annotate, change_template, share_files
from microapp_operator.desired.metadata import build_child, seal, shorten
from microapp_operator.desired.vault import identity_name
from microapp_operator.model import Manifest, MicroApp, RiskTier

IDENTITY: Final = "secrets"
"""Name of the VaultAuth or SecretStore, and of the ExternalSecret."""
_KEY: Final = "value"
_REFRESH: Final = "1m"


def build_vault_secrets(app: MicroApp, secrets: SecretsContext) -> tuple[Manifest, ...]:
    """A VaultAuth of the app's account, and a VaultStaticSecret or VaultDynamicSecret each."""
    store = secrets.store
    auth: Manifest = {
        "method": "kubernetes",
        "mount": store.auth_mount,
        "kubernetes": {
            "role": identity_name(app),
            "serviceAccount": app.metadata.name,
            "audiences": [store.audience],
            "tokenExpirationSeconds": TOKEN_SECONDS,
        },
    }
    if store.vault_namespace:
        auth["namespace"] = store.vault_namespace
    return (
        build_child(app, "VaultAuth", name=IDENTITY, body={"spec": auth}),
        *(_vault_secret(app, source) for source in secrets.sources),
    )


def build_external_secrets(app: MicroApp, tier: RiskTier, secrets: SecretsContext) -> tuple[Manifest, ...]:
    """One ExternalSecret for all, from the tier's ClusterSecretStore, or a SecretStore of the app's own account."""
    named = tier.spec.secrets.external_store
    ref = {"kind": "ClusterSecretStore", "name": named} if named else {"kind": "SecretStore", "name": IDENTITY}
    body = {
        "spec": {
            "refreshInterval": _REFRESH,
            "secretStoreRef": ref,
            "target": {"name": IDENTITY, "creationPolicy": "Owner", "deletionPolicy": "Delete"},
            "data": [{"secretKey": s.name, "remoteRef": _remote(s)} for s in secrets.sources],
        }
    }
    wanted = build_child(app, "ExternalSecret", name=IDENTITY, body=body)
    return (wanted,) if named else (_secret_store(app, secrets), wanted)


def add_copies(deployment: Manifest, app: MicroApp, secrets: SecretsContext, *, one: bool) -> Manifest:
    """``deployment`` with files and variables from the copies; ``one``: all of them are in a single Secret."""
    changed, template, container = change_template(deployment)
    sources = [{"secret": _projection(s, one=one)} for s in secrets.sources]
    share_files(template["spec"], container, {"name": VOLUME, "projected": {"sources": sources, "defaultMode": 0o440}})
    variables = [
        {"name": s.env, "valueFrom": {"secretKeyRef": {"name": _copy(s, one=one), "key": s.name if one else _KEY}}}
        for s in secrets.sources
        if s.env
    ]
    if variables:
        container["env"] = [*container.get("env", ()), *variables]
    paths = [[s.name, s.read_path, s.field] for s in secrets.sources]
    annotate(template, secrets, [app.metadata.uid, paths])
    return seal(changed)


def _vault_secret(app: MicroApp, source: SecretSource) -> Manifest:
    text = f'get .Secrets "{source.field}"' if source.field else ".Secrets | mustToJson"
    destination = {
        "name": _copy(source, one=False),
        "create": True,
        "transformation": {
            "excludeRaw": True,
            "excludes": [".*"],
            "templates": {_KEY: {"text": f"{{{{- {text} -}}}}"}},
        },
    }
    spec: dict[str, Any] = {"vaultAuthRef": IDENTITY, "mount": source.mount, "path": source.path}
    if source.kind is SourceKind.KV:
        spec |= {"type": "kv-v2", "refreshAfter": _REFRESH, "destination": destination}
        return build_child(app, "VaultStaticSecret", name=source.name, body={"spec": spec})
    static = source.kind is SourceKind.STATIC
    spec |= {"allowStaticCreds": True} if static else {"revoke": True}
    return build_child(app, "VaultDynamicSecret", name=source.name, body={"spec": spec | {"destination": destination}})


def _secret_store(app: MicroApp, secrets: SecretsContext) -> Manifest:
    store = secrets.store
    account = {"name": app.metadata.name, "audiences": [store.audience]}
    kubernetes = {"mountPath": store.auth_mount, "role": identity_name(app), "serviceAccountRef": account}
    vault: dict[str, Any] = {
        "server": store.address,
        "path": store.kv_mount,
        "version": "v2",
        "auth": {"kubernetes": kubernetes},
    }
    if store.ca:
        vault["caBundle"] = base64.b64encode(store.ca.encode()).decode()
    if store.vault_namespace:
        vault["namespace"] = store.vault_namespace
    return build_child(app, "SecretStore", name=IDENTITY, body={"spec": {"provider": {"vault": vault}}})


def _remote(source: SecretSource) -> dict[str, str]:
    return {"key": source.path, **({"property": source.field} if source.field else {})}


def _projection(source: SecretSource, *, one: bool) -> dict[str, Any]:
    key = source.name if one else _KEY
    return {"name": _copy(source, one=one), "items": [{"key": key, "path": source.name}]}


def _copy(source: SecretSource, *, one: bool) -> str:
    """Name of the Kubernetes Secret the copy is in."""
    return IDENTITY if one else shorten(f"{IDENTITY}-{source.name}", source.name)
