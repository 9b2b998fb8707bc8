"""Requests as environment, output as answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microapp_operator.wasm_runner.cgi import Answer, MalformedError, Request, build_environment, parse_answer


def request(target: str = "/", *headers: tuple[str, str]) -> Request:
    return Request("GET", target, headers, b"", "192.0.2.1")


def test_repeated_headers_are_one_variable() -> None:
    found = build_environment(request("/", ("X-A", "1"), ("x-a", "2"), ("Content-Type", "a/b")), 80, ())
    assert (found["HTTP_X_A"], found["CONTENT_TYPE"]) == ("1, 2", "a/b")


def test_no_caller_sets_a_variable_that_is_not_http() -> None:
    found = build_environment(request("/", ("Path", "/evil"), ("Remote-Addr", "198.51.100.1")), 80, ())
    assert found["REMOTE_ADDR"] == "192.0.2.1"
    assert "PATH" not in found


@given(st.text(st.characters(max_codepoint=255)), st.lists(st.tuples(st.text(), st.text())))
def test_every_variable_can_be_handed_over_or_the_request_is_refused(
    target: str, headers: list[tuple[str, str]]
) -> None:
    try:
        found = build_environment(request(target.replace("\0", ""), *headers), 80, ())
    except MalformedError:
        return
    assert not any("\0" in text for pair in found.items() for text in pair)
    assert not any("=" in name for name in found)


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        (b"A: b\n\nc", Answer(200, (("A", "b"),), b"c")),
        (b"Status: 404 Not Found\r\nA: b\r\n\r\n\r\n\r\n", Answer(404, (("A", "b"),), b"\r\n\r\n")),
        (
            b"Connection: keep-alive\nTransfer-Encoding: chunked\nContent-Length: 99\nA: b\n\n",
            Answer(200, (("A", "b"),), b""),
        ),
    ],
    ids=["plain", "status", "the-servers-own"],
)
def test_what_a_module_may_say(output: bytes, answer: Answer) -> None:
    assert parse_answer(output) == answer


@given(st.binary())
def test_whatever_it_writes_never_becomes_another_header(output: bytes) -> None:
    try:
        answer = parse_answer(output)
    except MalformedError:
        return
    assert 200 <= answer.status <= 599
    for name, value in answer.headers:
        assert not {"\r", "\n", "\0", ":"} & set(name)
        assert not {"\r", "\n", "\0"} & set(value)
