"""Writes the floor: ValidatingAdmissionPolicies that the API server evaluates itself, whatever becomes of the webhook.

The worst only, in CEL; id, reason and remedy of each are those of the Rego rule of the same id.
"""

from pathlib import Path
from typing import Any, Final

import yaml

from hack.policy.approval_floor import API, Check, build_proofs, build_stamps
from hack.policy.rules import POLICIES, PolicyError, Source

ADMISSION: Final = POLICIES.parent / "charts" / "microapp-operator" / "admission"
_OPERATOR: Final = "system:serviceaccount:microapp-system:microapp-operator"
_APP: Final = {"key": "microapps.dev/app-uid", "operator": "Exists"}
_OURS: Final = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "microapp-system"]}
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_TRUSTED: Final = (
    f"request.userInfo.username in ['{_OPERATOR}', 'system:kube-controller-manager', 'system:kube-scheduler']"
    " || request.userInfo.username.startsWith('system:serviceaccount:kube-system:')"
    " || request.userInfo.username.startsWith('system:node:')"
    " || 'system:masters' in request.userInfo.?groups.orValue([])"
)
_REPORTS: Final = (
    f"request.userInfo.username == '{_OPERATOR}' || 'system:masters' in request.userInfo.?groups.orValue([])"
)
_PREFIXES: Final = ("microapps.dev/", "pod-security.kubernetes.io/", "app.kubernetes.io/managed-by")
_GUARDED: Final = "(" + " || ".join(f"k.startsWith('{prefix}')" for prefix in _PREFIXES) + ")"


def _each(test: str) -> str:
    """``test`` of every container ``c`` of all three sorts."""
    return " && ".join(f"object.spec.?{kind}.orValue([]).all(c, {test})" for kind in _CONTAINERS)


_PINNED: Final = (
    "(namespaceObject.metadata.labels[?'microapps.dev/tier'].orValue('') == 'low' && "
    "namespaceObject.metadata.labels[?'microapps.dev/stage'].orValue('') != 'production') || ("
    + _each("c.?image.orValue('').matches('@sha256:[a-f0-9]{64}$')")
    + " && object.spec.?volumes.orValue([]).all(v, !has(v.image) || v.image.?reference.orValue('')"
    ".matches('@sha256:[a-f0-9]{64}$')))"
)


def build_floor(sources: tuple[Source, ...]) -> list[dict[str, Any]]:
    """Policies and their bindings for governed namespaces. PolicyError when a rule named here doesn't exist."""
    check = _checks(sources)
    pods = _rule([""], ["pods", "pods/ephemeralcontainers"], ["CREATE", "UPDATE"])
    return [
        *_policy(
            "pods",
            [pods],
            {"namespaceSelector": {"matchExpressions": [_APP]}},
            [
                check("MA-PSS-001", _each("!c.?securityContext.?privileged.orValue(false)")),
                check(
                    "MA-PSS-002",
                    " && ".join(f"!object.spec.?{f}.orValue(false)" for f in ("hostNetwork", "hostPID", "hostIPC")),
                ),
                check("MA-PSS-003", "object.spec.?volumes.orValue([]).all(v, !has(v.hostPath))"),
                check("MA-IMG-001", _PINNED),
            ],
        ),
        *_policy(
            "children",
            _CHILDREN,
            {"namespaceSelector": {"matchExpressions": [_APP, _OURS]}},
            [check("MA-GRD-001", _TRUSTED)],
        ),
        *_policy(
            "namespaces",
            [_rule([""], ["namespaces"], ["CREATE", "UPDATE", "DELETE"])],
            {"objectSelector": {"matchExpressions": [_APP]}},
            [check("MA-GRD-003", f"{_TRUSTED} || (request.operation == 'UPDATE' && {_UNCHANGED})")],
        ),
        *_policy(
            "status",
            [_rule(["microapps.dev"], ["microapps/status"], ["UPDATE"])],
            {},
            [check("MA-GRD-002", _REPORTS)],
        ),
    ]


def build_approvals(sources: tuple[Source, ...]) -> list[dict[str, Any]]:
    """What is stamped on MicroApps and Approvals, and the proof of it; with their bindings."""
    proofs = [
        part
        for name, resource, operations, variables, validations in build_proofs(_checks(sources))
        for part in _policy(
            name, [_rule(["microapps.dev"], [resource], operations)], {}, validations, variables=variables
        )
    ]
    return [*build_stamps(), *proofs]


def _checks(sources: tuple[Source, ...]) -> Check:
    """(rule id, CEL) -> a validation with the text of that rule."""
    rules = {s.rule.id: s.rule for s in sources}

    def check(rule: str, expression: str) -> dict[str, str]:
        if rule not in rules:
            raise PolicyError(f"the floor names {rule}, which is no rule")
        if (found := rules[rule]).exceptions:
            raise PolicyError(f"the floor knows no exceptions, so {rule} must allow none (exceptions: false)")
        message = f"[{found.id}] {found.title}. Why: {found.why} Fix: {found.fix}".replace("\n", " ")
        return {"expression": expression, "message": message, "reason": "Forbidden"}

    return check


_BEFORE, _AFTER = "oldObject.metadata.?labels.orValue({})", "object.metadata.?labels.orValue({})"
_UNCHANGED: Final = (
    f"{_BEFORE}.all(k, !{_GUARDED} || (k in {_AFTER} && {_AFTER}[k] == {_BEFORE}[k]))"
    f" && {_AFTER}.all(k, !{_GUARDED} || k in {_BEFORE})"
)


def _rule(groups: list[str], resources: list[str], operations: list[str]) -> dict[str, Any]:
    return {"apiGroups": groups, "apiVersions": ["*"], "operations": operations, "resources": resources, "scope": "*"}


_SETS: Final = ("deployments", "replicasets", "statefulsets", "daemonsets")
_CHILDREN: Final = [
    _rule([""], ["pods", "pods/ephemeralcontainers"], ["CREATE", "UPDATE"]),
    _rule(
        [""],
        ["services", "serviceaccounts", "resourcequotas", "limitranges", "replicationcontrollers", "podtemplates"],
        ["CREATE", "UPDATE", "DELETE"],
    ),
    _rule(
        ["apps"],
        [*_SETS, *(f"{name}/scale" for name in _SETS[:3]), "controllerrevisions"],
        ["CREATE", "UPDATE", "DELETE"],
    ),
    _rule(["batch"], ["jobs", "cronjobs"], ["CREATE", "UPDATE", "DELETE"]),
    _rule(["networking.k8s.io"], ["networkpolicies", "ingresses"], ["CREATE", "UPDATE", "DELETE"]),
    _rule(["rbac.authorization.k8s.io"], ["roles", "rolebindings"], ["CREATE", "UPDATE", "DELETE"]),
]


def _policy(
    name: str,
    rules: list[dict[str, Any]],
    where: dict[str, Any],
    validations: list[dict[str, str]],
    *,
    variables: list[dict[str, str]] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    metadata = {"name": f"microapps-floor-{name}", "labels": {"app.kubernetes.io/managed-by": "microapp-operator"}}
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {"matchPolicy": "Equivalent", "resourceRules": rules, **where},
        **({"variables": variables} if variables else {}),
        "validations": validations,
    }
    binding = {"policyName": metadata["name"], "validationActions": ["Deny", "Audit"]}
    return (
        {"apiVersion": API, "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": spec},
        {"apiVersion": API, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata, "spec": binding},
    )


def write_floor(sources: tuple[Source, ...], folder: Path = ADMISSION) -> None:
    """Write ``floor.yaml``, which guards the apps' namespaces, and ``approvals.yaml``, which guards our own kinds."""
    _write(folder / "floor.yaml", "the floor under the webhook", build_floor(sources))
    _write(folder / "approvals.yaml", "who edits and who approves, stamped and proven", build_approvals(sources))


def _write(target: Path, what: str, manifests: list[dict[str, Any]]) -> None:
    head = f"# Generated by `make policies`: {what}. docs/policies.md has each rule.\n"
    target.write_text(head + yaml.dump_all(manifests, Dumper=_Plain, sort_keys=False, width=110))


class _Plain(yaml.SafeDumper):
    """Without anchors: what stands twice is written twice."""

    def ignore_aliases(self, _: Any) -> bool:
        """Never an alias."""
        return True
