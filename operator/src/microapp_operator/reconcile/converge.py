"""Brings one app from what is to what should be, and notes in the draft what it learned on the way."""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import ValidationError

from microapp_operator.constants import FINALIZER
from microapp_operator.decide.decision import Decision, Surroundings, evaluate, suggest_tier, with_spec
from microapp_operator.decide.namespace import build_not_ours
from microapp_operator.desired.accepted import read_accepted
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.desired.namespace import build_namespace
from microapp_operator.desired.plan import Plan, build_guardrails, build_plan
from microapp_operator.errors import Blocked, Conflict, Transient, Waiting
from microapp_operator.gates import compute_fingerprint
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.model.canonical import digest
from microapp_operator.model.microapp import MicroAppSpec
from microapp_operator.model.status import NamespaceStatus
from microapp_operator.ports import Observed
from microapp_operator.reasons import Finding, Reason
from microapp_operator.reconcile.children import ChildWriter
from microapp_operator.reconcile.draft import Draft
from microapp_operator.reconcile.ownership import (
    child_row,
    children_hash,
    foreign_guards,
    judge_foreign,
    own_children,
    owns_namespace,
)
from microapp_operator.reconcile.services import Services, app_ref
from microapp_operator.reconcile.store import Store
from microapp_operator.reconcile.workload import explain_pods, judge_workload

_LOOK_AGAIN = 30.0
"""Seconds after which an app whose pods aren't up is looked at again: pods aren't watched."""
_SOON = 0.5
"""Seconds until what was just written into status is rendered; where an older CRD drops it, that goes on and on."""
_EXPIRY_SLACK = timedelta(seconds=1)


class Converger:
    """The way forward; ``Teardown`` is the way back."""

    def __init__(self, store: Store, services: Services) -> None:
        self._store, self._services = store, services
        self._writer = ChildWriter(
            services.cluster, on_drift=services.reporter.drift, on_skip=services.reporter.skipped
        )
        self._verdicts: dict[tuple[str, str], Finding | None] = {}

    def forget(self, namespace: str) -> None:
        """The app of ``namespace`` is gone."""
        self._writer.forget(namespace)

    async def converge(self, draft: Draft) -> float | None:
        """One pass; returns after how many seconds to look again by itself, None for never.

        Raises the errors of ``ports`` and Blocked for a missing tier or a foreign namespace.
        """
        app, now = draft.app, self._services.clock.now()
        around = self._store.surroundings(app.metadata.namespace, self._services.capabilities())
        draft.decision = declared = self._decide(app, around)
        draft.suggested_tier = suggest_tier(app, around)
        if declared.verdict.reviewed:
            draft.reviewed_fingerprint = declared.fingerprint
        namespace = self._services.children.namespace(namespace_name(app.metadata.namespace, app.metadata.name))
        if namespace is not None and not owns_namespace(app, namespace):
            raise Blocked(build_not_ours(app, namespace.ref.name))
        draft.effective = declared if self._may_run(draft, declared) else await self._accepted(app, around)
        waits = self._learn_entrypoint(draft, declared)
        inputs = self._inputs(draft)
        if self._settled(app, namespace, inputs):
            draft.rendered_hash, draft.children_hash = inputs, app.status.children_hash
        else:
            namespace = await self._apply(draft, namespace, inputs)
        assert namespace is not None  # _settled is false without one, and _apply returns one
        await self._observe(draft, namespace)
        ends = [d.verdict.expires for d in (declared, draft.effective) if d and d.verdict.expires]
        pause = [(min(ends) - now + _EXPIRY_SLACK).total_seconds()] if ends else []
        if draft.workload is not None and draft.workload.reason in _UNSETTLED:
            pause.append(_LOOK_AGAIN)
        again = self._services.secrets.attend(draft, own_children(app, self._within(namespace)))
        pause += [again] if again is not None else []
        if waits is not None:
            raise waits
        return min(pause, default=None)

    def _may_run(self, draft: Draft, declared: Decision) -> bool:
        """Accepted, and nothing holds back a revision that doesn't run yet."""
        if not declared.accepted:
            return False
        obstacle = self._services.secrets.blocks_release(draft.app, declared)
        draft.faults += [obstacle] if obstacle is not None else []
        return obstacle is None

    def _learn_entrypoint(self, draft: Draft, declared: Decision) -> Waiting | None:
        """Have it asked what images run, keep what was said in status, and say whether the workload waits for that."""
        chosen, meta = draft.effective, draft.app.metadata
        asked = {d.entrypoint.asks for d in (declared, chosen) if d is not None}
        self._services.entrypoints.want((meta.namespace, meta.name), frozenset(asked - {""}))
        if chosen is None:
            return None
        draft.entrypoint = chosen.entrypoint.to_keep(draft.app.status.entrypoint)
        waits = chosen.entrypoint.waits
        if waits is None:
            return None
        return Waiting(waits, delay=_SOON if chosen.entrypoint.learned is not None else _LOOK_AGAIN)

    def _within(self, namespace: Observed) -> Sequence[Observed]:
        return self._services.children.within(namespace.ref.name)

    def _decide(self, app: MicroApp, around: Surroundings) -> Decision:
        tier = around.tiers.get(app.spec.risk_tier)
        if tier is None:
            known = ", ".join(sorted(around.tiers)) or "none"
            message = f"there is no readable RiskTier {app.spec.risk_tier} (there are: {known})."
            raise Blocked(Finding(Reason.RISK_TIER_NOT_FOUND, "spec.riskTier", message))
        return evaluate(app, tier, around, self._services.clock.now())

    async def _accepted(self, app: MicroApp, around: Surroundings) -> Decision | None:
        """The decision for the last accepted revision, or None when there is none that can be trusted."""
        name = namespace_name(app.metadata.namespace, app.metadata.name)
        for child in own_children(app, self._services.children.within(name)):
            if child.ref.kind != "ControllerRevision" or app.status.approved_fingerprint is None:
                continue
            full = await self._services.cluster.get(child.ref)
            spec = read_accepted(full) if full is not None else None
            try:
                accepted = with_spec(app, MicroAppSpec.model_validate(spec)) if spec is not None else None
            except ValidationError:
                continue  # written by a version whose spec this one can't read: nothing to fall back to
            if accepted is None or compute_fingerprint(accepted) != app.status.approved_fingerprint:
                continue
            tier = around.tiers.get(accepted.spec.risk_tier)
            if tier is not None:
                return evaluate(accepted, tier, around, self._services.clock.now())
        return None

    def _inputs(self, draft: Draft) -> str:
        chosen = draft.effective or draft.decision
        assert chosen is not None
        return digest([chosen.inputs_hash(), draft.effective is not None])

    def _settled(self, app: MicroApp, namespace: Observed | None, inputs: str) -> bool:
        """True when nothing has to be rendered: same inputs, and every child as the last pass left it."""
        if namespace is None or FINALIZER not in app.metadata.finalizers or app.status.rendered_hash != inputs:
            return False
        own = own_children(app, self._services.children.within(namespace.ref.name))
        if app.status.children_hash != children_hash(namespace.uid, map(child_row, (namespace, *own))):
            return False
        self._writer.remember((namespace, *own))
        return True

    async def _apply(self, draft: Draft, namespace: Observed | None, inputs: str) -> Observed:
        app, drifted = draft.app, inputs == draft.app.status.rendered_hash
        if FINALIZER not in app.metadata.finalizers:
            raw = await self._services.cluster.add_finalizer(app_ref(app), uid=app.metadata.uid)
            self._store.put_app(raw)
        plan = self._plan(draft)
        namespace = await self._ensure_namespace(draft, plan.namespace, namespace, drifted=drifted)
        own = own_children(app, self._services.children.within(namespace.ref.name))
        await self._writer.bring(app, plan, own, drifted=drifted)
        draft.rendered_hash = inputs
        draft.children_hash = children_hash(namespace.uid, self._writer.left(plan, own))
        return self._services.children.namespace(namespace.ref.name) or namespace

    def _plan(self, draft: Draft) -> Plan:
        if draft.effective is not None:
            chosen = draft.effective
            return build_plan(chosen.app, chosen.tier, chosen.context())
        declared = draft.decision
        assert declared is not None
        guardrails = build_guardrails(declared.app, declared.tier)
        return Plan(build_namespace(declared.app, declared.tier), guardrails, (), ())

    async def _ensure_namespace(
        self, draft: Draft, manifest: Manifest, namespace: Observed | None, *, drifted: bool
    ) -> Observed:
        app = draft.app
        if namespace is None:
            if app.status.namespace is not None:
                # The bound one is gone. Unbind first, so that a crash in between can't leave an app whose
                # new namespace contradicts its record.
                draft.namespace = None
                await self._services.reporter.unbind(app)
            namespace = await self._create_namespace(app, manifest)
        elif namespace.deleting:
            message = f"namespace {namespace.ref.name} is being deleted by someone; it is created anew afterwards."
            raise Waiting(Finding(Reason.NAMESPACE_TERMINATING, "", message), delay=10)
        else:
            await self._writer.apply(app, manifest, namespace, drifted=drifted)
        draft.namespace = NamespaceStatus(name=namespace.ref.name, uid=namespace.uid)
        return namespace

    async def _create_namespace(self, app: MicroApp, manifest: Manifest) -> Observed:
        """POST, never apply: an existing namespace must not be touched."""
        try:
            created = await self._services.cluster.create(manifest)
        except Conflict as error:
            name = manifest["metadata"]["name"]
            known = self._services.children.namespace(name)
            if known is None:
                raise Transient(f"namespace {name} exists, but the watch has not shown it yet.") from error
            if not owns_namespace(app, known):
                raise Blocked(build_not_ours(app, name)) from error
            return known
        self._writer.remember((created,))
        return created

    async def _observe(self, draft: Draft, namespace: Observed) -> None:
        """Note what is in place now."""
        app, chosen = draft.app, draft.effective
        within = self._services.children.within(namespace.ref.name)
        own = own_children(app, within)
        draft.namespace = NamespaceStatus(name=namespace.ref.name, uid=namespace.uid)
        draft.guarded = True
        found = next((o for o in own if o.status is not None), None)
        if chosen is not None and chosen.runtime is not None and (found is not None or not chosen.held_back):
            if not chosen.held_back:
                draft.approved_fingerprint = chosen.fingerprint
            draft.workload = judge_workload(chosen.app, chosen.runtime.kind, found)
            if draft.workload.reason in _UNSETTLED and found is not None:
                why = explain_pods(await self._services.cluster.list_pods(namespace.ref.name))
                draft.workload = draft.workload.because(why)
        draft.faults += await self._foreign(app, within)

    async def _foreign(self, app: MicroApp, within: Sequence[Observed]) -> list[Finding]:
        findings = []
        for observed in foreign_guards(app, within):
            known = (observed.uid, observed.resource_version)
            if known not in self._verdicts:
                full = await self._services.cluster.get(observed.ref)
                self._verdicts = {k: v for k, v in self._verdicts.items() if k[0] != observed.uid}
                self._verdicts[known] = judge_foreign(observed, full) if full is not None else None
            finding = self._verdicts[known]
            if finding is not None:
                findings.append(finding)
        return findings


_UNSETTLED = frozenset({Reason.WORKLOAD_PROGRESSING, Reason.WORKLOAD_UNAVAILABLE})
