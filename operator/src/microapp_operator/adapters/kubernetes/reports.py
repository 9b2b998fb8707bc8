"""Our Reports as the API server has them, once it serves the kind; and that it does, when the CRD comes later."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

import structlog

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import REPORT
from microapp_operator.adapters.kubernetes.observe import observed_from
from microapp_operator.adapters.kubernetes.watch import Watch
from microapp_operator.errors import Gone, OperatorError
from microapp_operator.model.common import Manifest
from microapp_operator.ports import ObjectRef, Observed

log = structlog.get_logger(__name__)
_PROBE_EVERY = 30.0


class ReportFeed:
    """Watches, metadata only, what of openreports.io is ours.

    served: the API server has the kind, and everything of it has been seen once.
    on_change is told the namespace in which someone else changed or removed a Report; empty: all may be new.
    """

    def __init__(self, client: KubernetesClient, on_restart: Callable[[str, str], None] = lambda *_: None) -> None:
        self._client, self._on_restart = client, on_restart
        self._kept: dict[str, dict[ObjectRef, Observed]] = defaultdict(dict)
        self.served = False
        self.on_change: Callable[[str], None] = lambda _: None

    def within(self, namespace: str) -> Sequence[Observed]:
        """Our Reports in ``namespace``."""
        return tuple(self._kept.get(namespace, {}).values())

    def namespaces(self) -> set[str]:
        """Where there are any."""
        return {namespace for namespace, kept in self._kept.items() if kept}

    def record(self, observed: Observed) -> None:
        """Take the result of our own write, ahead of the watch."""
        self._put(observed)

    def forget(self, ref: ObjectRef) -> None:
        """We deleted it."""
        self._kept[ref.namespace].pop(ref, None)

    async def run(self) -> None:
        """Watch while the kind is served, and look every half minute whether it is: a CRD's API has no watch."""
        watching: asyncio.Task[None] | None = None
        try:
            while True:
                served = await self._probe(watching is not None)
                if served and watching is None:
                    watch = Watch(self._client, REPORT, self._listed, self._event, self._on_restart)
                    watching = asyncio.create_task(watch.run(), name="watch-Report")
                    await watch.listed.wait()
                    self._turn(True)
                elif not served and watching is not None:
                    watching.cancel()
                    watching = None
                    self._kept.clear()
                    self._turn(False)
                await asyncio.sleep(_PROBE_EVERY)
        finally:
            if watching is not None:
                watching.cancel()

    def _turn(self, served: bool) -> None:
        log.info("openreports", served=served)
        self.served = served
        self.on_change("")

    async def _probe(self, before: bool) -> bool:
        try:
            resources = await self._client.read(Call("GET", REPORT.prefix, "apiresources"))
        except Gone:
            return False
        except OperatorError as error:
            log.info("api_probe_failed", why=str(error))
            return before
        return any(each["name"] == REPORT.plural for each in resources["resources"])

    def _listed(self, items: list[Manifest]) -> None:
        found = [observed_from(REPORT, item) for item in items]
        seen = {observed.ref for observed in found}
        for ref in [ref for kept in self._kept.values() for ref in kept if ref not in seen]:
            self._drop(ref)
        for observed in found:
            self._put(observed)

    def _event(self, event: str, item: Manifest) -> None:
        observed = observed_from(REPORT, item)
        if event == "DELETED":
            self._drop(observed.ref)
        elif self._put(observed):
            self.on_change(observed.ref.namespace)

    def _put(self, observed: Observed) -> bool:
        """True when it isn't what was kept."""
        kept = self._kept[observed.ref.namespace]
        before = kept.get(observed.ref)
        if before is not None and int(before.resource_version) >= int(observed.resource_version):
            return False
        kept[observed.ref] = observed
        return before is None or before.fields_digest != observed.fields_digest

    def _drop(self, ref: ObjectRef) -> None:
        if self._kept[ref.namespace].pop(ref, None) is not None:
            self.on_change(ref.namespace)
