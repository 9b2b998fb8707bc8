"""Approving as reviewers do it: an Approval under one's own name, with what the app's status says to put in."""

import json
from typing import Any

from hack.kubectl import Kubectl

REVIEWERS, SECURITY = "microapps-reviewers", "microapps-security"


def grant_reviewers(kubectl: Kubectl) -> None:
    """Bind the role that ships for reviewers to the two groups that tests and demo speak for."""
    rbac = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "microapps-reviewers-local"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "microapps-reviewer"},
        "subjects": [{"apiGroup": rbac, "kind": "Group", "name": name} for name in (REVIEWERS, SECURITY)],
    }
    kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(binding))


def build_approval(app: dict[str, Any], name: str, **spec: Any) -> dict[str, Any]:
    """The Approval of a release of ``app``, a MicroApp as the API server returns it; ``spec`` replaces fields."""
    status = app["status"]
    release = {"replicas": app["spec"]["runtime"]["replicas"]} if spec.get("scope", "release") == "release" else {}
    return {
        "apiVersion": "microapps.dev/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": name, "namespace": app["metadata"]["namespace"]},
        "spec": {
            "microApp": app["metadata"]["name"],
            "scope": "release",
            **release,
            "tier": app["spec"]["riskTier"],
            "tierGeneration": status["tierGeneration"],
            "policyDigest": status["policyDigest"],
            "fingerprint": status["fingerprint"],
            "justification": "looked at it",
            **spec,
        },
    }


def approve(kubectl: Kubectl, approval: dict[str, Any], approver: str, *groups: str) -> None:
    """Create ``approval`` as ``approver``, a member of ``groups`` (or of the reviewers)."""
    member = [f"--as-group={group}" for group in groups or (REVIEWERS,)]
    kubectl(f"--as={approver}", *member, "create", "-f", "-", stdin=json.dumps(approval))
