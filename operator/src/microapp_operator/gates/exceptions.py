"""Which rules approved exceptions suspend for one object: the one function for admission, scan and offline checks."""

from dataclasses import dataclass
from datetime import datetime

from microapp_operator.constants import LABEL_MANAGED_BY, MANAGED_BY
from microapp_operator.gates.counting import GateInput, count_approvals
from microapp_operator.gates.fingerprint import compute_exception_fingerprint
from microapp_operator.model import Approval, ApprovalScope, Manifest
from microapp_operator.model.approval import PolicyException

_APP, _POD_HASH = "MicroApp", "pod-template-hash"


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that is judged, as (kind, name), and those that stand behind it: a pod's ReplicaSet and Deployment.

    rendered: the operator made it, or a controller of the cluster from what the operator made.
    """

    names: tuple[tuple[str, str], ...]
    rendered: bool = False


def build_subject(manifest: Manifest) -> Subject:
    """Of the object as the API server has it.

    Only the operator and the cluster's controllers write in an app's namespace (MA-GRD-001), so our label or a
    controller above says enough. A Deployment is told by its ReplicaSet's name, which ends with the pods' hash
    (apps/v1, label pod-template-hash).
    """
    metadata = manifest.get("metadata") or {}
    labels = metadata.get("labels") or {}
    names = [(str(manifest.get("kind", "")), str(metadata.get("name", "")))]
    references = metadata.get("ownerReferences")
    known = references if isinstance(references, list) else []  # offline nobody has looked at it before
    owners = [o for o in known if isinstance(o, dict) and o.get("controller")]
    names += [(str(o.get("kind", "")), str(o.get("name", ""))) for o in owners]
    suffix = f"-{labels.get(_POD_HASH)}"
    names += [
        ("Deployment", n.removesuffix(suffix)) for k, n in tuple(names) if k == "ReplicaSet" and n.endswith(suffix)
    ]
    return Subject(tuple(names), rendered=bool(owners) or labels.get(LABEL_MANAGED_BY) == MANAGED_BY)


def resolve_exceptions(gate: GateInput, subject: Subject, now: datetime) -> frozenset[str]:
    """Ids of the rules that exceptions of ``gate.app`` suspend for ``subject`` at ``now`` (UTC).

    An exception takes as many people, of the same groups, as a release in the app's tier, and one at least.
    """
    given: dict[str, tuple[PolicyException, list[Approval]]] = {}
    for approval in gate.own():
        exception = approval.spec.exception
        if approval.spec.scope is ApprovalScope.EXCEPTION and exception and _covers(gate, exception, subject):
            given.setdefault(_fingerprint(gate, exception), (exception, []))[1].append(approval)
    suspended = set()
    for fingerprint, (exception, approvals) in given.items():
        count = count_approvals(gate, approvals, fingerprint, now)
        enough = len(count.used) >= max(1, gate.tier.spec.approvals.reviewers) and not count.lacking
        if enough and not count.denials:
            suspended.add(exception.rule)
    return frozenset(suspended)


def _covers(gate: GateInput, exception: PolicyException, subject: Subject) -> bool:
    named = (exception.subject.kind, exception.subject.name)
    if named[0] == _APP:
        return named[1] == gate.app.metadata.name and (named in subject.names or subject.rendered)
    return named in subject.names


def _fingerprint(gate: GateInput, exception: PolicyException) -> str:
    metadata = gate.app.metadata
    return compute_exception_fingerprint(metadata.namespace, metadata.name, gate.tier.metadata.name, exception)
