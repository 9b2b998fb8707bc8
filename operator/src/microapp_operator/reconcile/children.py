"""Brings the children of one app to the plan: what differs is applied, what is surplus pruned.

A child is left alone when it was applied from the same manifest and nobody touched its fields since;
otherwise it is applied, and replaced when a foreign manager added fields an apply can't remove.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

from microapp_operator.constants import ANNOTATION_APPLIED_HASH
from microapp_operator.desired.plan import Plan
from microapp_operator.errors import Blocked, Gone, InvalidSpec, OperatorError, Waiting
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.ports import Cluster, ObjectRef, Observed
from microapp_operator.reasons import Finding, Reason
from microapp_operator.reconcile.ownership import GUARDED_KINDS, ChildRow, child_row

KEPT_KINDS = frozenset({"PersistentVolumeClaim"})
"""Never pruned by an edit: they hold data, and go with the app only."""

OnDrift = Callable[[MicroApp, ObjectRef, Observed | None], None]


def ref_of(manifest: Manifest) -> ObjectRef:
    """The name of ``manifest``'s object."""
    metadata = manifest["metadata"]
    return ObjectRef(manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"])


class ChildWriter:
    """Writes children and remembers how it left them.

    on_drift is told of each child that was changed or deleted behind our back; on_skip of each left alone.
    """

    def __init__(self, cluster: Cluster, *, on_drift: OnDrift, on_skip: Callable[[int], None]) -> None:
        self._cluster, self._on_drift, self._on_skip = cluster, on_drift, on_skip
        self._left: dict[ObjectRef, str] = {}

    def remember(self, children: Iterable[Observed]) -> None:
        """These children are known to be as they should."""
        self._left.update((child.ref, child.fields_digest) for child in children)

    def forget(self, namespace: str) -> None:
        """The app of ``namespace`` is gone."""
        for ref in [r for r in self._left if namespace in (r.namespace, r.name)]:
            del self._left[ref]

    async def bring(self, app: MicroApp, plan: Plan, own: Sequence[Observed], *, drifted: bool) -> None:
        """Apply what of ``plan`` differs from ``own`` and prune the rest; ``drifted``: the inputs are unchanged.

        Guardrails stand before anything opens, and what is closed closes before anything new runs.
        """
        have = {o.ref: o for o in own}
        surplus = [o for o in _surplus(plan, own) if not o.deleting]
        await self._wave(app, plan.guardrails, have, drifted)
        await self._prune(o for o in surplus if o.ref.kind in GUARDED_KINDS)
        await self._wave(app, plan.openings, have, drifted)
        await self._wave(app, plan.workload, have, drifted)
        await self._prune(o for o in surplus if o.ref.kind not in GUARDED_KINDS)

    async def apply(self, app: MicroApp, manifest: Manifest, observed: Observed | None, *, drifted: bool) -> None:
        """Bring one child to ``manifest``."""
        ref = ref_of(manifest)
        if observed is not None and observed.deleting:
            finding = Finding(Reason.PROGRESSING, "", f"{ref.kind} {ref.name} is still being deleted.")
            raise Waiting(finding, delay=5)
        same = (
            observed is not None
            and observed.applied_hash == manifest["metadata"]["annotations"][ANNOTATION_APPLIED_HASH]
        )
        if observed is not None and same and self._left.get(ref) == observed.fields_digest:
            self._on_skip(1)
            return
        if drifted:
            self._on_drift(app, ref, observed)
        result = await self._cluster.apply(manifest)
        if result.foreign_managers and ref.kind != "Namespace" and self._left.get(ref) != result.fields_digest:
            result = await self._cluster.replace(manifest, uid=result.uid, resource_version=result.resource_version)
        self._left[ref] = result.fields_digest

    def left(self, plan: Plan, own: Sequence[Observed]) -> Iterator[ChildRow]:
        """Namespace and children as ``bring`` left them, and those of ``own`` that it keeps without applying them.

        Not as they are by now: what somebody changed while it was at work must be seen as a change by the next pass.
        """
        for manifest in (plan.namespace, *_children(plan)):
            ref, applied = ref_of(manifest), manifest["metadata"]["annotations"][ANNOTATION_APPLIED_HASH]
            yield ref.kind, ref.name, applied, self._left.get(ref, ""), False
        gone = {o.ref for o in _surplus(plan, own)} | {ref_of(m) for m in _children(plan)}
        yield from (child_row(o) for o in own if o.ref not in gone)

    async def _wave(
        self, app: MicroApp, manifests: Sequence[Manifest], have: dict[ObjectRef, Observed], drifted: bool
    ) -> None:
        await _all(self.apply(app, m, have.get(ref_of(m)), drifted=drifted) for m in manifests)

    async def _prune(self, surplus: Iterable[Observed]) -> None:
        await _all(self._cluster.delete(o.ref, uid=o.uid) for o in surplus)


def _children(plan: Plan) -> tuple[Manifest, ...]:
    return (*plan.guardrails, *plan.openings, *plan.workload)


def _surplus(plan: Plan, own: Sequence[Observed]) -> list[Observed]:
    """Those of ``own`` that ``plan`` has no place for, unless they hold data.

    A workload is withheld, not removed: what ran before keeps running until it can be judged again. Rights go at once.
    """
    wanted = {ref_of(m) for m in _children(plan)}
    surplus = [o for o in own if o.ref not in wanted and o.ref.kind not in KEPT_KINDS]
    return surplus if plan.workload else [o for o in surplus if o.ref.kind in GUARDED_KINDS]


_SEVERITY: tuple[type[OperatorError], ...] = (Gone, InvalidSpec, Blocked, Waiting, OperatorError)


async def _all(tasks: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all to their end, then raise the worst error: what blocks beats what waits, what waits what retries."""
    results = await asyncio.gather(*tasks, return_exceptions=True)
    failures = [r for r in results if isinstance(r, BaseException)]
    for failure in failures:
        if not isinstance(failure, OperatorError):
            raise failure
    for kind in _SEVERITY:
        for failure in failures:
            if isinstance(failure, kind):
                raise failure
