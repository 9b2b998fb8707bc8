"""From an API object to the little that is kept of it. Pure.

Drift is read off ``metadata.managedFields`` (KEP-555): a change of one of our fields by anyone takes it out of
our set, and what others add outside metadata and status shows in theirs. So a digest of both tells any change
of substance, without the object itself.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from microapp_operator.adapters.kubernetes.kinds import Kind
from microapp_operator.constants import (
    ANNOTATION_APPLIED_HASH,
    FIELD_MANAGER,
    LABEL_APP_UID,
    LABEL_MANAGED_BY,
    MANAGED_BY,
)
from microapp_operator.model.common import Manifest
from microapp_operator.ports import ObjectRef, Observed

_OUTSIDE_SUBSTANCE = frozenset({"f:metadata", "f:status"})
_FILLED_BY_CONTROLLERS = frozenset({"PersistentVolumeClaim"})
"""Kinds whose spec the control plane itself writes (spec.volumeName): foreign fields there are no drift."""


def observed_from(kind: Kind, obj: Mapping[str, Any]) -> Observed:
    """What is kept of ``obj``, an object or its PartialObjectMetadata."""
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    entries = metadata.get("managedFields") or []
    foreign = [] if kind.kind in _FILLED_BY_CONTROLLERS else sorted(_foreign(entries), key=lambda e: e[2], reverse=True)
    return Observed(
        ref=ObjectRef(kind.api_version, kind.kind, metadata.get("namespace", ""), metadata["name"]),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        app_uid=labels.get(LABEL_APP_UID, ""),
        managed=labels.get(LABEL_MANAGED_BY) == MANAGED_BY,
        applied_hash=(metadata.get("annotations") or {}).get(ANNOTATION_APPLIED_HASH, ""),
        fields_digest=_digest([list(_ours(entries)), sorted([m, f] for m, f, _ in foreign)]),
        foreign_managers=tuple(m for m, _, _ in foreign),
        last_manager=_last_manager(entries),
        deleting="deletionTimestamp" in metadata,
        created=metadata.get("creationTimestamp", ""),
        status=_status(obj) if kind.full else None,
    )


def _ours(entries: list[Manifest]) -> Iterator[list[str]]:
    """Our field sets, as text; ordered, so that the digest doesn't depend on the server's order.

    With the time of our last effective write: field sets carry no values, so a change made under our manager's
    name would not show in them. An apply that changes nothing keeps the time.
    """
    rows = [
        [e.get("operation", ""), e.get("time", ""), _text(e.get("fieldsV1", {}))]
        for e in entries
        if e.get("manager") == FIELD_MANAGER and e.get("subresource") != "status"
    ]
    yield from sorted(rows)


def _foreign(entries: list[Manifest]) -> Iterator[tuple[str, str, str]]:
    """(manager, fields, time) of what others own outside metadata and status."""
    for entry in entries:
        if entry.get("manager") == FIELD_MANAGER or entry.get("subresource") == "status":
            continue
        fields = {k: v for k, v in entry.get("fieldsV1", {}).items() if k not in _OUTSIDE_SUBSTANCE}
        if fields:
            yield entry.get("manager", ""), _text(fields), entry.get("time", "")


def _last_manager(entries: list[Manifest]) -> str:
    """Who wrote last, ourselves and status excepted: the one to name in an Event."""
    others = [e for e in entries if e.get("subresource") != "status" and e.get("manager") != FIELD_MANAGER] or entries
    return str(max(others, key=lambda e: e.get("time", ""))["manager"]) if others else ""


def _status(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {**(obj.get("status") or {}), "generation": obj["metadata"].get("generation", 0)}


def _text(fields: Any) -> str:
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value)).hexdigest()[:32]
