"""One entry of the audit log as an event; None for what isn't the use of a secret. Pure.

Fields: audit entry schema of Vault 1.21 and OpenBao 2.6, of which the latter has no ``mount_class``.
"""

from collections.abc import Mapping
from typing import Any, Final

Event = dict[str, Any]
"""timestamp, principal, secret_id, action, result, justification; request_id tells repeated ones apart."""

_INTERNAL: Final = frozenset({"system", "ns_system", "identity", "ns_identity", "cubbyhole", "ns_cubbyhole", "token"})
_DATABASE: Final = ("creds/", "static-creds/")
"""Paths of the database engine that hand out secrets."""
_KV_OTHERS: Final = frozenset({"metadata", "config", "delete", "undelete", "destroy", "subkeys"})
"""Parts of a kv engine of version 2 in which there are no values; one of version 1 has values everywhere."""
_NOT_USES: Final = frozenset({"help", "list", "alias-lookahead", "resolve-role", "header", "renew", "revoke"})


def read_entry(entry: Mapping[str, Any]) -> tuple[str, Event] | None:
    """(request id, event without its justification) of a request or response entry."""
    request = entry["request"]
    kind, mount, path = _text(request, "mount_type"), _text(request, "mount_point"), _text(request, "path")
    operation = _text(request, "operation")
    if not kind or kind in _INTERNAL or mount.startswith("auth/") or operation in _NOT_USES:
        return None
    inner = _inner(kind, path.removeprefix(mount))
    if inner is None or not _text(request, "id"):
        return None
    namespace = request.get("namespace")
    prefix = _text(namespace, "path") if isinstance(namespace, Mapping) else ""
    event: Event = {
        "timestamp": _text(entry, "time"),
        "principal": principal_of(entry.get("auth")),
        "secret_id": f"vault://{prefix}{mount}{inner}",
        "action": f"{kind}.{operation}",
        "result": _result(entry, operation),
        "justification": None,
        "request_id": _text(request, "id"),
    }
    return event["request_id"], event


def principal_of(auth: object) -> str:
    """Who: a ServiceAccount by its name in the cluster, else an entity, else what Vault calls it."""
    if not isinstance(auth, Mapping):
        return "unauthenticated"
    metadata = auth.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("service_account_name"):
        return f"system:serviceaccount:{metadata.get('service_account_namespace')}:{metadata['service_account_name']}"
    if _text(auth, "entity_id"):
        return f"vault:entity:{_text(auth, 'entity_id')}"
    return f"vault:{_text(auth, 'display_name') or 'unknown'}"


def _inner(kind: str, below: str) -> str | None:
    """The secret's path below its mount; None when there is no secret at ``below``."""
    if kind == "database":
        return below if below.startswith(_DATABASE) and not below.endswith("/") else None
    if kind != "kv":
        return below
    part, _, rest = below.partition("/")
    if part in _KV_OTHERS:
        return None
    return rest or None if part == "data" else below or None


def _result(entry: Mapping[str, Any], operation: str) -> str:
    error = _text(entry, "error")
    auth = entry.get("auth")
    verdict = auth.get("policy_results") if isinstance(auth, Mapping) else None
    if "permission denied" in error or (isinstance(verdict, Mapping) and verdict.get("allowed") is False):
        return "denied"
    if error:
        return "error"
    response = entry.get("response")
    if operation == "read" and entry["type"] == "response":
        held = isinstance(response, Mapping) and (response.get("data") or response.get("secret"))
        return "success" if held else "not_found"
    return "success"


def _text(holder: object, key: str) -> str:
    value = holder.get(key) if isinstance(holder, Mapping) else None
    return value if isinstance(value, str) else ""
