"""How the operator tells what it does: JSON log lines without secrets, and Prometheus metrics.

Any layer may use it, so it imports nothing of ours, and must not import kopf, kubernetes or aiohttp.
"""

import json as stdlib_json
import logging
import platform
import re
import sys
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Final, TextIO

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED: Final = "[redacted]"
_TOO_DEEP: Final = "[too deep]"
_DEPTH: Final = 12
_WORDS: Final = (
    "password|passwd|passphrase|secret|token|authorization|api_?key|access_?key|private_?key|credential|cookie"
)
_SECRET_KEY: Final = re.compile(_WORDS)
_PUNCTUATION: Final = re.compile(r"[^a-z0-9]")
_SECRET_WORDS: Final = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{16,}"), rf"\1 {REDACTED}"
"""Bearer and basic credentials."""
_SECRET_TEXT: Final = (
    ("eyJ", re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), REDACTED),
    ("hv", re.compile(r"\bhv[sbr]\.[\w-]{8,}"), REDACTED),
    ("://", re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), rf"\1:{REDACTED}@"),
    ("=", re.compile(rf"(?i)((?:{_WORDS})\w*=)[^\s&,;]+"), rf"\1{REDACTED}"),
    (":", re.compile(rf"(?i)((['\"])[\w-]*(?:{_WORDS})[\w-]*\2\s*:\s*(['\"])).*?\3"), rf"\1{REDACTED}\3"),
)
"""JSON web tokens, Vault tokens; passwords in URLs, key=value pairs, printed dicts. Each after a text without which
it can't be there: nearly all texts hold none, and to see that takes a tenth of the time of the expressions."""

_CHATTY: Final = ("kopf", "kubernetes", "aiohttp.access", "asyncio", "urllib3", "hvac")
"""Below WARNING they log per event, and the API clients whole bodies, which may hold secrets."""


@lru_cache(maxsize=1024)
def is_secret_key(key: str) -> bool:
    """True when a value under ``key`` must not be shown, by what the key is called."""
    return _SECRET_KEY.search(_PUNCTUATION.sub("", key.lower())) is not None


def scrub(text: str) -> str:
    """``text`` without the credentials that can be told by their form."""
    if len(text.split(maxsplit=1)) > 1:
        pattern, replacement = _SECRET_WORDS
        text = pattern.sub(replacement, text)
    for mark, pattern, replacement in _SECRET_TEXT:
        if mark in text:
            text = pattern.sub(replacement, text)
    return text


def redact(value: Any, depth: int = _DEPTH) -> Any:
    """``value`` as plain JSON types, with everything under a secret-looking key replaced, at any depth."""
    if type(value) is str:  # nearly always, and the tests below take longer than the rest
        return scrub(value)
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if not isinstance(value, Mapping | list | tuple | Set):
        return _leaf(value)
    if depth == 0:
        return _TOO_DEEP
    if isinstance(value, Mapping):
        return {str(k): REDACTED if is_secret_key(str(k)) else redact(v, depth - 1) for k, v in value.items()}
    return [redact(item, depth - 1) for item in value]


def _leaf(value: Any) -> Any:
    """What has no parts; unknown objects as their text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    return scrub(value.isoformat() if isinstance(value, datetime) else str(value))


def redact_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """``redact`` as a structlog processor."""
    plain: dict[str, Any] = redact(event)
    return plain


def render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """One line of JSON: when, how bad, who, what; then the rest in the order it was bound."""
    head = {key: event.pop(key) for key in ("timestamp", "level", "logger", "event") if key in event}
    line = {**head, **event}
    try:
        return orjson.dumps(line).decode()
    except TypeError:  # lone surrogates, integers past 64 bits: rare, and no reason to lose the line
        return stdlib_json.dumps(line)


def configure_logging(level: str = "INFO", json: bool = True, *, stream: TextIO | None = None) -> None:
    """Send structlog and standard-library records through one renderer to ``stream`` (default stderr).

    ``json`` False renders for a person's terminal. ValueError names a level that doesn't exist.
    """
    known = logging.getLevelNamesMapping()
    number = known.get(level.upper())
    if number is None:
        raise ValueError(f"there is no log level {level!r}; use one of {', '.join(known)}.")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    rendering: list[Processor] = [
        structlog.processors.format_exc_info,
        redact_event,
        render_json if json else plain,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    structlog.configure(
        processors=[*shared, *rendering],
        logger_factory=partial(_Lines, handler),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    logging.captureWarnings(True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


class _Lines:
    """Writes our lines where ``handler`` writes those of the libraries, without a record of the standard library's:
    to make, copy and format one takes longer than all else about a line.
    """

    def __init__(self, handler: logging.StreamHandler[TextIO], name: str) -> None:
        self._handler, self.name = handler, name

    def info(self, line: str) -> None:
        handler = self._handler
        handler.acquire()
        try:
            handler.stream.write(f"{line}\n")
            handler.flush()
        except Exception:  # noqa: BLE001 - as the standard library does: a line that can't be written stops nobody
            handler.handleError(logging.LogRecord(self.name, logging.ERROR, "", 0, line, None, None))
        finally:
            handler.release()

    debug = warning = error = critical = info


_PREFIX: Final = "microapp_operator"
_LATENCIES: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_OUTCOMES: Final = ("done", "blocked", "waiting", "retry", "gone", "crashed")
_PROBED: Final = ("passed", "leak", "inconclusive")
_READY: Final = ("True", "False", "Unknown")
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Metrics:
    """All metrics of one process, in a registry of their own; callers speak of events, not of metrics."""

    def __init__(self, registry: CollectorRegistry | None = None, *, version: str = "unknown") -> None:
        self.registry = registry or CollectorRegistry()
        self._apps_ready: dict[tuple[str, str], str] = {}
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
        build = Info(f"{_PREFIX}_build", "Version of the operator and of Python.", registry=self.registry)
        build.info({"version": version, "python": platform.python_version()})
        for outcome in _OUTCOMES:
            self._reconciles.labels(outcome)
        for outcome in _PROBED:
            self._probes.labels(outcome)
        for ready in _READY:
            self._apps.labels(ready)

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

    def app_state(self, namespace: str, name: str, ready: str) -> None:
        """Ready of this MicroApp is now ``ready``."""
        self.app_gone(namespace, name)
        self._apps_ready[namespace, name] = ready
        self._apps.labels(ready).inc()

    def app_gone(self, namespace: str, name: str) -> None:
        """This MicroApp doesn't count any more; an unknown one is fine."""
        before = self._apps_ready.pop((namespace, name), None)
        if before is not None:
            self._apps.labels(before).dec()


def _age(since: datetime) -> float:
    return (datetime.now(UTC) - since).total_seconds()
