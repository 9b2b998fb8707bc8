"""Logs are lines of JSON without secrets; metrics keep Prometheus' conventions."""

import io
import json
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from microapp_operator.telemetry import REDACTED, Metrics, configure_logging, is_secret_key, redact, scrub

SECRET = "hunter2-marker"
SECRET_KEYS = (
    "password", "DB_PASSWORD", "passwd", "passphrase", "token", "vault-token", "idToken", "secret", "clientSecret",
    "Authorization", "Proxy-Authorization", "api_key", "X-Api-Key", "apiKey", "accessKey", "AWS_ACCESS_KEY_ID",
    "private_key", "credentials", "Set-Cookie",
)  # fmt: skip
HARMLESS_KEYS = ("app", "namespace", "generation", "reason", "kind", "message", "path", "key", "keys", "code", "pass")

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("aZ0 é\n", max_size=4)
harmless = st.sampled_from(HARMLESS_KEYS)
secret_entry = st.tuples(
    st.sampled_from(SECRET_KEYS),
    st.recursive(st.just(SECRET), lambda c: st.lists(c, max_size=2) | st.dictionaries(harmless, c, max_size=2)),
)


def trees() -> st.SearchStrategy[Any]:
    """Nested values in which everything under a secret key, and nothing else, is the marker."""

    def grow(child: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        entry = st.tuples(harmless, child) | secret_entry
        return st.lists(child, max_size=3) | st.lists(entry, max_size=4).map(dict)

    return st.recursive(leaves, grow, max_leaves=12)


@unhurried
@given(st.dictionaries(harmless, trees(), max_size=4))
def test_nothing_under_a_secret_key_survives_at_any_depth(event: dict[str, Any]) -> None:
    assert SECRET not in json.dumps(redact(event))


@unhurried
@given(st.dictionaries(harmless, trees(), max_size=4))
def test_redacting_twice_changes_nothing_more(event: dict[str, Any]) -> None:
    once = redact(event)
    assert redact(once) == once


@unhurried
@given(st.recursive(leaves, lambda c: st.lists(c, max_size=3) | st.dictionaries(harmless, c, max_size=3), max_leaves=9))
def test_what_holds_no_secret_is_left_as_it_is(value: Any) -> None:
    assert redact(value) == value


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_secret_keys_are_known(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", HARMLESS_KEYS)
def test_harmless_keys_are_left_alone(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdefghijklmnop1234", f"Authorization: Bearer {REDACTED}"),
        ("basic\nabcdefghijklmnop1234", f"basic {REDACTED}"),
        ("got eyJhbGciOiJI.eyJzdWIi.c2ln back", f"got {REDACTED} back"),
        ("login with hvs.CAESIJabcdefgh", f"login with {REDACTED}"),
        ("https://me:pa55@example.com/x", f"https://me:{REDACTED}@example.com/x"),
        ("got {'db-password': 'a b', \"app\": \"x\"}", f"got {{'db-password': '{REDACTED}', \"app\": \"x\"}}"),
        ("GET /login?token=abc&x=1", f"GET /login?token={REDACTED}&x=1"),
        (
            "spec.secrets: 1 declared, but no secret store is connected.",
            "spec.secrets: 1 declared, but no secret store is connected.",
        ),
    ],
)
def test_credentials_are_taken_out_of_texts(text: str, shown: str) -> None:
    assert scrub(text) == shown


@dataclass
class Login:
    user: str
    password: str


def test_objects_become_plain_values() -> None:
    endless: list[Any] = []
    endless.append(endless)
    value = {"login": Login("me", SECRET), "raw": SECRET.encode(), "when": datetime(2030, 1, 1, tzinfo=UTC), 1: {2}}
    assert redact(value) == {
        "login": {"user": "me", "password": REDACTED},
        "raw": f"[{len(SECRET)} bytes]",
        "when": "2030-01-01T00:00:00+00:00",
        "1": [2],
    }
    assert "too deep" in json.dumps(redact(endless))


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Fresh logging on a stream of our own, everything put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in ("kopf", "kubernetes", "aiohttp.access", "asyncio")}
    stream = io.StringIO()
    yield stream
    logging.captureWarnings(False)
    root.handlers = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_of_json_with_its_head_first(logs: io.StringIO) -> None:
    configure_logging(stream=logs)
    structlog.get_logger("microapp_operator.x").info("applied", kind="Service", password=SECRET, name="a\nb")
    (line,) = lines(logs)
    assert list(line)[:4] == ["timestamp", "level", "logger", "event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["timestamp"])
    assert line | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "logger": "microapp_operator.x",
        "event": "applied",
        "kind": "Service",
        "password": REDACTED,
        "name": "a\nb",
    }


def test_bound_context_is_on_every_line_of_ours_and_of_the_libraries(logs: io.StringIO) -> None:
    configure_logging(stream=logs)
    context: dict[str, Any] = {"app": "expenses", "namespace": "finance", "generation": 3, "reconcile_id": "4f1c"}
    with structlog.contextvars.bound_contextvars(**context):
        structlog.get_logger("ours").info("one")
        logging.getLogger("theirs").warning("two %s", "words")
    structlog.get_logger("ours").info("three")
    one, two, three = lines(logs)
    assert context.items() <= one.items()
    assert context.items() <= two.items()
    assert (two["event"], two["logger"], two["level"]) == ("two words", "theirs", "warning")
    assert not context.keys() & three.keys()


def test_chatty_libraries_speak_from_warning_on_even_at_debug(logs: io.StringIO) -> None:
    configure_logging("debug", stream=logs)
    for name in ("kopf.objects", "kubernetes.aio.client.rest", "aiohttp.access"):
        logging.getLogger(name).info("response body: %s", SECRET)
        logging.getLogger(name).warning("heard")
    structlog.get_logger("ours").debug("heard")
    assert [line["event"] for line in lines(logs)] == ["heard"] * 4


def test_levels_filter_and_an_unknown_level_is_refused_by_name(logs: io.StringIO) -> None:
    configure_logging("ERROR", stream=logs)
    structlog.get_logger("ours").warning("quiet")
    logging.getLogger("kopf").warning("quiet")
    assert lines(logs) == []
    with pytest.raises(ValueError, match=r"'loud'.*INFO"):
        configure_logging("loud")


def test_a_traceback_stays_on_its_line_and_shows_no_secret(logs: io.StringIO) -> None:
    configure_logging(stream=logs)
    try:
        raise RuntimeError("GET https://me:pa55@example.com failed")
    except RuntimeError:
        structlog.get_logger("ours").exception("crashed")
        logging.getLogger("theirs").exception("crashed")
    for line in lines(logs):
        assert line["event"] == "crashed"
        assert line["level"] == "error"
        assert "RuntimeError: GET https://me:[redacted]@example.com" in line["exception"]


def test_what_json_refuses_does_not_cost_the_line(logs: io.StringIO) -> None:
    configure_logging(stream=logs)
    structlog.get_logger("ours").info("odd", text="\ud800", big=2**80, not_a_number=float("nan"))
    (line,) = lines(logs)
    assert line["event"] == "odd"
    assert line["big"] == 2**80


def test_a_line_that_can_not_be_written_stops_nobody(logs: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(stream=logs)
    logs.close()
    structlog.get_logger("ours").info("lost")
    logging.getLogger("theirs").warning("lost")
    assert capsys.readouterr().err.count("--- Logging error ---") == 2


def test_warnings_and_the_reading_form_work(logs: io.StringIO) -> None:
    configure_logging(json=False, stream=logs)
    structlog.get_logger("ours").info("applied", token=SECRET)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    text = logs.getvalue()
    assert "applied" in text
    assert "old thing" in text
    assert SECRET not in text


@pytest.fixture
def metrics() -> Metrics:
    """Every metric, each touched once."""
    metrics = Metrics(CollectorRegistry(), version="1.2.3")
    metrics.track_queue(lambda: 7)
    metrics.queued(0.2)
    metrics.reconciled("done", 0.1)
    metrics.requested("PATCH", "deployments", 200, 0.01)
    metrics.requested("GET", "pods", 0, 5.0)
    metrics.skipped("child_unchanged", 11)
    metrics.track_watch("Service", lambda: 4.5)
    metrics.watch_restarted("Service", "gone")
    metrics.leading(True)
    metrics.event_dropped()
    metrics.probed("node-1", "passed")
    metrics.confined(0.2)
    metrics.drift("NetworkPolicy", "DriftRepaired")
    metrics.app_state("finance", "expenses", "Unknown")
    return metrics


def families(metrics: Metrics) -> list[Metric]:
    return list(metrics.registry.collect())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"microapp_operator_{name}", labels)


def test_metric_names_follow_the_conventions(metrics: Metrics) -> None:
    assert families(metrics)
    for family in families(metrics):
        assert re.fullmatch(r"microapp_operator_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation.endswith("."), family.name
        assert not re.search(r"_(ms|milliseconds|minutes|mb|percent)\b", family.name)
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        for sample in family.samples:
            if family.type == "counter" and not sample.name.endswith("_created"):
                assert sample.name.endswith("_total")
            if family.type == "gauge":
                assert not sample.name.endswith(("_total", "_count", "_sum", "_bucket"))
            assert all(re.fullmatch(r"[a-z]+", label) for label in sample.labels)


def test_metrics_count_what_they_are_told(metrics: Metrics) -> None:
    assert value(metrics, "queue_depth") == 7
    assert value(metrics, "reconcile_total", outcome="done") == 1
    assert value(metrics, "reconcile_total", outcome="crashed") == 0
    assert value(metrics, "writes_total", verb="PATCH", kind="deployments", code="200") == 1
    assert value(metrics, "writes_total", verb="GET", kind="pods", code="0") is None
    assert value(metrics, "api_requests_total", verb="GET", code="0") == 1
    assert value(metrics, "writes_skipped_total", reason="child_unchanged") == 11
    assert value(metrics, "watch_age_seconds", kind="Service") == 4.5
    assert value(metrics, "leader") == 1
    assert value(metrics, "drift_total", kind="NetworkPolicy", cause="DriftRepaired") == 1
    assert b'microapp_operator_build_info{python="' in generate_latest(metrics.registry)


def test_an_app_is_counted_once_under_its_latest_state(metrics: Metrics) -> None:
    metrics.app_state("finance", "expenses", "True")
    metrics.app_state("finance", "other", "True")
    metrics.app_state("finance", "other", "True")
    assert [value(metrics, "apps", ready=ready) for ready in ("True", "False", "Unknown")] == [2, 0, 0]
    metrics.app_gone("finance", "expenses")
    metrics.app_gone("finance", "expenses")
    assert value(metrics, "apps", ready="True") == 1


def test_two_sets_of_metrics_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.leading(True)
    assert value(second, "leader") == 0


def test_telemetry_brings_no_client_library_along() -> None:
    script = (
        "import sys, microapp_operator.telemetry;"
        "print([m for m in ('kopf', 'kubernetes', 'aiohttp') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == "[]"
