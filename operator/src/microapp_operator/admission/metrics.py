"""What the webhook counts, in a registry of its own."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

_PREFIX: Final = "microapp_webhook"
_LATENCIES: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3)


class WebhookMetrics:
    """Callers speak of events, not of metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reviews = Counter(
            f"{_PREFIX}_reviews_total",
            "Reviews answered, by kind and outcome.",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            f"{_PREFIX}_review_duration_seconds",
            "From the review read to its answer.",
            registry=self.registry,
            buckets=_LATENCIES,
        )
        self._denials = Counter(f"{_PREFIX}_denials_total", "Denials, by rule.", ("rule",), registry=self.registry)
        self._denials_of = cache(self._denials.labels)
        self._refused = Counter(
            f"{_PREFIX}_bundles_refused_total", "Bundles and settings not taken.", registry=self.registry
        )
        self._bundle = Info(f"{_PREFIX}_bundle", "The policy bundle in force.", registry=self.registry)
        self._restarts = Counter(
            f"{_PREFIX}_watch_restarts_total",
            "Watches opened again, by cause.",
            ("kind", "cause"),
            registry=self.registry,
        )
        self._ends = Gauge(
            f"{_PREFIX}_certificate_expiry_timestamp_seconds",
            "When the serving certificate ends.",
            registry=self.registry,
        )

    def reviewed(self, kind: str, outcome: str, seconds: float) -> None:
        """A review was answered: allowed, denied, malformed or error."""
        self._reviews.labels(kind, outcome).inc()
        self._seconds.observe(seconds)

    def denied(self, rule: str, times: int) -> None:
        """A rule stood against a request, so many times."""
        self._denials_of(rule).inc(times)

    def bundle(self, digest: str) -> None:
        """This bundle is in force."""
        self._bundle.info({"digest": digest})

    def bundle_refused(self) -> None:
        """A bundle or a settings file was not taken."""
        self._refused.inc()

    def watch_restarted(self, kind: str, cause: str) -> None:
        """The watch of ``kind`` is opened again."""
        self._restarts.labels(kind, cause).inc()

    def track_certificate(self, ends: Callable[[], datetime | None]) -> None:
        """Ask ``ends`` whenever the metrics are read."""
        self._ends.set_function(lambda: when.timestamp() if (when := ends()) else 0.0)
