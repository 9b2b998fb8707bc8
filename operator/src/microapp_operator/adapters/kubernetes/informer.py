"""The watched state of all kinds: ``ports.Children`` in memory, and what the cluster can do.

Our own writes are recorded as they return, ahead of the watch, so that a pass sees what the last one did.
resourceVersions are compared as numbers (comparable from Kubernetes 1.35 on, KEP-5504).
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import structlog

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import (
    CHILDREN,
    KNATIVE_SERVICE,
    MICRO_APP,
    OPTIONAL,
    POLICIES,
    RUNTIME_CLASS,
    Kind,
)
from microapp_operator.adapters.kubernetes.observe import observed_from
from microapp_operator.adapters.kubernetes.watch import Watch
from microapp_operator.errors import Gone, OperatorError
from microapp_operator.model.common import Manifest
from microapp_operator.ports import ObjectRef, Observed
from microapp_operator.settings import Capabilities

log = structlog.get_logger(__name__)
OnChange = Callable[[Observed | None, Observed | None], None]
_PROBE_EVERY = 30.0


class Cache:
    """Observed objects by namespace; ``put`` and ``drop`` say whether anything of substance changed."""

    def __init__(self) -> None:
        self._namespaces: dict[str, Observed] = {}
        self._within: dict[str, dict[ObjectRef, Observed]] = defaultdict(dict)
        self._dropped: dict[ObjectRef, int] = {}

    def namespace(self, name: str) -> Observed | None:
        """The namespace of that name, whoever owns it."""
        return self._namespaces.get(name)

    def within(self, namespace: str) -> Sequence[Observed]:
        """All watched objects in ``namespace``, ours and foreign."""
        return tuple(self._within.get(namespace, {}).values())

    def get(self, ref: ObjectRef) -> Observed | None:
        """The object as last seen."""
        return self._within.get(ref.namespace, {}).get(ref) if ref.namespace else self._namespaces.get(ref.name)

    def put(self, observed: Observed) -> tuple[bool, Observed | None]:
        """(changed, what was there before); an older version than the one kept is ignored."""
        ref, before = observed.ref, self.get(observed.ref)
        version = int(observed.resource_version)
        if version <= self._dropped.get(ref, 0) or (before and version <= int(before.resource_version)):
            return False, before
        if ref.namespace:
            self._within[ref.namespace][ref] = observed
        else:
            self._namespaces[ref.name] = observed
        self._dropped.pop(ref, None)
        same = before is not None and replace(before, resource_version=observed.resource_version) == observed
        return not same, before

    def drop(self, ref: ObjectRef, version: int) -> Observed | None:
        """Forget the object, deleted at ``version``; returns it unless a newer one is kept."""
        before = self.get(ref)
        if before is not None and int(before.resource_version) > version:
            return None
        self._dropped[ref] = version
        if ref.namespace:
            kept = self._within[ref.namespace]
            kept.pop(ref, None)
            if not kept:
                del self._within[ref.namespace]
        else:
            self._namespaces.pop(ref.name, None)
            self._dropped = {r: v for r, v in self._dropped.items() if r.namespace != ref.name}
        return before

    def refs(self, kind: Kind) -> list[ObjectRef]:
        """All objects of ``kind``."""
        pool: Iterable[Observed] = (
            (o for kept in self._within.values() for o in kept.values())
            if kind.namespaced
            else self._namespaces.values()
        )
        return [o.ref for o in pool if (o.ref.api_version, o.ref.kind) == (kind.api_version, kind.kind)]


class Informer:
    """Runs the watches. Callbacks are called on the event loop and must return at once.

    on_child(before, after); on_policy(kind, object, deleted); on_app(metadata of a MicroApp, deleted);
    on_capabilities(). MicroApps are fed by kopf; this second, metadata-only look tells when that feed lags.
    """

    def __init__(
        self,
        client: KubernetesClient,
        *,
        on_restart: Callable[[str, str], None] = lambda *_: None,
        inactivity: float = 70.0,
    ) -> None:
        self._client, self._on_restart, self._inactivity = client, on_restart, inactivity
        self.cache = Cache()
        self.on_child: OnChange = lambda *_: None
        self.on_policy: Callable[[str, Manifest, bool], None] = lambda *_: None
        self.on_app: Callable[[Manifest, bool], None] = lambda *_: None
        self.on_capabilities: Callable[[], None] = lambda: None
        self._policies: dict[str, dict[str, Manifest]] = {k.kind: {} for k in POLICIES}
        self._classes: frozenset[str] = frozenset()
        self._knative = False
        self._optional: frozenset[str] = frozenset()
        self._watches: dict[str, Watch] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def capabilities(self) -> Capabilities:
        """What this cluster can do, as last seen."""
        return Capabilities(runtime_classes=self._classes, knative=self._knative, apis=self._optional)

    def policies(self, kind: str) -> dict[str, Manifest]:
        """The RiskTiers, Connectors or Tenants as they came, by name."""
        return {raw["metadata"]["name"]: raw for raw in self._policies[kind].values()}

    def ages(self) -> dict[str, float]:
        """Per kind, seconds since its watch was last heard of."""
        return {kind: watch.age() for kind, watch in self._watches.items()}

    async def start(self) -> None:
        """Start all watches and wait until each has listed once."""
        self._knative = await self._served(KNATIVE_SERVICE)
        for kind in CHILDREN:
            self._watch(kind, partial(self._child_list, kind), partial(self._child_event, kind))
        for kind in POLICIES:
            self._watch(kind, partial(self._policy_list, kind), partial(self._policy_event, kind))
        self._watch(RUNTIME_CLASS, self._class_list, self._class_event)
        self._watch(MICRO_APP, self._app_list, self._app_event)
        if self._knative:
            self._watch_knative()
        await self._find_optional()
        await asyncio.gather(*(w.listed.wait() for w in self._watches.values()))
        self._tasks.append(asyncio.create_task(self._probe(), name="probe-apis"))

    async def stop(self) -> None:
        """End all watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def record(self, observed: Observed) -> None:
        """Take the result of our own write, ahead of the watch; no callback."""
        self.cache.put(observed)

    def _watch(
        self, kind: Kind, on_list: Callable[[list[Manifest]], None], on_event: Callable[[str, Manifest], None]
    ) -> None:
        name = kind.kind if kind is not KNATIVE_SERVICE else "KnativeService"
        watch = Watch(self._client, kind, on_list, on_event, self._on_restart, self._inactivity)
        self._watches[name] = watch
        task = asyncio.create_task(watch.run(), name=f"watch-{name}")
        task.add_done_callback(_tell_crash)
        self._tasks.append(task)

    def _watch_knative(self) -> None:
        kind = KNATIVE_SERVICE
        self._watch(kind, partial(self._child_list, kind), partial(self._child_event, kind))

    async def _find_optional(self) -> bool:
        """Watch what is served of the optional kinds; True when that is more or less than before."""
        served = {kind: await self._served(kind) for kind in OPTIONAL}
        for kind, here in served.items():
            if here and kind.kind not in self._watches:
                self._watch(kind, partial(self._child_list, kind), partial(self._child_event, kind))
                await self._watches[kind.kind].listed.wait()
        before = self._optional
        whole = {k.api_version for k in OPTIONAL} - {k.api_version for k, here in served.items() if not here}
        self._optional = frozenset(whole)
        return self._optional != before

    def _child_list(self, kind: Kind, items: list[Manifest]) -> None:
        seen = set()
        for item in items:
            observed = observed_from(kind, item)
            seen.add(observed.ref)
            self._child_put(observed)
        for ref in self.cache.refs(kind):
            if ref not in seen:
                self._child_drop(ref, None)

    def _child_event(self, kind: Kind, event: str, item: Manifest) -> None:
        observed = observed_from(kind, item)
        if event == "DELETED":
            self._child_drop(observed.ref, observed)
        else:
            self._child_put(observed)

    def _child_put(self, observed: Observed) -> None:
        changed, before = self.cache.put(observed)
        if changed:
            self.on_child(before, observed)

    def _child_drop(self, ref: ObjectRef, last: Observed | None) -> None:
        known = last or self.cache.get(ref)
        if known is None:
            return
        before = self.cache.drop(ref, int(known.resource_version))
        if before is not None:
            self.on_child(before, None)

    def _policy_list(self, kind: Kind, items: list[Manifest]) -> None:
        kept = self._policies[kind.kind]
        for gone in set(kept) - {i["metadata"]["uid"] for i in items}:
            self.on_policy(kind.kind, kept.pop(gone), True)
        for item in items:
            self._policy_event(kind, "MODIFIED", item)

    def _policy_event(self, kind: Kind, event: str, item: Manifest) -> None:
        kept, uid = self._policies[kind.kind], item["metadata"]["uid"]
        if event == "DELETED":
            kept.pop(uid, None)
            self.on_policy(kind.kind, item, True)
            return
        item["metadata"].pop("managedFields", None)
        before = kept.get(uid)
        kept[uid] = item
        if before is None or before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            self.on_policy(kind.kind, item, False)

    def _class_list(self, items: list[Manifest]) -> None:
        self._set_classes(frozenset(i["metadata"]["name"] for i in items))

    def _class_event(self, event: str, item: Manifest) -> None:
        name = {item["metadata"]["name"]}
        self._set_classes(self._classes - name if event == "DELETED" else self._classes | name)

    def _set_classes(self, classes: frozenset[str]) -> None:
        if classes != self._classes:
            self._classes = classes
            self.on_capabilities()

    def _app_list(self, items: list[Manifest]) -> None:
        for item in items:
            self.on_app(item, False)

    def _app_event(self, event: str, item: Manifest) -> None:
        self.on_app(item, event == "DELETED")

    async def _probe(self) -> None:
        """Notice when Knative, or what delivers secrets, comes or goes: a CRD's API has no watch of its own."""
        while True:
            await asyncio.sleep(_PROBE_EVERY)
            try:
                served = await self._served(KNATIVE_SERVICE)
                if await self._find_optional():
                    log.info("optional_apis_changed", served=sorted(self._optional))
                    self.on_capabilities()
            except OperatorError as error:
                log.info("api_probe_failed", why=str(error))
                continue
            if served == self._knative:
                continue
            self._knative = served
            log.info("knative_changed", served=served)
            if served and "KnativeService" not in self._watches:
                self._watch_knative()
                await self._watches["KnativeService"].listed.wait()
            self.on_capabilities()

    async def _served(self, kind: Kind) -> bool:
        try:
            resources = await self._client.read(Call("GET", kind.prefix, "apiresources"))
        except Gone:
            return False
        return any(r["name"] == kind.plural for r in resources["resources"])


def _tell_crash(task: asyncio.Task[None]) -> None:
    """A watch that ends by a bug shows at once in the log, and through its age in /readyz."""
    if not task.cancelled() and task.exception() is not None:
        log.error("watch_crashed", task=task.get_name(), exc_info=task.exception())
