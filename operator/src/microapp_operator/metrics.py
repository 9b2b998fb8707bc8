"""What the operator counts, for Prometheus.

Any layer may use it, so it imports nothing of ours, and must not import kopf, kubernetes or aiohttp.
"""

import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

_PREFIX: Final = "microapp_operator"
_LATENCIES: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_OUTCOMES: Final = ("done", "blocked", "waiting", "retry", "gone", "crashed")
_PROBED: Final = ("passed", "leak", "inconclusive")
_STATUSES: Final = ("True", "False", "Unknown")
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Metrics:
    """All metrics of one process, in a registry of their own; callers speak of events, not of metrics."""

    def __init__(self, registry: CollectorRegistry | None = None, *, version: str = "unknown") -> None:
        self.registry = registry or CollectorRegistry()
        self._app_states: dict[tuple[str, str], tuple[str, str]] = {}
        self._queue_depth = self._gauge("queue_depth", "MicroApps that wait to be reconciled.")
        self._queue_latency = self._histogram("queue_latency_seconds", "How long a MicroApp waited for a worker.")
        self._reconciles = self._counter("reconcile", "Passes over a MicroApp, by outcome.", "outcome")
        self._reconcile_duration = self._histogram("reconcile_duration_seconds", "How long one pass took.")
        self._writes = self._counter(
            "writes", "Writes to the API server, by HTTP method, resource and code (0: no answer).",
            "verb", "kind", "code",
        )  # fmt: skip
        self._skipped = self._counter("writes_skipped", "Writes that were not needed, by reason.", "reason")
        self._requests = self._counter(
            "api_requests", "Requests to the API server, by HTTP method and code (0: no answer).", "verb", "code"
        )
        self._request_duration = self._histogram(
            "api_request_duration_seconds", "How long the API server took to answer, by HTTP method.", "verb"
        )
        self._watch_age = self._gauge("watch_age_seconds", "Time since the watch of a kind was last heard of.", "kind")
        self._watch_restarts = self._counter("watch_restarts", "Watches opened again, by cause.", "kind", "cause")
        self._leader = self._gauge("leader", "1 while this process reconciles, 0 while it stands by.")
        self._events_dropped = self._counter("events_dropped", "Kubernetes Events that were not sent.")
        self._store_requests = self._counter(
            "store_requests", "Requests to the secret store, by operation and code (0: no answer).", "operation", "code"
        )
        self._store_duration = self._histogram(
            "store_request_duration_seconds", "How long the secret store took to answer, by operation.", "operation"
        )
        self._store_logins = self._counter("store_logins", "Logins to the secret store.")
        self._store_up = self._gauge("store_up", "1 while the secret store serves the operator.")
        of_secret = ("resource_namespace", "resource_name", "secret")  # "namespace" is where the operator runs
        self._secret_age = self._gauge("secret_age_seconds", "Time since a secret was rotated.", *of_secret)
        self._secret_due = self._gauge(
            "secret_rotation_deadline_timestamp_seconds", "By when a secret must be rotated, by its tier.", *of_secret
        )
        self._secrets: dict[tuple[str, str], set[str]] = {}
        self._drift = self._counter("drift", "Children changed behind our back and repaired.", "kind", "cause")
        self._isolation = self._gauge(
            "isolation_enforced", "1 where a fresh pod was confined when last probed, 0 where it was not.", "node"
        )
        self._probes = self._counter("isolation_probes", "Probes of a node, by outcome.", "outcome")
        self._confined = self._histogram(
            "isolation_confined_seconds", "How long a fresh pod reached more than it should, from its first try on."
        )
        self._apps = self._gauge("apps", "MicroApps, by the status of their Ready condition.", "ready")
        self._forwarding = self._gauge(
            "apps_log_forwarding", "MicroApps, by the status of their LogForwarding condition.", "status"
        )
        build = Info(f"{_PREFIX}_build", "Version of the operator and of Python.", registry=self.registry)
        build.info({"version": version, "python": platform.python_version()})
        for outcome in _OUTCOMES:
            self._reconciles.labels(outcome)
        for outcome in _PROBED:
            self._probes.labels(outcome)
        for status in _STATUSES:
            self._apps.labels(status)
            self._forwarding.labels(status)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}_total", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", text, labels, registry=self.registry, buckets=_LATENCIES)

    def track_queue(self, depth: Callable[[], float]) -> None:
        """Ask ``depth`` how many keys wait, whenever the metrics are read."""
        self._queue_depth.set_function(depth)

    def queued(self, seconds: float) -> None:
        """A key was handed to a worker after ``seconds``."""
        self._queue_latency.observe(seconds)

    def reconciled(self, outcome: str, seconds: float) -> None:
        """One pass ended."""
        self._reconciles.labels(outcome).inc()
        self._reconcile_duration.observe(seconds)

    def requested(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """The API server answered a request with ``code``, 0 when it didn't."""
        self._requests.labels(verb, str(code)).inc()
        self._request_duration.labels(verb).observe(seconds)
        if verb in _WRITES:
            self._writes.labels(verb, resource, str(code)).inc()

    def skipped(self, reason: str, writes: int = 1) -> None:
        """``writes`` writes were not needed."""
        self._skipped.labels(reason).inc(writes)

    def track_watch(self, kind: str, age: Callable[[], float]) -> None:
        """Ask ``age`` for the seconds since the watch of ``kind`` was heard of, whenever the metrics are read."""
        self._watch_age.labels(kind).set_function(age)

    def watch_restarted(self, kind: str, cause: str) -> None:
        """The watch of ``kind`` is opened again."""
        self._watch_restarts.labels(kind, cause).inc()

    def leading(self, leads: bool) -> None:
        """This process starts or ceases to reconcile."""
        self._leader.set(1 if leads else 0)

    def store_requested(self, operation: str, code: int, seconds: float) -> None:
        """The secret store answered a request with ``code``, 0 when it didn't."""
        self._store_requests.labels(operation, str(code)).inc()
        self._store_duration.labels(operation).observe(seconds)

    def store_login(self) -> None:
        """The operator logged in to the secret store."""
        self._store_logins.inc()

    def store_serves(self, serves: bool) -> None:
        """The secret store serves, or it doesn't any more."""
        self._store_up.set(1 if serves else 0)

    def secrets_of(self, namespace: str, app: str, rotated: Mapping[str, datetime], allowed: timedelta) -> None:
        """When each secret of this MicroApp was rotated, and how old its tier lets it become."""
        before = self._secrets.pop((namespace, app), set())
        for name in before - rotated.keys():
            self._secret_age.remove(namespace, app, name)
            self._secret_due.remove(namespace, app, name)
        for name, time in rotated.items():
            self._secret_age.labels(namespace, app, name).set_function(partial(_age, time))
            self._secret_due.labels(namespace, app, name).set((time + allowed).timestamp())
        if rotated:
            self._secrets[namespace, app] = set(rotated)

    def secrets_gone(self, namespace: str, app: str) -> None:
        """This MicroApp has no secrets any more."""
        self.secrets_of(namespace, app, {}, timedelta())

    def event_dropped(self, events: int = 1) -> None:
        """Kubernetes Events were given up."""
        self._events_dropped.inc(events)

    def drift(self, kind: str, cause: str) -> None:
        """A child of ``kind`` was changed or deleted behind our back."""
        self._drift.labels(kind, cause).inc()

    def probed(self, node: str, outcome: str) -> None:
        """A probe of ``node`` ended: ``passed``, ``leak`` or ``inconclusive``, which leaves the gauge as it was."""
        self._probes.labels(outcome).inc()
        if outcome != "inconclusive":
            self._isolation.labels(node).set(1 if outcome == "passed" else 0)

    def confined(self, seconds: float) -> None:
        """A fresh pod was confined after ``seconds``."""
        self._confined.observe(seconds)

    def node_gone(self, node: str) -> None:
        """``node`` takes no pods any more."""
        with suppress(KeyError):
            self._isolation.remove(node)

    def app_state(self, namespace: str, name: str, ready: str, forwarding: str) -> None:
        """Ready and LogForwarding of this MicroApp are now so."""
        self.app_gone(namespace, name)
        self._app_states[namespace, name] = (ready, forwarding)
        self._apps.labels(ready).inc()
        self._forwarding.labels(forwarding).inc()

    def app_gone(self, namespace: str, name: str) -> None:
        """This MicroApp doesn't count any more; an unknown one is fine."""
        before = self._app_states.pop((namespace, name), None)
        if before is not None:
            self._apps.labels(before[0]).dec()
            self._forwarding.labels(before[1]).dec()


def _age(since: datetime) -> float:
    return (datetime.now(UTC) - since).total_seconds()
