"""The one level-based reconcile: reads what is, decides, applies the difference, writes the truth.

Serves create, update, restart, drift, timers and deletion alike. Every exit ends in the computation of
status, failed ones included. Must not import adapters, kopf or any client library.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from microapp_operator.conditions import compute_status
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.errors import Blocked, Gone, InvalidSpec, Transient, Waiting
from microapp_operator.model import Manifest, MicroApp, parse
from microapp_operator.reasons import Finding
from microapp_operator.reconcile.converge import Converger
from microapp_operator.reconcile.draft import Draft, draft_from
from microapp_operator.reconcile.queue import Key, WorkQueue
from microapp_operator.reconcile.services import Services
from microapp_operator.reconcile.store import Store
from microapp_operator.reconcile.teardown import Teardown

log = structlog.get_logger(__name__)
_LONGEST_PAUSE = 86_400.0
_PATIENCE = 3
"""Transient failures in a row before status tells of them; sooner would only make it flap."""


class Reconciler:
    """Reconciles one key per call; safe to run for different keys at once."""

    def __init__(self, store: Store, queue: WorkQueue, services: Services) -> None:
        self._store, self._queue, self._services = store, queue, services
        self._converger = Converger(store, services)
        self._teardown = Teardown(services, self._converger.forget)

    async def reconcile(self, key: Key) -> str:
        """Bring the MicroApp of ``key`` as close to its declaration as can be; returns the outcome's name."""
        raw = self._store.app(key)
        if raw is None:
            self._queue.drop(key)
            self._converger.forget(namespace_name(*key))
            self._services.entrypoints.want(key, frozenset())
            return "gone"
        generation = raw["metadata"].get("generation")
        with structlog.contextvars.bound_contextvars(
            app=key[1], namespace=key[0], generation=generation, reconcile_id=uuid.uuid4().hex[:12]
        ):
            outcome = await self._reconcile(key, raw)
            log.debug("reconciled", outcome=outcome)
            return outcome

    async def _reconcile(self, key: Key, raw: Manifest) -> str:
        app, unreadable = _read(raw)
        draft = draft_from(app)
        draft.scan = self._store.scan(key)
        draft.forwarding = replace(self._store.forwarding(key), before=app.status.conditions)
        if app.metadata.deletion_timestamp:
            return await self._attempt(key, draft, self._teardown.dismantle)
        if unreadable is not None:
            draft.faults.append(unreadable)
            return await self._publish(key, draft, "blocked")
        return await self._attempt(key, draft, self._converger.converge)

    async def _attempt(self, key: Key, draft: Draft, work: Callable[[Draft], Awaitable[float | None]]) -> str:
        """Run ``work``; the class of the error decides what happens next."""
        outcome = "done"
        try:
            pause = await work(draft)
            if pause is not None:
                self._queue.add_after(key, min(max(pause, 0.0), _LONGEST_PAUSE))
        except (InvalidSpec, Blocked) as error:
            draft.faults.append(error.finding)
            outcome = "blocked"
        except Waiting as error:
            draft.progress = error.finding
            self._queue.add_after(key, error.delay)
            outcome = "waiting"
        except Gone:
            return self._gone(key, draft)
        except Transient as error:
            draft.progress = error.finding
            return await self._retry(key, draft, error)
        return await self._publish(key, draft, outcome)

    async def _publish(self, key: Key, draft: Draft, outcome: str) -> str:
        app = draft.app
        status = compute_status(app.status, draft.view(), self._services.clock.now())
        try:
            await self._services.reporter.publish(app, status, draft.voided())
        except Gone:
            return self._gone(key, draft)
        except Transient as error:
            return await self._retry(key, draft, error)
        self._queue.forget(key)
        return outcome

    async def _retry(self, key: Key, draft: Draft, error: Transient) -> str:
        delay = self._queue.retry(key, at_least=error.retry_after or 0.0)
        failures = self._queue.failures(key)
        log.warning("retrying", why=str(error), delay_seconds=round(delay, 3), failures=failures)
        if failures == _PATIENCE and draft.progress is not None:
            status = compute_status(draft.app.status, draft.view(), self._services.clock.now())
            try:
                await self._services.reporter.publish(draft.app, status)
            except (Transient, Gone) as second:
                log.warning("status_not_written", why=str(second))
        return "retry"

    def _gone(self, key: Key, draft: Draft) -> str:
        """The MicroApp of this UID doesn't exist any more."""
        self._store.drop_app(key, draft.app.metadata.uid)
        self._queue.drop(key)
        return "gone"


def _read(raw: Manifest) -> tuple[MicroApp, Finding | None]:
    """The MicroApp, or what can be had of one whose spec can't be read, with the reason.

    The API server's schema keeps unreadable specs out; one written under an older schema may still come.
    """
    try:
        return parse(MicroApp, raw), None
    except InvalidSpec as error:
        shell = {**raw, "spec": _PLACEHOLDER}
        return parse(MicroApp, shell), error.finding


_PLACEHOLDER: Manifest = {
    "owner": {"team": "unknown", "contact": "unknown@unknown.invalid"},
    "riskTier": "unknown",
    "dataClassification": "restricted",
    "runtime": {"image": "unknown"},
}
