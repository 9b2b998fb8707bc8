"""Where each declared secret is in the store, or why the app can't have it. Pure; nothing is asked of the store.

A path a developer writes names a place within what is the app's own: below its tenant and name in the kv engine, a
user of its own in a database. No other place can be written down, so no other app's can.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from microapp_operator.decide.limits import LimitInput
from microapp_operator.desired.context import SecretsContext, SecretSource, SourceKind
from microapp_operator.desired.delivery.files import FOLDER, mounts_clash
from microapp_operator.desired.launching import PLACE
from microapp_operator.desired.sidecars import AGENT_MODES
from microapp_operator.desired.vault import PLATFORM, database_role_name, is_plain_path
from microapp_operator.gates import ApprovalVerdict
from microapp_operator.model import Profile, SecretRequest
from microapp_operator.model.common import SecretEngine
from microapp_operator.model.microapp import OnChange, SecretUse
from microapp_operator.model.tier import Injection
from microapp_operator.reasons import Finding, Reason
from microapp_operator.settings import VaultSettings

SYSTEM_MOUNTS = frozenset({"sys", "auth", "identity", "cubbyhole"})
NEEDED_APIS = {
    Injection.VAULT_SECRETS_OPERATOR: "secrets.hashicorp.com/v1beta1",
    Injection.EXTERNAL_SECRETS: "external-secrets.io/v1",
}
_DATABASE = re.compile(r"(?P<mount>[^/]+)/(?P<kind>creds|static-creds)/(?P<role>[A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True, slots=True)
class SecretsDecision:
    """The secrets the app may read now; refused: those it can't have as declared."""

    sources: tuple[SecretSource, ...] = ()
    refused: tuple[Finding, ...] = ()


def resolve_secrets(
    given: LimitInput,
    verdict: ApprovalVerdict,
    vault: VaultSettings | None,
    served: frozenset[str],
    unlaunchable: Finding | None = None,
) -> SecretsDecision:
    """Decide on every entry of ``spec.secrets``; without a store there is nothing to decide.

    served: APIs that deliver secrets and are there. unlaunchable: why nothing can be put before what the app runs.
    """
    if vault is None:
        return SecretsDecision()
    waiting = {f.path for f in verdict.secrets}
    approved = {name: f"approval/{a.metadata.name}" for name, a in verdict.delivered}
    sources: list[SecretSource] = []
    refused: list[Finding] = []
    for index, secret in enumerate(given.app.spec.secrets):
        path = f"spec.secrets[{index}]"
        why = approved.get(secret.name, f"tier/{given.tier.metadata.name}")
        found = _locate(given, secret, path, vault)
        if isinstance(found, Finding):
            refused.append(found)
            continue
        source = _source(secret, found, why)
        mode = _unserved(given, served)
        undeliverable = mode or next(_undeliverable(given, source, path, vault, unlaunchable), None)
        if undeliverable is not None:
            refused.append(undeliverable)
        elif path not in waiting:
            sources.append(source)
    return SecretsDecision(tuple(sources), tuple(refused))


def build_context(given: LimitInput, decided: SecretsDecision, vault: VaultSettings | None) -> SecretsContext | None:
    """What the builders need of it; None when nothing is delivered."""
    if vault is None or not decided.sources:
        return None
    store = given.app.status.secret_store
    restarts = {s.name: s.restarts for s in store.secrets} if store else {}
    versions = tuple((s.name, str(restarts[s.name])) for s in decided.sources if restarts.get(s.name))
    return SecretsContext(decided.sources, vault, versions)


def _source(secret: SecretRequest, place: tuple[SourceKind, str, str, str], justification: str) -> SecretSource:
    kind, mount, path, template = place
    return SecretSource(
        name=secret.name,
        kind=kind,
        mount=mount,
        path=path,
        template=template,
        field=secret.field,
        env=secret.env,
        restart=secret.env is not None or secret.on_change is OnChange.RESTART,
        justification=justification,
    )


def _locate(
    given: LimitInput, secret: SecretRequest, path: str, vault: VaultSettings
) -> tuple[SourceKind, str, str, str] | Finding:
    """(kind, mount, path below it, the database role it is made from), or what is wrong."""
    if secret.connector_ref is not None:
        return _of_connector(given, secret, path, vault)
    declared = secret.path or ""
    if not is_plain_path(declared):
        return _refuse(f"{path}.path", f"{declared!r} has an empty, dotted or wild segment.")
    if declared.split("/")[0] in SYSTEM_MOUNTS:
        return _refuse(f"{path}.path", f"{declared} names Vault's own mount {declared.split('/')[0]}/.")
    if secret.engine is SecretEngine.DATABASE:
        return _of_database(given, secret.name, declared, f"{path}.path", vault)
    own = given.app.metadata.name
    if declared.split("/")[0] != own or "/" not in declared:
        return _refuse(f"{path}.path", f"{declared} is not below {own}/, which is what this app may read.")
    third = _third_party(given)
    if third and secret.use is not SecretUse.OWN:
        message = f"a stored value next to egress to {third} is a long-lived token of a third party."
        return Finding(Reason.LONG_LIVED_TOKEN, path, message)
    return SourceKind.KV, vault.kv_mount, f"{given.app.metadata.namespace}/{declared}", ""


def _third_party(given: LimitInput) -> str:
    """The first endpoint outside that no Connector vouches for; empty when there is none."""
    return next((e.host or e.cidr or "" for e in given.app.spec.egress if e.host or e.cidr), "")


def _of_database(
    given: LimitInput, name: str, declared: str, path: str, vault: VaultSettings
) -> tuple[SourceKind, str, str, str] | Finding:
    parts = _DATABASE.fullmatch(declared)
    if parts is None:
        return _refuse(path, f"{declared} is no <mount>/creds/<role> and no <mount>/static-creds/<role>.")
    mount, role = parts["mount"], parts["role"]
    if mount not in vault.database_mounts:
        known = ", ".join(vault.database_mounts) or "none"
        return _refuse(path, f"{mount} is no database engine of this platform (there are: {known}).")
    if role.startswith("ma-"):
        return _refuse(path, f"role {role} belongs to another app.")
    if parts["kind"] == "static-creds":
        return SourceKind.STATIC, mount, f"static-creds/{role}", ""
    meta = given.app.metadata
    own = database_role_name(meta.namespace, meta.name, name)
    return SourceKind.DYNAMIC, mount, f"creds/{own}", role


def _of_connector(
    given: LimitInput, secret: SecretRequest, path: str, vault: VaultSettings
) -> tuple[SourceKind, str, str, str] | Finding:
    where, tier = f"{path}.connectorRef", given.tier.metadata.name
    connector = given.connectors.get(secret.connector_ref or "")
    if connector is None:
        return Finding(Reason.CONNECTOR_NOT_FOUND, where, f"there is no Connector {secret.connector_ref}.")
    spec = connector.spec
    if spec.credential is None:
        return _refuse(where, f"Connector {secret.connector_ref} has no credential.")
    if tier not in spec.tiers:
        return _refuse(where, f"Connector {secret.connector_ref} is not open to tier {tier}.")
    if secret.classification not in spec.classifications:
        return _refuse(
            f"{path}.classification",
            f"Connector {secret.connector_ref} is not open to {secret.classification} data.",
        )
    credential = spec.credential
    if not is_plain_path(credential.path):
        return _refuse(where, f"the credential of Connector {secret.connector_ref} has no proper path.")
    if credential.engine is SecretEngine.DATABASE:
        return _of_database(given, secret.name, credential.path, where, vault)
    return SourceKind.KV, vault.kv_mount, f"{PLATFORM}/{credential.path}", ""


def _unserved(given: LimitInput, served: frozenset[str]) -> Finding | None:
    mode = given.tier.spec.secrets.injection
    needed = NEEDED_APIS.get(mode)
    if needed is None or needed in served:
        return None
    message = f"tier {given.tier.metadata.name} delivers by {mode}, and the cluster does not serve {needed}."
    return _cannot("spec.riskTier", message)


def _undeliverable(
    given: LimitInput, source: SecretSource, path: str, vault: VaultSettings, unlaunchable: Finding | None
) -> Iterator[Finding]:
    """What the pods of this app, in this tier, can't be given."""
    runtime, mode = given.app.spec.runtime, given.tier.spec.secrets.injection
    into_pods = mode in AGENT_MODES
    if into_pods and runtime.profile is Profile.SERVERLESS:
        yield _cannot("spec.runtime.profile", "Knative starts no agent ahead of a serverless app.")
    if mode is Injection.EXTERNAL_SECRETS and source.kind is not SourceKind.KV:
        yield _cannot(path, "External Secrets makes copies, and a database user made on demand can't be copied.")
    clash = mounts_clash(given.app, (FOLDER, PLACE))
    if clash is not None:
        yield _cannot(f"spec.storage[{clash}].mountPath", f"the volume hides {FOLDER}, where secrets are delivered.")
    if source.env is None:
        return
    if source.kind is SourceKind.DYNAMIC:
        yield _cannot(f"{path}.env", "a database user made on demand ends before the process does.")
    if runtime.profile is Profile.WASM:
        # What runs the module is native code: PYTHONPATH or LD_PRELOAD of its own would lead out of the sandbox.
        yield _cannot(f"{path}.env", f"a module gets no variable from a secret: it reads {FOLDER}/{source.name}.")
    if into_pods and vault.launcher_image is None:
        yield _cannot(f"{path}.env", "the platform has no launcher, which sets variables from secrets.")
    if into_pods and unlaunchable is not None:
        yield _cannot(f"{path}.env", f"the launcher has to know what to run. {unlaunchable.text()}")
    if not into_pods and source.field is None:
        yield _cannot(f"{path}.env", "only one field can be exported: set field.")


def _refuse(path: str, message: str) -> Finding:
    return Finding(Reason.SECRET_PATH_NOT_ALLOWED, path, message)


def _cannot(path: str, message: str) -> Finding:
    return Finding(Reason.SECRET_NOT_DELIVERABLE, path, message)
