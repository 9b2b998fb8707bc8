"""What is asked about an object that is there already: whether it would be let in as it stands. Pure.

Rules about the request (who asks, what changes) can't be broken by an object and are left out.
"""

from collections.abc import Iterable
from typing import Any

from microapp_operator.model.common import Manifest
from microapp_operator.policy.review import Review
from microapp_operator.policy.verdict import Violation

_ENDED = frozenset({"Succeeded", "Failed"})


def build_standing_review(manifest: Manifest) -> Review:
    """As if ``manifest``, an object as the API server has it, were written again without a change, by nobody.

    An update, not a creation: what counts against one more (a tenant's number of apps) doesn't count against one
    that is there.
    """
    metadata = manifest["metadata"]
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    subject = {**manifest, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
    request: dict[str, Any] = {
        "uid": str(metadata.get("uid", "")),
        "kind": {"group": group, "version": version, "kind": manifest["kind"]},
        "operation": "UPDATE",
        "name": metadata.get("name", ""),
        "namespace": metadata.get("namespace", ""),
        "userInfo": {"username": "", "groups": []},
        "object": subject,
        "oldObject": subject,
    }
    return Review(request)


def standing(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """Those of ``violations`` that are about the object."""
    return tuple(v for v in violations if v.rule.standing)


def can_run(manifest: Manifest) -> bool:
    """False for what has ended: a finished pod or Job, and a ReplicaSet that a Deployment keeps as history."""
    status, spec = manifest.get("status") or {}, manifest.get("spec") or {}
    match manifest["kind"]:
        case "Pod":
            return status.get("phase") not in _ENDED
        case "Job":
            conditions = status.get("conditions") or ()
            return not any(c.get("type") in ("Complete", "Failed") and c.get("status") == "True" for c in conditions)
        case "ReplicaSet":
            return spec.get("replicas") != 0 or not manifest["metadata"].get("ownerReferences")
    return True
