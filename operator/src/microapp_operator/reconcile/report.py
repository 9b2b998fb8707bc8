"""Tells the world: status when it changed, Events on transitions and repairs, metrics of both."""

from collections.abc import Sequence

import structlog

from microapp_operator.errors import Blocked
from microapp_operator.gates import Voided
from microapp_operator.metrics import Metrics
from microapp_operator.model import Condition, MicroApp, MicroAppStatus
from microapp_operator.ports import Cluster, Events, ObjectRef, Observed
from microapp_operator.reasons import ConditionType, Reason
from microapp_operator.reconcile.services import app_ref
from microapp_operator.reconcile.store import Store

log = structlog.get_logger(__name__)
_TOLD = (
    ConditionType.READY,
    ConditionType.APPROVED,
    ConditionType.POLICY_COMPLIANT,
    ConditionType.SECRETS_READY,
    ConditionType.ROTATION_CURRENT,
    ConditionType.RUNTIME_AVAILABLE,
)
"""Conditions whose transitions become Events; the others show through Ready."""


class Reporter:
    """Implements ``services.Reporting`` on the cluster, the Events and the metrics."""

    def __init__(self, cluster: Cluster, events: Events, store: Store, metrics: Metrics) -> None:
        self._cluster, self._events, self._store, self._metrics = cluster, events, store, metrics

    def drift(self, app: MicroApp, ref: ObjectRef, observed: Observed | None) -> None:
        """Tell of a child that is being repaired: what, and who wrote it."""
        if observed is None:
            reason, what = Reason.CHILD_DELETED, f"{ref.kind} {ref.name} was deleted; it is restored."
        else:
            who = next(iter(observed.foreign_managers), observed.last_manager) or "unknown"
            reason = Reason.DRIFT_REPAIRED
            what = f"{ref.kind} {ref.name} was changed by field manager {who}; it is repaired."
        self._metrics.drift(ref.kind, reason)
        log.warning("drift", kind=ref.kind, name=ref.name, reason=reason, message=what)
        message = f"{what} {reason.remedy}"
        self._events.publish(app_ref(app), uid=app.metadata.uid, reason=reason, message=message, warning=True)

    def skipped(self, writes: int) -> None:
        """Count children that needed no write."""
        self._metrics.skipped("child_unchanged", writes)

    async def unbind(self, app: MicroApp) -> None:
        """Take the namespace off the app's status: it is gone."""
        await self._write(app, app.status.model_copy(update={"namespace": None, "rendered_hash": None}))

    async def publish(self, app: MicroApp, status: MicroAppStatus, voided: Sequence[Voided] = ()) -> None:
        """Write ``status`` if it differs from the app's, and tell people of what changed, ``voided`` included."""
        states = (_state(status, ConditionType.READY), _state(status, ConditionType.LOG_FORWARDING))
        self._metrics.app_state(app.metadata.namespace, app.metadata.name, *states)
        if status == app.status:
            self._metrics.skipped("status_unchanged", 1)
            return
        await self._write(app, status)
        for kind in _TOLD:
            self._tell(app, app.status, status, kind)
        if _state(app.status, ConditionType.APPROVED) == "True" != _state(status, ConditionType.APPROVED):
            for each in voided:
                self._void(app, each)

    def _void(self, app: MicroApp, voided: Voided) -> None:
        log.warning("approval_voided", approval=voided.approval, why=voided.why)
        reason, message = Reason.APPROVAL_VOIDED, f"{voided.text()} {Reason.APPROVAL_VOIDED.remedy}"
        self._events.publish(app_ref(app), uid=app.metadata.uid, reason=reason, message=message[:1024], warning=True)

    def deleted(self, app: MicroApp) -> None:
        """Nothing of the app is left."""
        log.info("deleted", uid=app.metadata.uid)
        self._metrics.app_gone(app.metadata.namespace, app.metadata.name)

    async def _write(self, app: MicroApp, status: MicroAppStatus) -> None:
        body = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        try:
            raw = await self._cluster.apply_status(app_ref(app), uid=app.metadata.uid, status=body)
        except Blocked as error:
            log.error("status_rejected", why=str(error))
            return
        self._store.put_app(raw)

    def _tell(self, app: MicroApp, old: MicroAppStatus, new: MicroAppStatus, kind: ConditionType) -> None:
        before, after = _condition(old, kind), _condition(new, kind)
        if after is None or (before is not None and (before.status, before.reason) == (after.status, after.reason)):
            return
        if after.status == "True" and (before is None or before.status != "False"):
            return  # what went as it should needs no Event; a recovery does
        if after.reason in _QUIET:
            return
        reason, text = Reason(after.reason), after.message[:1024]
        warning = after.status == "False"
        self._events.publish(app_ref(app), uid=app.metadata.uid, reason=reason, message=text, warning=warning)


_QUIET = frozenset({Reason.PROGRESSING, Reason.WORKLOAD_PROGRESSING, Reason.NOT_SCANNED})


def _condition(status: MicroAppStatus, kind: ConditionType) -> Condition | None:
    return next((c for c in status.conditions if c.type == kind), None)


def _state(status: MicroAppStatus, kind: ConditionType) -> str:
    condition = _condition(status, kind)
    return condition.status if condition else "Unknown"
