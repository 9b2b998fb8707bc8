"""The scan as one part of the operator: what it is made of, what it is told, how it starts and ends."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from prometheus_client import CollectorRegistry

from microapp_operator.adapters.kubernetes.client import KubernetesClient
from microapp_operator.adapters.kubernetes.cluster import KubernetesCluster
from microapp_operator.adapters.kubernetes.informer import Informer
from microapp_operator.adapters.kubernetes.kinds import JUDGED
from microapp_operator.adapters.kubernetes.reports import ReportFeed
from microapp_operator.adapters.policies import Policies
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.model import ApprovalScope, Manifest
from microapp_operator.ports import Clock, Observed
from microapp_operator.reconcile.engine import Engine
from microapp_operator.reconcile.queue import Key, Priority, WorkQueue
from microapp_operator.reconcile.store import POLICY_KINDS, Store
from microapp_operator.scan.board import Board
from microapp_operator.scan.loop import ScanLoop
from microapp_operator.scan.metrics import ScanMetrics
from microapp_operator.scan.publish import Publisher
from microapp_operator.scan.scanner import Scanner, Sources

log = structlog.get_logger(__name__)
_PATIENCE = 30.0
"""Seconds a scan waits for a busy reconciler."""
_JUDGED = frozenset(kind.kind for kind in JUDGED)


@dataclass(slots=True)
class Scan:
    """What the feeds tell of, as far as it concerns the scan. Before ``start`` nothing happens."""

    loop: ScanLoop
    scanner: Scanner
    reports: ReportFeed
    store: Store
    namespaces: Callable[[str], Observed | None]
    _seen: dict[Key, tuple[object, ...]] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """This process leads: look at everything, and go on doing so."""
        self._tasks = [
            asyncio.create_task(self.reports.run(), name="reports"),
            asyncio.create_task(self.loop.run(), name="scan"),
        ]
        for task in self._tasks:
            task.add_done_callback(_tell_crash)

    async def stop(self) -> None:
        """End at once; what a scan has not found yet the next one will."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.scanner.close()

    def dead(self) -> str | None:
        """For /readyz: why nothing is scanned, or None."""
        ended = [task.get_name() for task in self._tasks if task.done()]
        return f"ended: {', '.join(ended)}" if ended else None

    def on_app(self, key: Key) -> None:
        """A MicroApp is new, changed or gone, or a pass over it has left its children otherwise than before."""
        raw = self.store.app(key)
        marks = _marks(raw) if raw else ()
        if self._seen.get(key) == marks:
            return
        self._seen[key] = marks
        if raw is None:
            del self._seen[key]
        self._namespace(namespace_name(*key))

    def on_child(self, before: Observed | None, after: Observed | None) -> None:
        """Something in a governed namespace, or such a namespace itself, changed."""
        for observed in (before, after):
            if observed is None:
                continue
            ref = observed.ref
            home = observed if ref.kind == "Namespace" else self.namespaces(ref.namespace)
            if home is not None and home.app_uid and ref.kind in {"Namespace", *_JUDGED}:
                self._namespace(home.ref.name)

    def on_policy(self, kind: str, raw: Manifest) -> None:
        """A RiskTier, Connector, Tenant or Approval appeared, changed or went."""
        if kind == "Tenant":
            self._namespace("")
        elif kind != "Approval" or raw.get("spec", {}).get("scope") == ApprovalScope.EXCEPTION:
            for key in self.store.keys_concerned(kind, raw):
                self._namespace(namespace_name(*key))

    def on_policies(self) -> None:
        """Other rules or settings are in force."""
        self._namespace("")

    def _namespace(self, name: str) -> None:
        """Before it leads a process has nothing to keep up to date: it begins with everything."""
        if self._tasks:
            self.loop.namespace(name)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the operator the scan works with."""

    client: KubernetesClient
    informer: Informer
    policies: Policies
    store: Store
    queue: WorkQueue
    clock: Clock
    registry: CollectorRegistry


def build_scan(around: Surroundings, *, interval: float) -> Scan:
    """The scan, wired, not started. interval: seconds between full passes."""
    board = Board()
    metrics = ScanMetrics(around.registry, board)
    reports = ReportFeed(around.client)
    publisher = Publisher(KubernetesCluster(around.client, reports.record), reports, metrics.report_refused)
    sources = Sources(around.client, around.policies, around.store, around.informer.policies, around.clock)
    scanner = Scanner(sources, board, publisher)
    scanner.on_findings = lambda key: around.queue.add(key, Priority.FAN_OUT)

    async def calm() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await around.queue.idle()

    loop = ScanLoop(scanner, metrics, clock=around.clock, interval=interval, calm=calm)
    reports.on_change = loop.namespace
    scan = Scan(loop, scanner, reports, around.store, around.informer.cache.namespace)
    around.store.on_news = scan.on_app
    return scan


def listen(informer: Informer, policies: Policies, engine: Engine, scan: Scan) -> None:
    """Have reconciler and scan told of what the watches bring, and of other rules."""

    def child(before: Observed | None, after: Observed | None) -> None:
        engine.on_child(before, after)
        scan.on_child(before, after)

    def policy(kind: str, raw: Manifest, deleted: bool) -> None:
        if kind in POLICY_KINDS:
            engine.on_policy(kind, raw, deleted=deleted)
        scan.on_policy(kind, raw)

    def policies_changed() -> None:
        engine.on_policies(policies.settings, policies.engine.digest)
        scan.on_policies()

    informer.on_child, informer.on_policy, policies.on_change = child, policy, policies_changed


def _marks(raw: Manifest) -> tuple[object, ...]:
    """What of a MicroApp says that it, or its children as we left them, are not as they were."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    return metadata["uid"], metadata.get("generation"), status.get("renderedHash"), status.get("childrenHash")


def _tell_crash(task: asyncio.Task[None]) -> None:
    """A scan that ends by a bug shows at once in the log, and in /readyz."""
    if not task.cancelled() and task.exception() is not None:
        log.error("scan_crashed", task=task.get_name(), exc_info=task.exception())
