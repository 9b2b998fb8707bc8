"""Laws of ``logs``: whatever an app writes, all of it is shown, nothing of it reaches the terminal, nothing crashes."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from microapp_operator.cli.log_lines import LogLines
from microapp_operator.cli.log_text import Line, build_json_lines, build_table
from microapp_operator.cli.records import format_time, parse_time, read_record
from microapp_operator.desired.forwarding.form import FIELDS, LEVELS, TIMES, TRACES

STAMP = b"2026-01-18T15:00:00.123456789Z "
KEYS = st.sampled_from([name for names in (*FIELDS.values(), TIMES, LEVELS, TRACES) for name in names])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.sampled_from(["user", "traceparent"]), inner),
)
LINES = st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode())


def shown(log: list[bytes], pods: int) -> tuple[str, list[dict[str, Any]]]:
    """(table, what the JSON lines hold)."""
    lines = []
    for number in range(pods):
        taken = LogLines(keep=1000, trace=None)
        for line in log:
            taken.take(STAMP + line + b"\n")
        taken.end()
        lines += [Line(record, "app", "tenant", f"pod-{number}") for record in taken.records]
    return build_table(lines), [json.loads(line) for line in build_json_lines(lines).split("\n")[:-1]]


@settings(max_examples=300)
@given(st.lists(LINES, max_size=5), st.integers(1, 2))
def test_every_line_is_shown_and_nothing_that_is_not_printable(log: list[bytes], pods: int) -> None:
    log = [line.replace(b"\n", b"") for line in log]
    table, records = shown(log, pods)
    assert all(row.isprintable() for row in table.split("\n"))
    rows = [row for row in table.split("\n")[1:] if row and not row.startswith("    ")]
    assert len(records) == len(rows) == pods * sum(line not in (b"", b"\r") for line in log)
    for record in records:
        assert parse_time(record["timestamp"])
        assert {record["app_id"], record["tenant_id"]} == {"app", "tenant"}


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_in_any_pieces_are_read(pieces: list[bytes]) -> None:
    whole, cut = LogLines(keep=1000, trace=None), LogLines(keep=1000, trace=None)
    whole.take(b"".join(pieces))
    for piece in pieces:
        cut.take(piece)
    for each in whole, cut:
        each.end()
    assert (whole.records, whole.remarks) == (cut.records, cut.remarks)


@given(st.text())
def test_text_that_is_no_object_is_kept_whole(text: str) -> None:
    line = f"say: {text}".encode(errors="replace")
    assert read_record(line, 1).fields == {"message": line.decode()}


@given(st.integers(1, 2**63 - 1))
def test_times_come_back(nanoseconds: int) -> None:
    assert parse_time(format_time(nanoseconds)) == nanoseconds
