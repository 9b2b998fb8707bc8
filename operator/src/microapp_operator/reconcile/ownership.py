"""Whose is it: namespaces bound by UID, children by label, and foreign objects that weaken isolation. Pure."""

from collections.abc import Iterable, Sequence

from microapp_operator.model import Manifest, MicroApp
from microapp_operator.model.canonical import digest
from microapp_operator.ports import Observed
from microapp_operator.reasons import Finding, Reason

GUARDED_KINDS = frozenset({"NetworkPolicy", "RoleBinding"})
"""Kinds of which a foreign object in a governed namespace adds rights: both are purely additive."""


ChildRow = tuple[str, str, str, str, bool]
"""Kind, name, applied-hash, digest of the fields, deleting."""


def owns_namespace(app: MicroApp, namespace: Observed) -> bool:
    """True when ``namespace`` is this app's: our label with its UID, and the UID that status recorded.

    Status has no record only between the creation and the end of that pass; then the label and our
    applied-hash must do, which only someone who may create namespaces could forge.
    """
    bound = app.status.namespace
    if not namespace.managed or namespace.app_uid != app.metadata.uid or not namespace.applied_hash:
        return False
    return bound is None or bound.uid == namespace.uid


def own_children(app: MicroApp, within: Sequence[Observed]) -> list[Observed]:
    """Those of ``within`` that carry our labels with this app's UID."""
    return [o for o in within if o.managed and o.app_uid == app.metadata.uid]


def foreign_guards(app: MicroApp, within: Sequence[Observed]) -> list[Observed]:
    """NetworkPolicies and RoleBindings of ``within`` that aren't ours."""
    return sorted(
        (o for o in within if o.ref.kind in GUARDED_KINDS and not (o.managed and o.app_uid == app.metadata.uid)),
        key=lambda o: o.ref,
    )


def judge_foreign(observed: Observed, full: Manifest) -> Finding | None:
    """What a foreign object weakens, naming it and its writer; None when it only restricts.

    NetworkPolicies add up: one without allow rules can't open anything (networking.k8s.io/v1).
    """
    name, who = observed.ref.name, observed.last_manager or "an unknown manager"
    if observed.ref.kind == "RoleBinding":
        subjects = ", ".join(f"{s.get('kind')} {s.get('name')}" for s in full.get("subjects") or ()) or "nobody"
        message = f"RoleBinding {name} in {observed.ref.namespace}, written by {who}, grants rights to {subjects}."
        return Finding(Reason.FOREIGN_ROLE_BINDING, "", message)
    spec = full.get("spec", {})
    opened = [d for d in ("ingress", "egress") if spec.get(d)]
    if not opened:
        return None
    message = f"NetworkPolicy {name} in {observed.ref.namespace}, written by {who}, opens {' and '.join(opened)}."
    return Finding(Reason.FOREIGN_NETWORK_POLICY, "", message)


def children_hash(uid: str, rows: Iterable[ChildRow]) -> str:
    """Digest of the namespace with ``uid`` and of what is in it, as far as we and foreign writers own it."""
    return digest([uid, sorted(map(list, rows))])


def child_row(observed: Observed) -> ChildRow:
    """One object as it is."""
    return observed.ref.kind, observed.ref.name, observed.applied_hash, observed.fields_digest, observed.deleting
