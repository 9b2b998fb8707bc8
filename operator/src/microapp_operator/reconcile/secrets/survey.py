"""Looks at an app's secrets without reading one: when each was written, whether there is anything at its place."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from microapp_operator.desired.context import SecretSource, SourceKind
from microapp_operator.errors import Blocked
from microapp_operator.ports import SecretStore
from microapp_operator.reasons import Finding, Reason
from microapp_operator.reconcile.secrets.wish import SecretState


async def observe_secret(store: SecretStore, source: SecretSource) -> SecretState:
    """The state of ``source``; errors of the store as ``ports`` says, but for an engine that isn't there."""
    try:
        match source.kind:
            case SourceKind.KV:
                return _stored(source, await store.read(f"{source.mount}/metadata/{source.path}"))
            case SourceKind.STATIC:
                role = source.path.removeprefix("static-creds/")
                return _rotated(source, await store.read(f"{source.mount}/static-roles/{role}"))
            case SourceKind.DYNAMIC:
                return _made(source, await store.read(f"{source.mount}/roles/{source.template}"))
    except Blocked as error:
        if error.finding.reason is not Reason.SECRET_ENGINE_NOT_FOUND:
            raise
        message = f"secret {source.name}: Vault has no engine at {source.mount}/."
        return SecretState(source.name, Finding(Reason.SECRET_ENGINE_NOT_FOUND, "", message), absent=True)


def _stored(source: SecretSource, metadata: Mapping[str, Any] | None) -> SecretState:
    """From KV v2 metadata. A note that the value is older than its version is believed, one that it is newer isn't."""
    version = str(metadata.get("current_version") or "") if metadata else ""
    current = (metadata.get("versions") or {}).get(version) if metadata else None
    if metadata is None or not current or current.get("deletion_time") or current.get("destroyed"):
        return SecretState(source.name, _nothing(source, "no value at"))
    written = datetime.fromisoformat(current["created_time"])
    noted = _noted((metadata.get("custom_metadata") or {}).get("rotated_at"))
    return SecretState(source.name, version=version, rotated_at=min(written, noted) if noted else written)


def _rotated(source: SecretSource, role: Mapping[str, Any] | None) -> SecretState:
    if role is None:
        return SecretState(source.name, _nothing(source, "no static role for"), absent=True)
    last = str(role.get("last_vault_rotation") or "")
    period = timedelta(seconds=role["rotation_period"]) if role.get("rotation_period") else None
    if not last:
        return SecretState(source.name)
    return SecretState(source.name, version=last[:64], rotated_at=datetime.fromisoformat(last), period=period)


def _made(source: SecretSource, template: Mapping[str, Any] | None) -> SecretState:
    if template is None:
        message = f"secret {source.name}: Vault has no database role {source.template} in {source.mount}/."
        return SecretState(source.name, Finding(Reason.SECRET_NOT_FOUND, "", message), absent=True)
    return SecretState(source.name)


def _nothing(source: SecretSource, what: str) -> Finding:
    return Finding(Reason.SECRET_NOT_FOUND, "", f"secret {source.name}: Vault has {what} {source.secret_id}.")


def _noted(text: object) -> datetime | None:
    """A time a person wrote down, with its zone; None when it is none."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo is not None else None
