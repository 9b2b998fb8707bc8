"""An AdmissionReview (admission.k8s.io/v1) in, a response out. Pure; nothing malformed is ever allowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from microapp_operator.errors import InvalidSpec
from microapp_operator.policy.groups import group_of
from microapp_operator.policy.verdict import Verdict

REVIEW_VERSION: Final = "admission.k8s.io/v1"
_OPERATIONS: Final = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
_IDS_MAX: Final = 64
"""Rule ids in one audit annotation."""


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
        raise InvalidSpec(path="apiVersion", message=f"{document.get('apiVersion')!r} is not {REVIEW_VERSION}.")
    request = document.get("request")
    if not isinstance(request, dict):
        raise InvalidSpec(path="request", message="there is no request.")
    _require(request, "uid", str)
    _require(request, "operation", str)
    _require(request, "userInfo", dict)
    _require(_require(request, "kind", dict), "kind", str, "request.kind.kind")
    if request["operation"] not in _OPERATIONS:
        raise InvalidSpec(path="request.operation", message=f"{request['operation']!r} is no operation.")
    for name in ("object", "oldObject"):
        if request.get(name) is not None and not isinstance(request[name], dict):
            raise InvalidSpec(path=f"request.{name}", message="must be an object or null.")
    return Review({**request, "object": _lean(request.get("object")), "oldObject": _lean(request.get("oldObject"))})


def build_response(review: Review, verdict: Verdict, digest: str) -> bytes:
    """The answer: 403 with all denials, or allowed; warnings, and audit annotations with rule ids and bundle."""
    response: dict[str, Any] = {"uid": review.uid, "allowed": verdict.allowed}
    annotations = {"bundle": digest}
    for name, violations in (("denied", verdict.denied), ("warned", verdict.warned), ("excepted", verdict.suspended)):
        if violations:
            annotations[name] = ",".join(sorted({v.rule.id for v in violations})[:_IDS_MAX])
    if verdict.denied:
        response["status"] = {
            "status": "Failure",
            "code": 403,
            "reason": "Forbidden",
            "message": verdict.message(),
            "details": {
                "kind": review.kind,
                "name": review.request.get("name") or "",
                "causes": [{"reason": v.rule.id, "field": v.path, "message": v.text()} for v in verdict.denied],
            },
        }
    warnings = verdict.warnings()
    if warnings:
        response["warnings"] = warnings
    response["auditAnnotations"] = annotations
    return orjson.dumps({"apiVersion": REVIEW_VERSION, "kind": "AdmissionReview", "response": response})


def build_refusal(uid: str, message: str) -> bytes:
    """The answer when there is none: refused with 500, because the question could not be judged."""
    status = {"status": "Failure", "code": 500, "reason": "InternalError", "message": message}
    response = {"uid": uid, "allowed": False, "status": status}
    return orjson.dumps({"apiVersion": REVIEW_VERSION, "kind": "AdmissionReview", "response": response})


def _require(parent: Mapping[str, Any], name: str, kind: type, path: str = "") -> Any:
    value = parent.get(name)
    if not isinstance(value, kind) or not value:
        raise InvalidSpec(path=path or f"request.{name}", message=f"is missing or no {kind.__name__}.")
    return value


def _lean(subject: dict[str, Any] | None) -> dict[str, Any] | None:
    metadata = subject.get("metadata") if subject else None
    if subject is None or not isinstance(metadata, dict) or "managedFields" not in metadata:
        return subject
    return {**subject, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
