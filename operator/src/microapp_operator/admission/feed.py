"""Keeps ``Knowledge`` up to date with the cluster: tiers, connectors, tenants, app names, governed namespaces."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import MICRO_APP, NAMESPACE, Kind
from microapp_operator.adapters.kubernetes.watch import Watch
from microapp_operator.constants import API_VERSION
from microapp_operator.errors import Gone, InvalidSpec
from microapp_operator.model import Approval, ApprovalScope, Manifest, parse
from microapp_operator.policy.context import Knowledge

log = structlog.get_logger(__name__)
_RISK_TIER = Kind(API_VERSION, "RiskTier", "risktiers", namespaced=False, selector="", full=True)
_CONNECTOR = Kind(API_VERSION, "Connector", "connectors", namespaced=False, selector="", full=True)
_APPROVAL = Kind(API_VERSION, "Approval", "approvals", selector="", full=True)
_TENANT = Kind(API_VERSION, "Tenant", "tenants", namespaced=False, selector="", full=True)


class Feed:
    """Watches, and writes what it sees into ``known``. on_restart as in ``Watch``."""

    def __init__(
        self, client: KubernetesClient, known: Knowledge, on_restart: Callable[[str, str], None] = lambda *_: None
    ) -> None:
        self._client, self._known, self._on_restart = client, known, on_restart
        self._watches: dict[str, Watch] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._exceptions: dict[str, dict[str, Approval]] = {}

    @property
    def known(self) -> Knowledge:
        """What it has seen."""
        return self._known

    def exceptions(self, namespace: str) -> tuple[Approval, ...]:
        """The Approvals of scope exception in ``namespace``."""
        return tuple(self._exceptions.get(namespace, {}).values())

    def ages(self) -> dict[str, float]:
        """Per kind, seconds since its watch was last heard of."""
        return {kind: watch.age() for kind, watch in self._watches.items()}

    async def start(self) -> None:
        """Start all watches and wait until each has listed once."""
        known = self._known
        for kind, shelf in ((_RISK_TIER, known.tiers), (_CONNECTOR, known.connectors), (_TENANT, known.tenants)):
            self._watch(kind, partial(_replace, shelf), partial(_change, shelf))
        self._watch(NAMESPACE, self._namespaces_listed, self._namespace_changed)
        self._watch(MICRO_APP, self._apps_listed, self._app_changed)
        self._watch(_APPROVAL, self._approvals_listed, self._approval_changed)
        await asyncio.gather(*(w.listed.wait() for w in self._watches.values()))

    async def stop(self) -> None:
        """End all watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ensure_namespace(self, name: str) -> None:
        """Read the namespace when the watch hasn't shown it yet: its first objects come right behind it."""
        if not name or name in self._known.namespaces:
            return
        try:
            found = await self._client.read(Call("GET", f"{NAMESPACE.collection()}/{name}", NAMESPACE.plural))
        except Gone:
            return  # the API server refuses the object by itself
        self._namespace_changed("ADDED", found)

    def _watch(
        self, kind: Kind, on_list: Callable[[list[Manifest]], None], on_event: Callable[[str, Manifest], None]
    ) -> None:
        watch = Watch(self._client, kind, on_list, on_event, self._on_restart)
        self._watches[kind.kind] = watch
        self._tasks.append(asyncio.create_task(watch.run(), name=f"watch-{kind.kind}"))

    def _namespaces_listed(self, items: list[Manifest]) -> None:
        self._known.namespaces.clear()
        for item in items:
            self._namespace_changed("ADDED", item)

    def _namespace_changed(self, event: str, item: Manifest) -> None:
        name = item["metadata"]["name"]
        if event == "DELETED":
            self._known.namespaces.pop(name, None)
        else:
            self._known.namespaces[name] = item["metadata"].get("labels", {})

    def _apps_listed(self, items: list[Manifest]) -> None:
        self._known.apps.clear()
        for item in items:
            self._app_changed("ADDED", item)

    def _app_changed(self, event: str, item: Manifest) -> None:
        metadata = item["metadata"]
        names = self._known.apps.setdefault(metadata["namespace"], set())
        if event == "DELETED":
            names.discard(metadata["name"])
        else:
            names.add(metadata["name"])

    def _approvals_listed(self, items: list[Manifest]) -> None:
        self._exceptions.clear()
        for item in items:
            self._approval_changed("ADDED", item)

    def _approval_changed(self, event: str, item: Manifest) -> None:
        metadata = item["metadata"]
        shelf = self._exceptions.setdefault(metadata["namespace"], {})
        shelf.pop(metadata["name"], None)
        if event != "DELETED" and item.get("spec", {}).get("scope") == ApprovalScope.EXCEPTION:
            try:
                shelf[metadata["name"]] = parse(Approval, item)
            except InvalidSpec as error:
                log.warning("exception_unreadable", name=metadata["name"], why=str(error))


def _replace(shelf: dict[str, Manifest], items: list[Manifest]) -> None:
    shelf.clear()
    shelf.update({item["metadata"]["name"]: item for item in items})


def _change(shelf: dict[str, Manifest], event: str, item: Manifest) -> None:
    if event == "DELETED":
        shelf.pop(item["metadata"]["name"], None)
    else:
        shelf[item["metadata"]["name"]] = item
