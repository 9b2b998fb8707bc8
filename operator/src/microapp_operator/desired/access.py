"""What the owner's team may do in the app's namespace. Imports model and metadata only."""

from typing import Final

from microapp_operator.desired.metadata import build_child
from microapp_operator.model import Manifest, MicroApp, Stage

_RBAC: Final = "rbac.authorization.k8s.io"


def build_owner_binding(app: MicroApp) -> Manifest:
    """The RoleBinding of the owning team: ``owner-team``, or ``owner-team-production`` with fewer rights.

    Two names, since a binding's roleRef can't be changed (rbac/v1): the move to production makes a new
    binding and the old one is pruned.
    """
    suffix = "-production" if app.spec.stage is Stage.PRODUCTION else ""
    body = {
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": f"microapps-owner{suffix}"},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": app.spec.owner.team}],
    }
    return build_child(app, "RoleBinding", name=f"owner-team{suffix}", body=body)
