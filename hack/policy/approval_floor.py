"""The floor of approvals: what the API server itself stamps on MicroApps and Approvals, and proves. In CEL.

Generated so that stamp and proof are one expression, and ids and texts those of the Rego rules.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from pydantic import BaseModel

from hack.policy import cleanup_floor
from microapp_operator.model.microapp import NOT_RISK, MicroAppSpec

API: Final = "admissionregistration.k8s.io/v1"
_EDITORS: Final = "microapps.dev/editors"
_LABELS: Final = {"app.kubernetes.io/managed-by": "microapp-operator"}
_STAMPED: Final = ("approver", "approverIdentities", "approverGroups")
_ME: Final = (
    "(['user:' + request.userInfo.username]"
    " + (request.userInfo.?uid.orValue('') == '' ? [] : ['uid:' + request.userInfo.uid])"
    " + request.userInfo.?extra[?'microapps.dev/person'].orValue([]).map(p, 'person:' + p))"
    ".map(name, name.replace('\\n', ' '))"
)
_BEFORE: Final = (
    "oldObject == null ? [] : "
    f"oldObject.metadata.?annotations[?'{_EDITORS}'].orValue('').split('\\n').filter(line, line != '')"
)
_REVIEWED: Final = (
    "oldObject != null && oldObject.?status.?reviewedFingerprint.orValue('') != ''"
    " && oldObject.status.reviewedFingerprint == oldObject.status.?fingerprint.orValue('')"
    " && oldObject.status.?observedGeneration.orValue(-1) == oldObject.metadata.?generation.orValue(0)"
)


def _paths(kind: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every field of ``kind`` that carries risk, as deep as ``NOT_RISK`` asks for."""
    for name, field in kind.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = field.annotation
        if path in NOT_RISK:
            continue
        if any(each.startswith(f"{path}.") for each in NOT_RISK) and isinstance(inner, type):
            yield from _paths(inner, f"{path}.")
        else:
            yield path


def _field(root: str, path: str) -> str:
    return f"{root}.spec.?{path.replace('.', '.?')}"


_SAME: Final = "oldObject != null && " + " && ".join(
    f"{_field('oldObject', path)} == {_field('object', path)}" for path in _paths(MicroAppSpec)
)
_STAMP: Final = (
    "(oldObject == null || (!variables.same && variables.reviewed) ? variables.me"
    " : variables.same ? variables.before"
    " : variables.before + variables.me.filter(name, !(name in variables.before))).join('\\n')"
)
_EDITOR_VARIABLES: Final = [
    {"name": "me", "expression": _ME},
    {"name": "before", "expression": _BEFORE},
    {"name": "reviewed", "expression": _REVIEWED},
    {"name": "same", "expression": _SAME},
    {"name": "stamp", "expression": _STAMP},
    {"name": "given", "expression": f"object.metadata.?annotations[?'{_EDITORS}'].orValue('')"},
]
# Whoever copies or restores a MicroApp is its editor; a list that is changed in place is a forgery and is left to the
# proof to refuse, so that it shows.
_STAMP_PATCH: Final = (
    "variables.given == variables.stamp || variables.stamp == ''"
    " || (oldObject != null && variables.given != '' && variables.given != variables.before.join('\\n')) ? []"
    " : (has(object.metadata.annotations) ? []"
    " : [JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}])"
    f" + [JSONPatch{{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('{_EDITORS}'),"
    " value: variables.stamp}]"
)
Check = Callable[[str, str], dict[str, str]]


def build_stamps() -> list[dict[str, Any]]:
    """MutatingAdmissionPolicies (KEP-3962) and their bindings: who edits, who lets secrets be, who approves."""
    return [
        *_mutating("editors", "microapps", _EDITOR_VARIABLES, [_STAMP_PATCH]),
        *_mutating("cleanup", "microapps", cleanup_floor.VARIABLES, [cleanup_floor.STAMP]),
        *_mutating("approvers", "approvals", [{"name": "me", "expression": _ME}], [_fill(field) for field in _STAMPED]),
    ]


def build_proofs(check: Check) -> list[tuple[str, str, list[str], list[dict[str, str]], list[dict[str, str]]]]:
    """Per policy: name, resource, operations, variables, validations (texts by ``check``)."""
    groups = "object.spec.?approverGroups.orValue([])"
    proven = (
        "request.operation == 'DELETE' || request.operation == 'UPDATE'"
        " || (object.spec.?approver.orValue('') == request.userInfo.username"
        " && object.spec.?approverIdentities.orValue([]) == variables.me"
        f" && {groups} == request.userInfo.?groups.orValue([]))"
    )
    person = (
        "request.operation != 'CREATE' || (!request.userInfo.username.startsWith('system:')"
        " && !('system:serviceaccounts' in request.userInfo.?groups.orValue([])))"
    )
    entitled = (
        "request.operation != 'CREATE' || authorizer.group('microapps.dev').resource('risktiers')"
        ".name(object.spec.tier).check('approve').allowed()"
    )
    withdrawn = (
        "request.operation != 'DELETE' || oldObject.spec.?decision.orValue('Approved') != 'Denied'"
        " || oldObject.spec.approver == request.userInfo.username"
        " || request.userInfo.username.startsWith('system:serviceaccount:kube-system:')"
        " || 'system:masters' in request.userInfo.?groups.orValue([])"
    )
    return [
        (
            "editors",
            "microapps",
            ["CREATE", "UPDATE"],
            _EDITOR_VARIABLES,
            [check("MA-APR-007", "variables.given == variables.stamp")],
        ),
        (
            "cleanup",
            "microapps",
            ["CREATE", "UPDATE"],
            cleanup_floor.VARIABLES,
            [check("MA-SEC-001", cleanup_floor.ENTITLED), check("MA-SEC-002", cleanup_floor.PROOF)],
        ),
        (
            "approvals",
            "approvals",
            ["CREATE", "UPDATE", "DELETE"],
            [{"name": "me", "expression": _ME}],
            [
                check("MA-APR-001", proven),
                check("MA-APR-002", person),
                check("MA-APR-003", entitled),
                check("MA-APR-008", withdrawn),
            ],
        ),
    ]


def _fill(field: str) -> str:
    """Fill ``field`` in where it is missing: from the request that creates the Approval, later from what it was."""
    now = {
        "approver": "request.userInfo.username",
        "approverIdentities": "variables.me",
        "approverGroups": "request.userInfo.?groups.orValue([])",
    }[field]
    missing = f"object.spec.?{field}.orValue({_NOTHING[field]}) == {_NOTHING[field]}"
    value = f"oldObject == null ? {now} : oldObject.spec.?{field}.orValue({_NOTHING[field]})"
    return f"{missing} ? [JSONPatch{{op: 'add', path: '/spec/{field}', value: {value}}}] : []"


_NOTHING: Final = {"approver": "''", "approverIdentities": "[]", "approverGroups": "[]"}


def _mutating(
    name: str, resource: str, variables: list[dict[str, str]], patches: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    metadata = {"name": f"microapps-stamp-{name}", "labels": _LABELS}
    rule = {
        "apiGroups": ["microapps.dev"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": [resource],
    }
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
        "matchConstraints": {"matchPolicy": "Equivalent", "resourceRules": [rule]},
        "variables": variables,
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}} for patch in patches],
    }
    return (
        {"apiVersion": API, "kind": "MutatingAdmissionPolicy", "metadata": metadata, "spec": spec},
        {
            "apiVersion": API,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {"policyName": metadata["name"]},
        },
    )
