"""Reads what is there, has it judged, and hands on what was found: to the board, to status and to the Reports.

Evaluations run on one thread of their own, some objects at a time, so that neither the event loop nor more than one
core waits for them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from microapp_operator.adapters.kubernetes.client import KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import JUDGED, MICRO_APP
from microapp_operator.adapters.kubernetes.listing import namespace_labels, namespaces_labelled, pages
from microapp_operator.adapters.policies import Policies
from microapp_operator.compliance import is_told
from microapp_operator.constants import LABEL_APP_UID
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.errors import InvalidSpec
from microapp_operator.gates import GateInput
from microapp_operator.model import Approval, ApprovalScope, Manifest, MicroApp, parse
from microapp_operator.policy.context import Knowledge
from microapp_operator.policy.standing import can_run
from microapp_operator.ports import Clock
from microapp_operator.reconcile.queue import Key
from microapp_operator.reconcile.store import Store
from microapp_operator.scan.board import Board, Home
from microapp_operator.scan.court import Court, Judged
from microapp_operator.scan.publish import Publisher
from microapp_operator.view import Scan

log = structlog.get_logger(__name__)
_AT_ONCE = 16
"""Objects judged in one go on the thread."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a scan reads. shelf: by kind (RiskTier, Connector, Tenant) the objects as they came, by name."""

    client: KubernetesClient
    policies: Policies
    store: Store
    shelf: Callable[[str], dict[str, Manifest]]
    clock: Clock


@dataclass(slots=True)
class Scanner:
    """Scans everything, or one namespace.

    on_findings is told of each MicroApp of which its status doesn't say what was found; on_expiry of each namespace
    with the time at which an exception in it ends.
    """

    sources: Sources
    board: Board
    publisher: Publisher
    on_findings: Callable[[Key], None] = lambda _: None
    on_expiry: Callable[[str, datetime], None] = lambda *_: None
    objects: int = 0
    """Looked at by the last full pass."""
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="scan"))

    def close(self) -> None:
        """End the thread, once what runs on it has ended."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def everything(self) -> None:
        """One full pass: each kind is listed once for the whole cluster, and what isn't governed is passed over."""
        labels = await namespaces_labelled(self.sources.client, LABEL_APP_UID)
        keys = self.sources.store.keys()
        court = self._court(labels, keys)
        objects, count = await self._objects(court, "")
        apps: dict[str, dict[Key, Judged]] = defaultdict(dict)
        for key, judged in (await self._apps(court, keys)).items():
            apps[namespace_name(*key)][key] = judged
        homes = {n: Home(labels.get(n, {}).get(LABEL_APP_UID, ""), objects[n], apps[n]) for n in {*labels, *apps}}
        self.board.replace(homes)
        self.objects = count + len(keys)
        await self._tell(keys)
        found = self.board.by_namespace()
        for namespace in sorted({*found, *self.publisher.namespaces()}):
            await self.publisher.publish(namespace, found.get(namespace, ()))

    async def namespace(self, name: str) -> None:
        """What is in the namespace ``name``, with the MicroApps that live in it or whose own it is."""
        store, labels = self.sources.store, await namespace_labels(self.sources.client, name)
        governed = {name: labels} if LABEL_APP_UID in labels else {}
        keys = list(store.keys_of_namespace(name))
        court = self._court(governed, keys)
        objects = (await self._objects(court, name))[0][name] if governed else ()
        self.board.put(name, Home(labels.get(LABEL_APP_UID, ""), objects, await self._apps(court, keys)))
        await self._tell(keys)
        found = self.board.by_namespace()
        for each in sorted({name, *(tenant for tenant, _ in keys)}):
            await self.publisher.publish(each, found.get(each, ()))

    def _court(self, labels: Mapping[str, Mapping[str, str]], keys: Iterable[Key]) -> Court:
        """The cluster as it is known now; nothing in it changes while the pass goes on in its thread."""
        store, policies = self.sources.store, self.sources.policies
        apps: dict[str, set[str]] = defaultdict(set)
        for key in store.keys():  # noqa: SIM118 - no dict
            apps[key[0]].add(key[1])
        known = Knowledge(
            settings=policies.settings.document(),
            tiers=self.sources.shelf("RiskTier"),
            connectors=self.sources.shelf("Connector"),
            tenants=self.sources.shelf("Tenant"),
            namespaces=dict(labels),
            apps=apps,
        )
        now = self.sources.clock.now()
        return Court(policies.engine, known, dict(self._gates(keys, now)), now)

    def _gates(self, keys: Iterable[Key], now: datetime) -> Iterable[tuple[Key, GateInput]]:
        """By app what its exceptions are judged by; those without any are left out."""
        store, policies = self.sources.store, self.sources.policies
        for key, given in self._exceptions(set(keys)).items():
            app = self._parsed(key)
            tier = store.tier(app.spec.risk_tier) if app else None
            if app is None or tier is None:
                continue
            ends = [datetime.fromisoformat(a.spec.expires_at) for a in given if a.spec.expires_at]
            for end in (e for e in ends if e > now):
                self.on_expiry(namespace_name(*key), end)
            yield key, GateInput(app, tier, given, policies.settings, policies.engine.digest)

    def _exceptions(self, keys: set[Key]) -> dict[Key, list[Approval]]:
        found: dict[Key, list[Approval]] = defaultdict(list)
        for namespace in {namespace for namespace, _ in keys}:
            for approval in self.sources.store.approvals(namespace):
                if approval.spec.scope is ApprovalScope.EXCEPTION and (namespace, approval.spec.micro_app) in keys:
                    found[namespace, approval.spec.micro_app].append(approval)
        return found

    def _parsed(self, key: Key) -> MicroApp | None:
        raw = self.sources.store.app(key)
        try:
            return parse(MicroApp, raw) if raw else None
        except InvalidSpec:
            return None  # one that can't be read has no exceptions; its own condition says what is wrong

    async def _objects(self, court: Court, namespace: str) -> tuple[dict[str, tuple[Judged, ...]], int]:
        """What there is something to say about, by namespace, and how many objects were looked at."""
        found: dict[str, tuple[Judged, ...]] = defaultdict(tuple)
        count = 0
        for kind in JUDGED:
            async for page in pages(self.sources.client, kind, namespace):
                subjects = [m for m in page if m["metadata"]["namespace"] in court.known.namespaces and can_run(m)]
                count += len(subjects)
                for judged in await self._judge(court, subjects):
                    if not judged.clean:
                        found[judged.ref.namespace] += (judged,)
        return found, count

    async def _apps(self, court: Court, keys: Sequence[Key]) -> dict[Key, Judged]:
        raws = [raw for key in keys if (raw := self.sources.store.app(key)) is not None]
        typed = [{**raw, "apiVersion": MICRO_APP.api_version, "kind": MICRO_APP.kind} for raw in raws]
        return {(j.ref.namespace, j.ref.name): j for j in await self._judge(court, typed)}

    async def _judge(self, court: Court, subjects: Sequence[Manifest]) -> list[Judged]:
        loop = asyncio.get_running_loop()
        judged: list[Judged] = []
        for start in range(0, len(subjects), _AT_ONCE):
            some = subjects[start : start + _AT_ONCE]
            judged += await loop.run_in_executor(self._thread, court.judge_all, some)
        for each in (j for j in judged if j.error):
            ref = each.ref
            log.error("scan_not_judged", kind=ref.kind, namespace=ref.namespace, name=ref.name, why=each.error)
        return judged

    async def _tell(self, keys: Iterable[Key]) -> None:
        """Hand on what concerns each app; put together off the event loop, for there may be thousands."""
        store = self.sources.store
        raws = [(key, raw) for key in keys if (raw := store.app(key)) is not None]
        for key, raw, scan in await asyncio.to_thread(self._summaries, raws):
            if store.put_scan(key, scan) and not is_told(raw.get("status") or {}, scan):
                self.on_findings(key)

    def _summaries(self, raws: Sequence[tuple[Key, Manifest]]) -> list[tuple[Key, Manifest, Scan]]:
        found = ((k, raw, self.board.scan_of(k, raw["metadata"]["uid"], namespace_name(*k))) for k, raw in raws)
        return [(key, raw, scan) for key, raw, scan in found if scan is not None]
