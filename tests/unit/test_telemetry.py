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

from microapp_operator.telemetry import REDACTED, configure_logging, is_secret_key, redact, scrub

SECRET = "hunter2-marker"
SECRET_KEYS = (
    "password", "DB_PASSWORD", "passwd", "passphrase", "token", "vault-token", "idToken", "secret", "clientSecret",
    "Authorization", "Proxy-Authorization", "api_key", "X-Api-Key", "apiKey", "accessKey", "AWS_ACCESS_KEY_ID",
    "private_key", "credentials", "Set-Cookie",
)  # fmt: skip
HARMLESS_KEYS = ("app", "namespace", "generation", "reason", "kind", "message", "path", "key", "keys", "code", "pass")

unhurried = settings(suppress_health_check=[HealthCheck.too_slow])
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


def test_telemetry_brings_no_client_library_along() -> None:
    script = (
        "import sys, microapp_operator.metrics, microapp_operator.telemetry;"
        "print([m for m in ('kopf', 'kubernetes', 'aiohttp') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == "[]"
