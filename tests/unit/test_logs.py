"""``logs`` without a cluster: lines become records, records become text, and what is wrong is said."""

import json
from typing import Any

import pytest
from hack.samples import app_manifest

from microapp_operator.__main__ import main
from microapp_operator.cli import log_plight as plight
from microapp_operator.cli.log_lines import LONGEST, LogLines
from microapp_operator.cli.log_text import Line, build_json_lines, build_table
from microapp_operator.cli.records import Record, format_time, parse_time, read_record
from microapp_operator.errors import Transient
from microapp_operator.model import MicroApp, parse

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SEED = {
    "timestamp": "2026-01-18T14:32:05Z",
    "app_id": "expense-helper-v2",
    "tenant_id": "finance",
    "user_id": "alice@example.com",
    "action": "expense_submit",
    "resource": "db.expenses",
    "outcome": "success",
    "trace_id": TRACE,
}
READ_AT = "2026-01-18T15:00:00.000000007Z"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def read(said: Any) -> Record:
    return read_record((said if isinstance(said, str) else json.dumps(said)).encode(), parse_time(READ_AT))


def lines(*said: Any, pods: int = 1) -> list[Line]:
    return [Line(read(each), "expenses", "finance", f"expenses-{n % pods}") for n, each in enumerate(said)]


def app(*, namespace: str | None = "ma-finance-expenses", ready: str = "", **spec: Any) -> MicroApp:
    manifest = app_manifest(**spec)
    manifest["metadata"]["uid"] = "uid"
    manifest["status"] = {"namespace": {"name": namespace, "uid": "u"}} if namespace else {}
    if ready:
        condition = {"type": "Ready", "status": "Unknown", "reason": "Progressing", "message": ready}
        since = {"observedGeneration": 1, "lastTransitionTime": "2026-01-18T15:00:00Z"}
        manifest["status"]["conditions"] = [{**condition, **since}]
    return parse(MicroApp, manifest)


def pod(name: str, *, last: Any = None, **state: Any) -> dict[str, Any]:
    status = {"name": "app", "state": state, "lastState": {"terminated": last} if last else {}}
    return {"metadata": {"name": name}, "status": {"phase": "Running", "containerStatuses": [status]}}


def test_an_audit_record_keeps_every_key_and_gets_who_it_is_from_the_cluster() -> None:
    (line,) = build_json_lines([Line(read(SEED), "expense-helper", "finance", "p")]).splitlines()
    assert json.loads(line) == {**SEED, "app_id": "expense-helper", "pod": "p"}


@pytest.mark.parametrize(
    ("said", "trace", "invalid"),
    [
        ({"traceparent": PARENT}, TRACE, False),
        ({"trace": {"id": TRACE}}, TRACE, False),
        ({"traceparent": PARENT.upper()}, "", True),
        ({"trace_id": "forged"}, "", True),
        ({"trace_id": f"{TRACE}\n"}, "", True),
        ({"traceparent": "ff" + PARENT[2:], "trace_id": TRACE}, TRACE, True),
        ({"msg": "x"}, "", False),
        (f"text that names {TRACE}", "", False),
    ],
)
def test_a_trace_counts_if_it_is_one(said: Any, trace: str, invalid: bool) -> None:
    record = read(said)
    assert (record.trace, record.trace_invalid) == (trace, invalid)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("2026-01-18T15:32:05.000000001+01:00", 1_768_746_725 * 10**9 + 1),
        ("2026-01-18T14:32:05.5+0000", 1_768_746_725_500_000_000),
        ("2026-01-18 14:32:05Z", 0),
        ("2026-02-30T00:00:00Z", 0),
        ("2026-01-18T14:32:05.0000000001Z", 0),
        ("", 0),
    ],
)
def test_times_are_read_to_the_nanosecond_or_not_at_all(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize("text", ["2026-01-18T14:32:05Z", "2026-01-18T14:32:05.1Z", READ_AT])
def test_times_are_written_with_as_many_digits_as_it_takes(text: str) -> None:
    assert format_time(parse_time(text)) == text


def test_the_table_has_a_line_a_record_with_its_trace() -> None:
    failed = {
        "level": 50,
        "time": 1_768_746_725_123,
        "msg": "no",
        "err": {"stack": "Error: no\n\tat f"},
        "trace_id": "x",
    }
    assert build_table(lines(SEED, failed, {"level": "info", "action": "say hello", "traceparent": PARENT})) == (
        "TIME                      SEVERITY  TRACE                             RECORD\n"
        f"2026-01-18T14:32:05.000Z  -         {TRACE}  "
        "action=expense_submit resource=db.expenses outcome=success user_id=alice@example.com\n"
        "2026-01-18T14:32:05.123Z  error     invalid                           no\n"
        "    Error: no\n"
        "        at f\n"
        f'2026-01-18T15:00:00.000Z  info      {TRACE}  action="say hello"\n'
    )


def test_the_pod_is_named_where_there_are_several() -> None:
    head, *rows = build_table(lines("a", "b", pods=2)).splitlines()
    assert head.split() == ["TIME", "SEVERITY", "TRACE", "POD", "RECORD"]
    assert [row.split()[-2:] for row in rows] == [["expenses-0", "a"], ["expenses-1", "b"]]


def test_what_a_terminal_would_obey_is_escaped() -> None:
    hostile = "\x1b]0;owned\x07 \x9b2J \u202e \r ok"
    said = {"message": hostile, "user_id": hostile, "error": f"{hostile}\n2026-01-18T15:00:00.000Z  forged"}
    text = build_table(lines(said, hostile))
    assert all(row.isprintable() for row in text.splitlines())
    assert r"\x1b]0;owned\x07 \x9b2J \u202e \r ok" in text
    assert "\n    2026-01-18T15:00:00.000Z  forged\n" in text
    assert [json.loads(row)["message"] for row in build_json_lines(lines(said, hostile)).splitlines()] == [hostile] * 2


def test_lines_are_found_wherever_the_pieces_begin() -> None:
    log = f"{READ_AT} one\n{READ_AT} two\r\n{READ_AT} \nnot from the app\n{READ_AT} three".encode()
    for size in (1, 7, len(log)):
        taken = LogLines(keep=10, trace=None)
        for start in range(0, len(log), size):
            taken.take(log[start : start + size])
        taken.end()
        assert [record.fields["message"] for record in taken.records] == ["one", "two", "three"]
        assert list(taken.remarks) == ["not from the app"]


def test_the_last_records_are_kept_those_of_a_trace_only_if_asked() -> None:
    log = "".join(
        f"{READ_AT} {json.dumps({'message': str(n), 'traceparent': PARENT if n < 5 else ''})}\n" for n in range(9)
    )
    every, traced = LogLines(keep=2, trace=None), LogLines(keep=2, trace=TRACE)
    for each in every, traced:
        each.take(log.encode())
        each.end()
    assert [record.fields["message"] for record in every.records] == ["7", "8"]
    assert [record.fields["message"] for record in traced.records] == ["3", "4"]


def test_a_line_without_end_is_cut_and_says_so() -> None:
    taken = LogLines(keep=1, trace=None)
    for _ in range(100):
        taken.take(b"x" * LONGEST)
    assert not taken.records
    taken = LogLines(keep=1, trace=None)
    taken.take(f"{READ_AT} ".encode())
    for _ in range(100):
        taken.take(b"x" * LONGEST)
    taken.end()
    message = taken.records[0].fields["message"]
    assert len(message) < LONGEST + 100
    kept = message.count("x")
    assert message.endswith(f" [{100 * LONGEST - kept} more bytes]")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"namespace": None}, "has no namespace yet, and so no pods: the operator hasn't looked at it."),
        ({"namespace": None, "ready": "wait"}, "has no namespace yet, and so no pods: Progressing: wait"),
        ({"suspend": True}, "has no pods in namespace ma-finance-expenses: spec.suspend is true."),
        ({"runtime": {"replicas": 0}}, "spec.runtime.replicas is 0."),
        ({"ready": "no approval"}, "Progressing: no approval"),
    ],
)
def test_an_app_without_pods_says_why_it_has_none(given: Any, words: str) -> None:
    found = app(**given)
    with pytest.raises(plight.Unreadable) as raised:
        plight.sort_out(found, [], previous=False)
    assert words in raised.value.what
    assert raised.value.fix == "See `kubectl describe mapp expenses -n finance`."


ENDED = {"exitCode": 1}


@pytest.mark.parametrize(
    ("pods", "previous", "asked", "notes"),
    [
        ([pod("a", running={}), pod("b", terminated=ENDED)], False, ["a", "b"], []),
        ([pod("a", waiting={"reason": "CrashLoopBackOff"}, last=ENDED)], False, ["a"], []),
        (
            [pod("a", running={}), pod("b", waiting={"reason": "ImagePullBackOff"})],
            False,
            ["a"],
            ["pod b: its container hasn't started (ImagePullBackOff)."],
        ),
        (
            [pod("a", running={}, last=ENDED), pod("b", running={})],
            True,
            ["a"],
            ["pod b: its container hasn't run before."],
        ),
    ],
)
def test_pods_without_a_log_are_left_out_and_named(
    pods: list[dict[str, Any]], previous: bool, asked: list[str], notes: list[str]
) -> None:
    assert plight.sort_out(app(), pods, previous=previous) == (asked, notes)


def test_pods_of_which_none_has_a_log_are_told_of() -> None:
    unscheduled = {"metadata": {"name": "a"}, "status": {"phase": "Pending"}}
    with pytest.raises(plight.Unreadable, match=r"pod a: its container hasn't started \(Pending\)\.") as raised:
        plight.sort_out(app(), [unscheduled], previous=False)
    assert raised.value.fix == "See `kubectl describe pods -n ma-finance-expenses`."
    with pytest.raises(plight.Unreadable) as raised:
        plight.sort_out(app(), [pod("a", running={})], previous=True)
    assert raised.value.fix == "Leave --previous out."


@pytest.mark.parametrize(
    ("source", "words"), [("file", "appends its records to /logs/app.log"), ("otlp", "sends its records to a sidecar")]
)
def test_where_the_records_are_is_said_of_apps_that_write_them_elsewhere(source: str, words: str) -> None:
    first, last = plight.build_notes(app(logging={"source": source}), shown=0, more=False)
    assert words in first
    assert last == "no record fits."
    assert not list(plight.build_notes(app(), shown=1, more=False))


def test_a_failure_names_the_pod_and_the_remedy() -> None:
    said = plight.build_failure("p", "ma-x", Transient("GET /log: 500 refused."))
    assert said.startswith("pod p: GET /log: 500 refused. Fix: Try again; if it lasts, look at its node (")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["../../secrets", "-n", "finance"], "is no name of an object"),
        (["expenses"], "-n/--namespace"),
        (["expenses", "-n", "finance", "--since", "yesterday"], "write 10m, 90s or 1h30m"),
        (["expenses", "-n", "finance", "--since", "0m"], "write 10m, 90s or 1h30m"),
        (["expenses", "-n", "finance", "--tail", "-1"], "is not from 1 to 10000"),
        (["expenses", "-n", "finance", "--trace", PARENT], "its 32 hexadecimal digits"),
    ],
)
def test_wrong_use_says_what_to_write(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["logs", *arguments])
    assert words in capsys.readouterr().err
