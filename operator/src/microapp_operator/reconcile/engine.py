"""Runs the reconciler: a fixed number of workers over one queue, fed by whoever calls ``on_*``.

The feeds only enqueue. Nothing runs before ``start``, so that nothing is decided on half a picture.
Must not import adapters, kopf or any client library.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from microapp_operator.decide.isolation import Isolation
from microapp_operator.metrics import Metrics
from microapp_operator.model import Manifest
from microapp_operator.policy.settings import PolicySettings
from microapp_operator.ports import URGENCY, Observed
from microapp_operator.reconcile.queue import Key, Priority, WorkQueue
from microapp_operator.reconcile.reconciler import Reconciler
from microapp_operator.reconcile.store import Store, key_of

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Engine:
    """Feeds in, reconciles out. workers: MicroApps reconciled at once. standing_by: another process leads."""

    store: Store
    queue: WorkQueue
    reconciler: Reconciler
    metrics: Metrics
    workers: int
    standing_by: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def on_app(self, raw: Manifest, *, deleted: bool = False, initial: bool = False) -> None:
        """The MicroApp feed delivered ``raw``: from the initial list, changed, or deleted."""
        key = key_of(raw)
        if deleted:
            self.store.drop_app(key, raw["metadata"]["uid"])
            self.metrics.app_gone(*key)
        elif not self.store.put_app(raw):
            return
        usual = Priority.NEW if self.store.is_new(key) else Priority.EDIT
        self.queue.add(key, Priority.INITIAL if initial else usual)

    def on_policy(self, kind: str, raw: Manifest, *, deleted: bool = False) -> None:
        """A RiskTier, Connector or Approval changed: all apps it concerns are looked at again."""
        if deleted:
            self.store.drop_policy(kind, raw)
        else:
            self.store.put_policy(kind, raw)
        self._fan_out(self.store.keys_concerned(kind, raw))

    def on_policies(self, settings: PolicySettings, digest: str) -> None:
        """Other rules or settings are in force: all apps are judged anew."""
        self.store.settings, self.store.policy_digest = settings, digest
        self._fan_out(self.store.keys())

    def on_child(self, before: Observed | None, after: Observed | None) -> None:
        """A namespace, or something in a governed one, changed behind our back or reports progress."""
        observed = after or before
        if observed is None:
            return
        namespace = observed.ref.namespace or observed.ref.name
        for key in self.store.keys_of_namespace(namespace):
            self.queue.add(key, Priority.NEW if self.store.is_new(key) else Priority.EDIT)

    def on_isolation(self, isolation: Isolation) -> None:
        """The nodes' probes say something else than before: all apps are looked at again."""
        self.store.isolation = isolation
        self._fan_out(self.store.keys())

    def on_capabilities(self) -> None:
        """A RuntimeClass or an API appeared or went."""
        self._fan_out(self.store.keys())

    def start(self) -> None:
        """Start the workers."""
        self.standing_by = False
        self._tasks = [asyncio.create_task(self._work(), name=f"worker-{i}") for i in range(self.workers)]
        self.metrics.leading(True)
        log.info("workers_started", workers=self.workers, apps=len(self.store))

    async def stop(self) -> None:
        """Finish what runs, start nothing new."""
        await self.queue.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.metrics.leading(False)

    def dead_workers(self) -> str | None:
        """For /readyz: why work isn't being done, or None."""
        if self.standing_by:
            return None
        if not self._tasks:
            return "the workers have not started: the first lists are not complete"
        dead = [t.get_name() for t in self._tasks if t.done()]
        return f"workers ended: {', '.join(dead)}" if dead else None

    def _fan_out(self, keys: list[Key]) -> None:
        for key in keys:
            self.queue.add(key, Priority.FAN_OUT)

    async def _work(self) -> None:
        while (key := await self.queue.get()) is not None:
            started = asyncio.get_running_loop().time()
            outcome = "crashed"
            URGENCY.set(self.queue.priority(key))
            try:
                outcome = await self.reconciler.reconcile(key)
            except Exception:  # a bug met by one app must not stop the others: logged, counted, retried
                log.exception("reconcile_crashed", app=key[1], namespace=key[0])
                self.queue.retry(key)
            finally:
                self.metrics.reconciled(outcome, asyncio.get_running_loop().time() - started)
                self.queue.done(key)
