"""What admission fills in: who edits a MicroApp or lets its secrets be, who gives an Approval. Pure.

The same as the MutatingAdmissionPolicies in ``charts/microapp-operator/admission/approvals.yaml``, for API servers
that don't serve those (before Kubernetes 1.36).
"""

from collections.abc import Mapping
from typing import Any

from microapp_operator.constants import ANNOTATION_EDITORS, ANNOTATION_SKIP_CLEANUP_BY
from microapp_operator.policy.identity import identities, read_editors, resolve_skip, stamp_editors

Patch = list[dict[str, Any]]
"""JSON Patch (RFC 6902)."""


def build_stamp(request: Mapping[str, Any]) -> Patch:
    """What to change of the object in ``request`` (an admission request); nothing for other kinds and operations."""
    subject = request.get("object") or {}
    if request["operation"] not in ("CREATE", "UPDATE") or request.get("subResource"):
        return []
    if not (subject.get("metadata") and subject.get("spec")):
        return []  # the API server refuses it by itself
    match request["kind"]["kind"]:
        case "MicroApp":
            return [*_editors(request), *_skipper(request)]
        case "Approval":
            return _approver(request)
    return []


def _editors(request: Mapping[str, Any]) -> Patch:
    metadata = request["object"].get("metadata") or {}
    given = (metadata.get("annotations") or {}).get(ANNOTATION_EDITORS, "")
    stamp = "\n".join(stamp_editors(request))
    old = request.get("oldObject")
    if given == stamp or not stamp or (old and given and given != "\n".join(_before(old))):
        return []  # a list that was changed in place is left for MA-APR-007 to refuse
    opening = [] if metadata.get("annotations") else [{"op": "add", "path": "/metadata/annotations", "value": {}}]
    return [*opening, {"op": "add", "path": _pointer(ANNOTATION_EDITORS), "value": stamp}]


def _skipper(request: Mapping[str, Any]) -> Patch:
    """The same of who lets secrets be: changed in place, it is left for MA-SEC-002 to refuse."""
    given, old, stamp = _skip_stamp(request["object"]), request.get("oldObject"), resolve_skip(request)[1]
    if given == stamp or (old and given and given != _skip_stamp(old)):
        return []
    if not stamp:
        return [{"op": "remove", "path": _pointer(ANNOTATION_SKIP_CLEANUP_BY)}]
    return [{"op": "add", "path": _pointer(ANNOTATION_SKIP_CLEANUP_BY), "value": stamp}]


def _skip_stamp(subject: Mapping[str, Any]) -> str:
    return ((subject.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION_SKIP_CLEANUP_BY) or ""


def _pointer(annotation: str) -> str:
    """RFC 6901."""
    return "/metadata/annotations/" + annotation.replace("~", "~0").replace("/", "~1")


def _before(old: Mapping[str, Any]) -> tuple[str, ...]:
    return read_editors((old.get("metadata") or {}).get("annotations") or {})


def _approver(request: Mapping[str, Any]) -> Patch:
    """Filled in where missing: from the request that creates it, later from what it was."""
    user, old = request["userInfo"], request.get("oldObject")
    now = {
        "approver": user.get("username") or "",
        "approverIdentities": list(identities(user)),
        "approverGroups": user.get("groups") or [],
    }
    spec = request["object"].get("spec") or {}
    values = (old.get("spec") or {}) if old else now
    return [
        {"op": "add", "path": f"/spec/{field}", "value": values[field]}
        for field in now
        if not spec.get(field) and values.get(field)
    ]
