"""Kubernetes Events of apps' namespaces as lines of the operator's own log, which goes where apps' records go.

The API server keeps Events for an hour; an auditor asks later. Only the process that leads writes them.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from microapp_operator.adapters.kubernetes.client import KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import CORE_EVENT
from microapp_operator.adapters.kubernetes.watch import Watch
from microapp_operator.model.common import Manifest

log = structlog.get_logger(__name__)
_GAP: Final = timedelta(minutes=1)
"""How old Events may be that a process finds when it begins to lead: nobody else has written what came meanwhile."""


class EventLog:
    """governed: whether a namespace is an app's. on_restart: as Watch has it. now: the time."""

    def __init__(
        self,
        client: KubernetesClient,
        governed: Callable[[str], bool],
        on_restart: Callable[[str, str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._governed, self._now = governed, now
        self._watch = Watch(client, CORE_EVENT, self._listed, self._changed, on_restart)
        self._latest = 0

    async def run(self) -> None:
        """Until cancelled."""
        await self._watch.run()

    def _listed(self, events: list[Manifest]) -> None:
        """What no stream brought: newer than the latest known, or as young as an Event nobody has written can be."""
        youngest, known = self._now() - _GAP, self._latest
        for event in sorted(events, key=_version):
            if _version(event) > known and (known or _seen(event) >= youngest):
                self._write(event)
        self._latest = max(map(_version, events), default=self._latest)

    def _changed(self, kind: str, event: Manifest) -> None:
        if kind != "DELETED":  # an Event ends by its age
            self._write(event)
        self._latest = max(self._latest, _version(event))

    def _write(self, event: Manifest) -> None:
        about = event.get("involvedObject", {})
        namespace = about.get("namespace", "")
        if not self._governed(namespace):
            return
        tell = log.warning if event.get("type") == "Warning" else log.info
        tell(
            "kubernetes_event",
            message=f"{event.get('reason', '')}: {event.get('message', '')}",
            resource=f"{namespace}/{about.get('kind', '')}/{about.get('name', '')}",
            reported_by=event.get("reportingComponent") or event.get("source", {}).get("component", ""),
            count=event.get("count") or event.get("series", {}).get("count", 1),
            event_uid=event["metadata"]["uid"],
        )


def _version(event: Manifest) -> int:
    return int(event["metadata"]["resourceVersion"])


def _seen(event: Manifest) -> datetime:
    """When it last happened (core/v1 Event: series, lastTimestamp or eventTime, by who wrote it)."""
    times = (
        (event.get("series") or {}).get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event["metadata"].get("creationTimestamp"),
    )
    text = next((time for time in times if time), None)
    return datetime.fromisoformat(text) if text else datetime.fromtimestamp(0, UTC)
