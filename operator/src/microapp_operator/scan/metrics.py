"""What the scan counts: one series per object and rule, gone when the finding is, and how the scan itself fares."""

from collections import Counter as Tally
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from microapp_operator.scan.board import Board, outcomes

_PREFIX: Final = "microapp_policy"
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LABELS: Final = ("resource_namespace", "resource_kind", "resource_name", "rule", "severity", "result")
"""Not "namespace": Prometheus sets that to where the operator runs."""


class Findings(Collector):
    """Read off the board whenever the metrics are: nothing to keep in step, and no cap."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """What ``collect`` gives, without a sample."""
        yield GaugeMetricFamily(
            f"{_PREFIX}_violations",
            "What rules object to in objects that are there: fail (would be denied), warn, skip (excepted).",
            labels=_LABELS,
        )
        yield GaugeMetricFamily(f"{_PREFIX}_not_judged", "Objects the rules gave no answer about.", labels=())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """``microapp_policy_violations`` and ``microapp_policy_not_judged``."""
        violations, not_judged = self.describe()
        failed = 0
        for judged in self._board.findings():
            failed += bool(judged.error)
            ref = judged.ref
            tally = Tally((v.rule.id, str(v.rule.severity), outcome) for outcome, v in outcomes(judged))
            for series, count in tally.items():
                violations.add_metric((ref.namespace, ref.kind, ref.name, *series), count)
        yield violations
        not_judged.add_metric((), failed)
        yield not_judged


class ScanMetrics:
    """Callers speak of events, not of metrics."""

    def __init__(self, registry: CollectorRegistry, board: Board) -> None:
        registry.register(Findings(board))
        self._scans = Counter(
            f"{_PREFIX}_scans_total",
            "Scans, of everything or of one namespace, by outcome.",
            ("scope", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            f"{_PREFIX}_scan_duration_seconds", "How long a scan took.", ("scope",), registry=registry, buckets=_SECONDS
        )
        self._objects = Gauge(
            f"{_PREFIX}_scanned_objects", "Objects looked at by the last full pass.", registry=registry
        )
        self._last = Gauge(
            f"{_PREFIX}_last_full_scan_timestamp_seconds", "When the last full pass ended.", registry=registry
        )
        self._refused = Counter(
            f"{_PREFIX}_reports_refused_total", "Reports the API server did not take.", registry=registry
        )

    def scanned(self, namespace: str, outcome: str, seconds: float) -> None:
        """A scan ended, of ``namespace`` or (empty) of everything: done or failed."""
        scope = "namespace" if namespace else "all"
        self._scans.labels(scope, outcome).inc()
        self._seconds.labels(scope).observe(seconds)

    def complete(self, objects: int, when: datetime) -> None:
        """A full pass looked at this many objects."""
        self._objects.set(objects)
        self._last.set(when.timestamp())

    def report_refused(self) -> None:
        """A Report could not be written, and trying again wouldn't help."""
        self._refused.inc()
