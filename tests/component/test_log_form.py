"""The sidecar's configuration on the real Collector: what the loggers write comes out in one form, all of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hack.lab.build import binary, ensure_built
from hack.lab.components import LAUNCHER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.apppods import SEED
from tests.support.eventually import eventually
from tests.support.otlp import Receiver, plain
from tests.support.sidecar import READ_AT, Sidecar

TRACE = SEED["trace_id"]


@pytest.fixture(scope="module")
def sidecar(gateway: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One that runs."""
    sidecar = Sidecar(tmp_path_factory.mktemp("sidecar"), gateway)
    with sidecar.running():
        yield sidecar


def formed(sidecar: Sidecar, gateway: Receiver, body: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(body, record) that a record of ``body`` becomes."""
    gateway.records.clear()
    sidecar.send(body)
    (found,) = gateway.bodies()
    (record,) = gateway.records
    return found, record


def test_an_audit_record_keeps_every_key(sidecar: Sidecar, gateway: Receiver) -> None:
    body, record = formed(sidecar, gateway, json.dumps(SEED))
    assert body == SEED
    assert record["traceId"] == TRACE
    assert plain(record["attributes"])["microapp.log.form"] == "json"


_STRUCTLOG = {"event": "paid", "level": "warning", "timestamp": "2026-01-18T14:32:05.123456Z", "logger": "pay"}
_PINO = {"level": 30, "time": 1768746725123, "pid": 7, "hostname": "x", "msg": "paid", "user": {"id": "bob"}}
_LOGBACK = {"@timestamp": "2026-01-18T15:32:05.5+01:00", "message": "paid", "logger_name": "a.B", "level": "ERROR"}
_ZAP = {"level": "fatal", "ts": 1768746725.25, "caller": "a.go:7", "msg": "paid"}


@pytest.mark.parametrize(
    ("line", "body", "severity"),
    [
        (_STRUCTLOG, {"message": "paid", "logger": "pay", "timestamp": "2026-01-18T14:32:05.123456Z"}, "warn"),
        (_PINO, {"message": "paid", "user_id": "bob", "timestamp": "2026-01-18T14:32:05.123Z"}, "info"),
        (_LOGBACK, {"message": "paid", "logger": "a.B", "timestamp": "2026-01-18T14:32:05.5Z"}, "error"),
        (_ZAP, {"message": "paid", "timestamp": "2026-01-18T14:32:05.25Z"}, "fatal"),
        ({"msg": "x", "level": 35}, {"message": "x", "timestamp": READ_AT}, None),
        ({"msg": "x", "time": "yesterday"}, {"message": "x", "timestamp": READ_AT}, None),
        ({"msg": "x", "time": -1}, {"message": "x", "timestamp": READ_AT}, None),
        ({"msg": "x", "time": 1768746725123456}, {"message": "x", "timestamp": READ_AT}, None),
        ({"message": "", "msg": "x"}, {"message": "", "timestamp": READ_AT}, None),
        ({"message": 7, "msg": "x"}, {"message": "x", "timestamp": READ_AT}, None),
        ({"event": {"action": "login"}, "msg": "m"}, {"action": "login", "message": "m", "timestamp": READ_AT}, None),
    ],
)
def test_common_loggers_come_out_in_one_form(
    sidecar: Sidecar, gateway: Receiver, line: dict[str, Any], body: dict[str, Any], severity: str | None
) -> None:
    found, record = formed(sidecar, gateway, json.dumps(line))
    assert found == body
    assert record.get("severityText") == severity


@pytest.mark.parametrize(
    "line",
    [
        "plain text",
        "{broken",
        '{"message": "ends too ea',
        "{}",
        '{"count": 7}',
        '["a", "list"]',
        '{"a":' * 5000 + "1" + "}" * 5000,
        '{"a":' * 20_000,
        '{"timestamp":' * 5000 + "1" + "}" * 5000,
        "x" * 65_536,
        "\N{REPLACEMENT CHARACTER}\0\x1b[31m",
    ],
)
def test_what_is_not_understood_is_wrapped_whole(sidecar: Sidecar, gateway: Receiver, line: str) -> None:
    found, _ = formed(sidecar, gateway, line)
    assert found == {"message": line, "timestamp": READ_AT}


@pytest.mark.parametrize(
    ("claimed", "trace", "span"),
    [
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE, "00f067aa0ba902b7"),
        ({"traceparent": f"cc-{TRACE}-00f067aa0ba902b7-01-more"}, TRACE, "00f067aa0ba902b7"),
        ({"trace_id": TRACE}, TRACE, None),
        ({"traceId": TRACE}, TRACE, None),
        ({"trace": {"id": TRACE}}, TRACE, None),
        ({"traceparent": f"ff-{TRACE}-00f067aa0ba902b7-01"}, None, None),
        ({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}, None, None),
        ({"traceparent": f"00-{TRACE}-{'0' * 16}-01"}, None, None),
        ({"traceparent": f"00-{TRACE.upper()}-00f067aa0ba902b7-01"}, None, None),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01-more"}, None, None),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01\n"}, None, None),
        ({"traceparent": 7}, None, None),
        ({"trace_id": "0" * 32}, None, None),
        ({"trace_id": "forged"}, None, None),
        ({"trace_id": f"{TRACE}\n"}, None, None),
        ({"trace_id": {"a": "b"}}, None, None),
    ],
)
def test_a_trace_is_carried_if_it_is_one_and_else_told_of(
    sidecar: Sidecar, gateway: Receiver, claimed: dict[str, Any], trace: str | None, span: str | None
) -> None:
    body, record = formed(sidecar, gateway, json.dumps({"message": "m", **claimed}))
    assert (body.get("trace_id"), record.get("traceId") or None, record.get("spanId") or None) == (trace, trace, span)
    assert ("microapp.log.trace_invalid" in plain(record["attributes"])) == (trace is None)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.text(max_size=80),
            st.recursive(
                st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
                lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*SEED, "level", "user", "x"]), inner),
            ).map(json.dumps),
        ),
        max_size=20,
    )
)
def test_no_record_is_ever_dropped_and_every_one_has_a_time(
    sidecar: Sidecar, gateway: Receiver, bodies: list[str]
) -> None:
    gateway.records.clear()
    sidecar.send(*bodies)
    found = gateway.bodies()
    assert len(found) == len(bodies)
    assert all(body["timestamp"] and set(body) <= {*SEED, "message", "logger", "error"} for body in found)


def test_nothing_is_lost_while_the_sidecar_is_killed_and_the_gateway_refuses(tmp_path: Path) -> None:
    """The launcher, the real sidecar, and a gateway that is down half of the time."""
    ensure_built(LAUNCHER)
    (tmp_path / "spool").mkdir()
    turns = iter(range(10**6))
    with Receiver(answer=lambda: (503, b"") if next(turns) % 2 else (200, b"{}")) as gateway:
        sidecar = Sidecar(tmp_path, gateway)
        forward = ("--forward", f"http://127.0.0.1:{sidecar.port}/v1/logs", "--spool", str(tmp_path / "spool"))
        code = "import sys\nfor n in range(20_000):\n    print(n)\n    n % 5000 or (sys.stdout.flush(), input())"
        command = [str(binary(LAUNCHER)), "run", *forward, "--drain", "60", "--", sys.executable, "-c", code]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as app:
            assert app.stdin is not None
            for _ in range(4):
                with sidecar.running():
                    before = len(gateway.records)
                    app.stdin.write(b"\n")
                    app.stdin.flush()
                    eventually(lambda before=before: len(gateway.records) > before, timeout=60)
            with sidecar.running():
                app.communicate(timeout=120)
        found = {uid: int(body["message"]) for uid, body in zip(gateway.ids(), gateway.bodies(), strict=True)}
    assert sorted(found.values()) == list(range(20_000))
    assert gateway.dropped == 0
