"""The audit transformer on lines as Vault writes them, and on broken ones; a real server's are in golden files."""

import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microapp_operator.adapters.vaultlog import Lines, Reader
from microapp_operator.vaultlog import Transformer
from microapp_operator.vaultlog.entry import read_entry
from microapp_operator.vaultlog.permits import Permits
from microapp_operator.vaultlog.transform import LONGEST, PENDING

APP = "system:serviceaccount:ma-finance-expenses:expenses"
SECRET = "vault://secret/finance/expenses/api"


def entry(kind: str = "response", request_id: str = "r1", **changes: Any) -> dict[str, Any]:
    """One entry, as of a ServiceAccount that reads a value; ``changes`` replace fields of the request or top ones."""
    request = {
        "id": request_id,
        "operation": "read",
        "mount_point": "secret/",
        "mount_type": "kv",
        "mount_class": "secret",
        "namespace": {"id": "root"},
        "path": "secret/data/finance/expenses/api",
    }
    top = {key: changes.pop(key) for key in ("auth", "error", "response") if key in changes}
    auth = {
        "entity_id": "e1",
        "display_name": "kubernetes-x",
        "metadata": {"service_account_name": "expenses", "service_account_namespace": "ma-finance-expenses"},
        "policy_results": {"allowed": True},
    }
    body: dict[str, Any] = {"time": "2026-06-01T12:00:00Z", "type": kind, "auth": auth, "request": request | changes}
    if kind == "response":
        body["response"] = {"data": {"data": {"token": "hmac-sha256:00"}}}
    return body | top


def line(*arguments: Any, **changes: Any) -> bytes:
    return json.dumps(entry(*arguments, **changes)).encode()


def transform(*lines: bytes, why: str | None = None) -> list[dict[str, Any]]:
    transformer = Transformer(lambda *_: why)
    return [event for each in lines for event in transformer.feed(each)]


def test_a_request_and_its_response_are_one_event() -> None:
    assert transform(line("request"), line(), why="finance/approval/by-alice") == [
        {
            "timestamp": "2026-06-01T12:00:00Z",
            "principal": APP,
            "secret_id": SECRET,
            "action": "kv.read",
            "result": "success",
            "justification": "finance/approval/by-alice",
            "request_id": "r1",
        }
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"error": "1 error occurred:\n\t* permission denied\n\n"}, {"result": "denied"}, id="denied"),
        pytest.param({"error": "context canceled"}, {"result": "error"}, id="error"),
        pytest.param({"response": {}}, {"result": "not_found"}, id="nothing-there"),
        pytest.param({"auth": None}, {"principal": "unauthenticated"}, id="nobody"),
        pytest.param({"auth": {"entity_id": "e9"}}, {"principal": "vault:entity:e9"}, id="entity"),
        pytest.param({"auth": {"display_name": "root"}}, {"principal": "vault:root"}, id="root"),
        pytest.param(
            {"mount_type": "database", "mount_point": "database/", "path": "database/creds/ma-a.db"},
            {"secret_id": "vault://database/creds/ma-a.db", "action": "database.read"},
            id="database-user",
        ),
        pytest.param({"path": "secret/a/b"}, {"secret_id": "vault://secret/a/b"}, id="kv-of-version-1"),
        pytest.param({"namespace": {"id": "x", "path": "team/"}}, {"secret_id": f"vault://team/{SECRET[8:]}"}, id="ns"),
        pytest.param({"mount_class": None}, {"secret_id": SECRET}, id="openbao-has-no-mount-class"),
        pytest.param({"operation": "update"}, {"action": "kv.update"}, id="write"),
    ],
)
def test_what_an_event_says(changes: dict[str, Any], expected: dict[str, str]) -> None:
    (event,) = transform(line(**changes))
    assert {key: event[key] for key in expected} == expected


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"path": "secret/metadata/finance/expenses/api"}, id="metadata"),
        pytest.param({"path": "secret/config"}, id="configuration"),
        pytest.param({"mount_type": "database", "mount_point": "database/", "path": "database/roles/x"}, id="role"),
        pytest.param({"mount_type": "system", "mount_point": "sys/", "path": "sys/health"}, id="system"),
        pytest.param({"mount_type": "kubernetes", "mount_point": "auth/kubernetes/", "path": "a"}, id="login"),
        pytest.param({"operation": "list"}, id="list"),
        pytest.param({"id": ""}, id="no-id"),
    ],
)
def test_what_hands_out_no_secret_is_no_event(changes: dict[str, Any]) -> None:
    assert transform(line(**changes)) == []


GARBAGE = [b"", b"\n", b"{", b"null", b"[]", b"\xff\xfe", b'{"type":"response"}', b'{"type":"response","request":3}']


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_between_lines_costs_no_event(garbage: bytes) -> None:
    assert len(transform(line("request"), garbage, line())) == 1


LINES = st.lists(
    st.tuples(st.sampled_from(["request", "response"]), st.sampled_from("abcdef")).map(lambda p: line(*p))
    | st.sampled_from(GARBAGE)
    | st.tuples(st.sampled_from("abcdef"), st.integers(1, 80)).map(lambda p: line("response", p[0])[: p[1]]),
    max_size=40,
)


@given(LINES)
def test_each_answered_request_is_told_of_once_whatever_the_order(lines: list[bytes]) -> None:
    transformer = Transformer(lambda *_: None)
    events = [e for each in lines for e in transformer.feed(each)] + list(transformer.finish())
    ids = [e["request_id"] for e in events]
    whole = [json.loads(x) for x in lines if x.startswith(b'{"time"') and x.endswith(b"}")]
    assert len(ids) == len(set(ids))
    assert set(ids) == {e["request"]["id"] for e in whole}
    answered = {e["request"]["id"] for e in whole if e["type"] == "response"}
    assert {e["request_id"] for e in events if e["result"] != "unanswered"} == answered


@given(LINES, st.data())
def test_a_restart_anywhere_changes_nothing(lines: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(lines)))
    whole, first, second = (Transformer(lambda *_: None) for _ in range(3))
    once = [e for each in lines for e in whole.feed(each)]
    twice = [e for each in lines[:cut] for e in first.feed(each)]
    second.restore(json.loads(json.dumps(first.state())))
    assert once == twice + [e for each in lines[cut:] for e in second.feed(each)]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "request", "auth", "metadata", "id", "path", "mount_type", "namespace", "response", "data"]
                ),
                x,
            )
        ),
    )
)
def test_no_json_whatsoever_upsets_it(value: Any) -> None:
    document = {"type": "response", "request": value if isinstance(value, dict) else {}, "auth": value}
    transform(json.dumps(document).encode())
    read_entry({"type": "request", "request": {"mount_type": "kv", "id": "x", "path": "a", "namespace": value}})


def test_requests_that_are_never_answered_are_bounded_and_told_of() -> None:
    transformer = Transformer(lambda *_: None)
    events = [e for n in range(PENDING + 10) for e in transformer.feed(line("request", f"r{n}"))]
    assert [e["result"] for e in events] == ["unanswered"] * 10
    assert [e["request_id"] for e in events] == [f"r{n}" for n in range(10)]
    assert len(transformer.state()["pending"]) == PENDING
    assert transformer.unanswered == 10


def test_uses_that_nothing_permits_are_counted_but_not_those_that_were_refused() -> None:
    transformer = Transformer(lambda *_: None)
    for each in (line(), line(request_id="r2", error="permission denied"), line(request_id="r3", response={})):
        list(transformer.feed(each))
    assert transformer.unmatched == 1


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b), min_size=1), st.integers(1, 30))
def test_lines_are_the_same_however_the_stream_is_cut(parts: list[bytes], size: int) -> None:
    stream, lines, got = b"\n".join(parts) + b"\n", Lines(), []
    for at in range(0, len(stream), size):
        got += lines.cut(stream[at : at + size])
    assert got == parts
    assert lines.waiting() == 0


def test_an_endless_line_takes_no_endless_memory_and_what_follows_is_read() -> None:
    lines = Lines()
    for _ in range(LONGEST // 2**20 + 3):
        assert lines.cut(b"x" * 2**20) == []
        assert lines.waiting() <= LONGEST + 2**20
    assert lines.cut(b"x\nnext\n") == [b"?", b"next"]


def follow(path: Path, state: Path) -> list[dict[str, Any]]:
    out = io.BytesIO()
    Reader(Transformer(lambda *_: None), lambda b: out.write(b) and None).follow(path, state, forever=False)
    return [json.loads(each) for each in out.getvalue().splitlines()]


def test_a_log_is_taken_up_where_it_was_left_and_a_half_written_line_waits(tmp_path: Path) -> None:
    log, state = tmp_path / "audit.log", tmp_path / "state"
    log.write_bytes(
        line("request", "a") + b"\n" + line("response", "a") + b"\n" + line("request", "b") + b"\n" + b'{"ti'
    )
    assert [e["request_id"] for e in follow(log, state)] == ["a"]
    assert follow(log, state) == []
    with log.open("r+b") as file:
        file.seek(-4, 2)
        file.write(line("response", "b") + b"\n")
    assert [e["request_id"] for e in follow(log, state)] == ["b"]


def test_a_rotated_log_is_followed_into_the_new_file(tmp_path: Path) -> None:
    log, seen, stop = tmp_path / "audit.log", [], threading.Event()
    log.write_bytes(line("response", "a") + b"\n")

    def write(events: bytes) -> None:
        seen.extend(json.loads(each)["request_id"] for each in events.splitlines())
        if seen == ["a"]:
            log.rename(tmp_path / "audit.log.1")
            log.write_bytes(line("response", "b") + b"\n")
        if seen == ["a", "b"]:
            stop.set()

    Reader(Transformer(lambda *_: None), write, stop).follow(log, tmp_path / "state")
    assert seen == ["a", "b"]


def test_permits_come_from_the_status_of_each_app_and_go_with_it() -> None:
    app = {
        "metadata": {"namespace": "finance", "name": "expenses"},
        "status": {
            "namespace": {"name": "ma-finance-expenses"},
            "secretStore": {"secrets": [{"secretId": SECRET, "justification": "approval/by-alice"}]},
        },
    }
    permits = Permits()
    permits.put(app)
    assert permits.justify(APP, SECRET) == "finance/approval/by-alice"
    assert permits.justify(APP, SECRET + "x") is None
    assert permits.justify(APP + "x", SECRET) is None
    permits.drop(app)
    assert permits.justify(APP, SECRET) is None
    permits.reset([app])
    assert permits.justify(APP, SECRET) == "finance/approval/by-alice"
