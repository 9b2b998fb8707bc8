"""Brings the Reports in one namespace to what was found in it; what is as it should be is left alone."""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from microapp_operator.adapters.kubernetes.reports import ReportFeed
from microapp_operator.constants import ANNOTATION_APPLIED_HASH
from microapp_operator.errors import Blocked, Gone, Waiting
from microapp_operator.model import Manifest
from microapp_operator.ports import Cluster, ObjectRef, Observed
from microapp_operator.reconcile.children import ref_of
from microapp_operator.scan.court import Judged
from microapp_operator.scan.reports import build_reports

log = structlog.get_logger(__name__)
_AT_ONCE = 4
"""Writes: the reconciler has the API server first."""


class Publisher:
    """Writes Reports where they are served. on_refused is told of each that the API server doesn't take."""

    def __init__(self, cluster: Cluster, reports: ReportFeed, on_refused: Callable[[], None]) -> None:
        self._cluster, self._reports, self._on_refused = cluster, reports, on_refused
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def namespaces(self) -> set[str]:
        """Where Reports are that may have become wrong."""
        return self._reports.namespaces()

    async def publish(self, namespace: str, found: Iterable[Judged]) -> None:
        """Apply and prune; Transient when it has to be tried again."""
        if not self._reports.served:
            return
        wanted = await asyncio.to_thread(_build, tuple(found))
        have = {observed.ref: observed for observed in self._reports.within(namespace)}
        changed = [m for ref, m in wanted.items() if not _is(have.get(ref), m)]
        surplus = [observed for ref, observed in have.items() if ref not in wanted]
        work = (*(self._apply(m) for m in changed), *(self._remove(o) for o in surplus))
        for failure in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure

    async def _apply(self, manifest: Manifest) -> None:
        async with self._gate:
            try:
                result = await self._cluster.apply(manifest)
                if result.foreign_managers:
                    version = result.resource_version
                    await self._cluster.replace(manifest, uid=result.uid, resource_version=version)
            except (Gone, Waiting) as error:
                # Its namespace is on its way out, or the CRD is: the next look tells which.
                log.info("report_not_written", name=manifest["metadata"]["name"], why=str(error))
            except Blocked as error:
                self._on_refused()
                log.error("report_refused", name=manifest["metadata"]["name"], why=str(error))

    async def _remove(self, observed: Observed) -> None:
        async with self._gate:
            await self._cluster.delete(observed.ref, uid=observed.uid)
        self._reports.forget(observed.ref)


def _build(found: Iterable[Judged]) -> dict[ObjectRef, Manifest]:
    return {ref_of(manifest): manifest for judged in found for manifest in build_reports(judged)}


def _is(observed: Observed | None, manifest: Manifest) -> bool:
    """Already there as it should be, and nobody else's fields in it."""
    if observed is None or observed.deleting or observed.foreign_managers:
        return False
    wanted: str = manifest["metadata"]["annotations"][ANNOTATION_APPLIED_HASH]
    return observed.applied_hash == wanted
