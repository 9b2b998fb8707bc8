"""An AdmissionReview (admission.k8s.io/v1) in, a response out. Pure; nothing malformed is ever allowed."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from microapp_operator.errors import InvalidSpec
from microapp_operator.model.common import DNS_LABEL
from microapp_operator.policy.groups import group_of
from microapp_operator.policy.verdict import Verdict, Violation

REVIEW_VERSION: Final = "admission.k8s.io/v1"
_OPERATIONS: Final = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
_IDS_MAX: Final = 64
"""Rule ids in one audit annotation."""
_QUOTED_MAX: Final = 200
"""Violations put into words in one answer: an object of a hundred kilobytes can hold tens of thousands."""
_NAMESPACE: Final = re.compile(DNS_LABEL)


@dataclass(frozen=True, slots=True)
class Review:
    """One question of the API server: ``request`` as it came, without managed fields, which no rule asks about."""

    request: Mapping[str, Any]

    @property
    def uid(self) -> str:
        """By which the API server knows the answer as its own."""
        return str(self.request["uid"])

    @property
    def kind(self) -> str:
        """Kind asked about."""
        return str(self.request["kind"]["kind"])

    @property
    def namespace(self) -> str:
        """Namespace of the object, empty for a cluster-wide one."""
        return str(self.request.get("namespace") or "")

    @property
    def group(self) -> str:
        """Group of rules that judges it."""
        return group_of(self.kind, str(self.request.get("subResource") or ""), str(self.request["operation"]))


def parse_review(body: bytes) -> Review:
    """The review in ``body``. InvalidSpec says what is missing or of the wrong type."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidSpec(path="", message=f"the body is no JSON: {error}.") from error
    if not isinstance(document, dict) or document.get("kind") != "AdmissionReview":
        raise InvalidSpec(path="kind", message="the body is no AdmissionReview.")
    if document.get("apiVersion") != REVIEW_VERSION:
        raise InvalidSpec(path="apiVersion", message=f"must be {REVIEW_VERSION}.")
    request = document.get("request")
    if not isinstance(request, dict):
        raise InvalidSpec(path="request", message="there is no request.")
    _require(request, "uid", str)
    _require(request, "operation", str)
    _require(_require(request, "kind", dict), "kind", str, "request.kind.kind")
    if request["operation"] not in _OPERATIONS:
        raise InvalidSpec(path="request.operation", message="must be one of CREATE, UPDATE, DELETE and CONNECT.")
    _check_place(request)
    _check_user(_require(request, "userInfo", dict))
    for name in ("object", "oldObject"):
        _check_object(f"request.{name}", _optional(request, name, dict))
    return Review({**request, "object": _lean(request.get("object")), "oldObject": _lean(request.get("oldObject"))})


def build_response(review: Review, verdict: Verdict, digest: str) -> bytes:
    """The answer: 403 with all denials, or allowed; warnings, and audit annotations with rule ids and bundle."""
    response: dict[str, Any] = {"uid": review.uid, "allowed": verdict.allowed}
    annotations = {"bundle": digest}
    for name, violations in (("denied", verdict.denied), ("warned", verdict.warned), ("excepted", verdict.suspended)):
        if violations:
            annotations[name] = ",".join(sorted({v.rule.id for v in violations})[:_IDS_MAX])
    if verdict.denied:
        quoted = [(v, v.text()) for v in _quoted(verdict)]
        left = len(verdict.denied) - _QUOTED_MAX
        more = f"\nAnd {left} more violations of the same rules." if left > 0 else ""
        response["status"] = {
            "status": "Failure",
            "code": 403,
            "reason": "Forbidden",
            "message": "\n".join(text for _, text in quoted) + more,
            "details": {
                "kind": review.kind,
                "name": review.request.get("name") or "",
                "causes": [{"reason": v.rule.id, "field": v.path, "message": text} for v, text in quoted],
            },
        }
    warnings = verdict.warnings()
    if warnings:
        response["warnings"] = warnings
    response["auditAnnotations"] = annotations
    return orjson.dumps({"apiVersion": REVIEW_VERSION, "kind": "AdmissionReview", "response": response})


def build_mutation(uid: str, patch: Sequence[Mapping[str, Any]]) -> bytes:
    """Allowed, with ``patch`` (RFC 6902) to apply."""
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(patch)).decode()}
    return orjson.dumps({"apiVersion": REVIEW_VERSION, "kind": "AdmissionReview", "response": response})


def build_refusal(uid: str, message: str) -> bytes:
    """The answer when there is none: refused with 500, because the question could not be judged."""
    status = {"status": "Failure", "code": 500, "reason": "InternalError", "message": message}
    response = {"uid": uid, "allowed": False, "status": status}
    return orjson.dumps({"apiVersion": REVIEW_VERSION, "kind": "AdmissionReview", "response": response})


def _quoted(verdict: Verdict) -> tuple[Violation, ...]:
    """The denials that are put into words: the first of every rule, then the others, as many as fit."""
    if len(verdict.denied) <= _QUOTED_MAX:
        return verdict.denied
    first = {v.rule.id: v for v in reversed(verdict.denied)}
    rest = [v for v in verdict.denied if v is not first[v.rule.id]]
    return (*first.values(), *rest)[:_QUOTED_MAX]


def _require(parent: Mapping[str, Any], name: str, kind: type, path: str = "") -> Any:
    value = parent.get(name)
    if not isinstance(value, kind) or not value:
        raise InvalidSpec(path=path or f"request.{name}", message=f"is missing or no {kind.__name__}.")
    return value


def _optional(parent: Mapping[str, Any], name: str, kind: type, path: str = "request.") -> Any:
    value = parent.get(name)
    if value is not None and not isinstance(value, kind):
        raise InvalidSpec(path=f"{path}{name}", message=f"must be absent, null or a {kind.__name__}.")
    return value


def _check_place(request: Mapping[str, Any]) -> None:
    """Names are quoted in answers, and the namespace's becomes part of an address of the API server."""
    _optional(request, "name", str)
    _optional(request, "subResource", str)
    namespace = _optional(request, "namespace", str)
    if namespace and (len(namespace) > 63 or not _NAMESPACE.fullmatch(namespace)):
        raise InvalidSpec(path="request.namespace", message=f"{namespace[:63]!r} is no name of a namespace.")


def _check_user(user: Mapping[str, Any]) -> None:
    """authentication.k8s.io/v1 UserInfo."""
    path = "request.userInfo."
    _optional(user, "username", str, path)
    _optional(user, "uid", str, path)
    _check_texts(f"{path}groups", _optional(user, "groups", list, path) or ())
    extra = _optional(user, "extra", dict, path) or {}
    for name in extra:
        _check_texts(f"{path}extra.{name}", _optional(extra, name, list, f"{path}extra.") or ())


def _check_object(path: str, subject: Mapping[str, Any] | None) -> None:
    """What every rule takes for granted of every object."""
    metadata = _optional(subject or {}, "metadata", dict, f"{path}.") or {}
    for name in ("labels", "annotations"):
        values = _optional(metadata, name, dict, f"{path}.metadata.") or {}
        _check_texts(f"{path}.metadata.{name}", values.values())


def _check_texts(path: str, values: Iterable[Any]) -> None:
    if not all(isinstance(value, str) for value in values):
        raise InvalidSpec(path=path, message="must hold texts only.")


def _lean(subject: dict[str, Any] | None) -> dict[str, Any] | None:
    metadata = subject.get("metadata") if subject else None
    if subject is None or not isinstance(metadata, dict) or "managedFields" not in metadata:
        return subject
    return {**subject, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
