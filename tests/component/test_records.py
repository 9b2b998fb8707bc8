"""What ``logs`` shows is what the sidecar makes of the same line: two programs, one form."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from microapp_operator.cli.records import format_time, parse_time, read_record
from microapp_operator.desired.forwarding.form import FIELDS, LEVELS, SEVERITIES, TIMES, TRACE_INVALID, TRACES
from tests.support.otlp import Receiver, plain
from tests.support.sidecar import READ_AT, Sidecar

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
_KEYS = [name for names in (*FIELDS.values(), TIMES, LEVELS, TRACES, ("traceparent",)) for name in names]
_WORDS = [word for _, pino, words in SEVERITIES for word in (pino, words.upper(), *words.split("|"))]
_TIMES = ["2026-01-18T14:32:05Z", "2026-01-18T15:32:05.25+01:00", "2026-01-18T14:32:05.000000001-0130", "yesterday"]
_NUMBERS = [1768746725123, 1768746725.25, 1768746725, 7, -1, 1768746725123456, 1e11, 9e12, 1e300]
_TRACES = [TRACE, TRACE.upper(), "0" * 32, f"{TRACE}\n"]
_PARENTS = [PARENT, f"ff{PARENT[2:]}", f"cc{PARENT[2:]}-more", f"{PARENT}-more", f"{PARENT}\n"]
_CLAIMS = [*_TRACES, *_PARENTS]
_VALUES = st.sampled_from([*_WORDS, *_TIMES, *_NUMBERS, *_CLAIMS, "", "paid", True, False, None, {}, []])
_FLAT = st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=5)
_NESTED = st.dictionaries(
    st.sampled_from(["user", "event", "trace", "log", "err", "enduser"]),
    st.dictionaries(st.sampled_from(["id", "action", "outcome", "level", "stack"]), _VALUES),
    max_size=2,
)


@pytest.fixture(scope="module")
def sidecar(gateway: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    sidecar = Sidecar(tmp_path_factory.mktemp("sidecar"), gateway)
    with sidecar.running():
        yield sidecar


def shown(line: str) -> dict[str, Any]:
    """What ``logs`` makes of it, in the sidecar's words."""
    record = read_record(line.encode(), parse_time(READ_AT))
    traced = {"trace_id": record.trace} if record.trace else {}
    body = {**record.fields, **traced, "timestamp": format_time(record.time)}
    return {"body": body, "severity": record.severity, "invalid": record.trace_invalid}


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            _FLAT.map(json.dumps),
            st.builds(lambda flat, nested: json.dumps({**nested, **flat}), _FLAT, _NESTED),
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
        ),
        min_size=1,
        max_size=20,
    )
)
@example([json.dumps({"traceparent": each}) for each in _CLAIMS])
@example([json.dumps({"time": each}) for each in (*_TIMES, *_NUMBERS)])
@example([json.dumps({"level": each}) for each in _WORDS])
def test_a_line_is_shown_as_the_sidecar_hands_it_on(sidecar: Sidecar, gateway: Receiver, said: list[str]) -> None:
    gateway.records.clear()
    sidecar.send(*said)
    for line, body, record in zip(said, gateway.bodies(), gateway.records, strict=True):
        invalid = TRACE_INVALID in plain(record["attributes"])
        forwarded = {"body": body, "severity": record.get("severityText", ""), "invalid": invalid}
        assert shown(line) == forwarded, line
