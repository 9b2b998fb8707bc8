"""What an app may send past its sidecar, to the real gateway: limited or given a form, never a way out or a fall."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microapp_operator.desired.forwarding.record import TEXT_MAX
from microapp_operator.desired.forwarding.redaction import KNOWN, SAID
from tests.support.apppods import Line, record, request
from tests.support.otlp import plain, value

FORMED = {"microapp.log.form": "json"}
_TRUNCATED = "microapp.log.truncated"


def raw(line: Line, body: bytes, **attributes: Any) -> list[dict[str, Any]]:
    """What becomes of a record whose body is this AnyValue, in JSON."""
    sent = json.dumps(request(line.pod, record("HERE", **attributes))).encode()
    return line.delivered(sent.replace(b'{"stringValue": "HERE"}', body), 1)


def within(key: bytes, inner: bytes, depth: int = 1) -> bytes:
    """An AnyValue with that many objects around another."""
    return b'{"kvlistValue":{"values":[{"key":"%b","value":' % key * depth + inner + b"}]}}" * depth


_INVALID = b'{"stringValue":"\xff\xfe"}'


@pytest.mark.parametrize("marks", [{}, FORMED])
@pytest.mark.parametrize("body", [_INVALID, within(b"message", _INVALID)])
def test_what_is_no_utf8_is_made_valid(finance: Line, body: bytes, marks: dict[str, Any]) -> None:
    """A SIEM would refuse it, and all that is in the same request: other apps' records."""
    (delivered,) = raw(finance, body, **marks)
    assert value(delivered["body"])["message"] == "\N{REPLACEMENT CHARACTER}" * 2


@pytest.mark.parametrize("marks", [{}, FORMED])
@pytest.mark.parametrize("depth", [1_000, 50_000])
@pytest.mark.parametrize("key", [b"message", b"timestamp", b"unknown", b"trace_id", b"level"])
def test_nothing_is_made_of_what_is_deeply_nested(finance: Line, key: bytes, depth: int, marks: dict[str, Any]) -> None:
    """JSON of it would take gigabytes."""
    (delivered,) = raw(finance, within(key, b'{"stringValue":"deep"}', depth), **marks)
    assert set(value(delivered["body"])) <= {"timestamp", "app_id", "tenant_id", "message"}
    assert plain(delivered["attributes"]).get(_TRUNCATED) is True or marks


@pytest.mark.parametrize("key", ["a", "timestamp", "level"])
@pytest.mark.parametrize("depth", [1_000, 5_000])
def test_nested_json_is_wrapped_as_it_is(finance: Line, key: str, depth: int) -> None:
    line = f'{{"{key}":' * depth + "1" + "}" * depth
    (body,) = finance.bodies(line)
    assert body["message"] == line


def test_long_texts_are_cut_off_between_characters(finance: Line) -> None:
    long, short = finance.deliver(record("é" * 100_000), record("é" * 60_000))
    assert value(long["body"])["message"] == "é" * 65_536
    assert plain(long["attributes"])[_TRUNCATED] is True
    assert value(short["body"])["message"] == "é" * 60_000
    assert _TRUNCATED not in plain(short["attributes"])


@pytest.mark.parametrize("text", ["x", "a:: "])
def test_a_record_as_large_as_can_be_takes_no_other_with_it(finance: Line, text: str) -> None:
    """What is more than a sink sends at once would be thrown away together with the rest."""
    large = record({name: text * (600_000 // len(text)) for name in SAID}, **FORMED)
    found = finance.deliver(record("before"), large, record("after"))
    assert [value(each["body"])["message"] for each in found[::2]] == ["before", "after"]
    assert all(len(value(found[1]["body"])[name].encode()) == TEXT_MAX for name in SAID)
    assert plain(found[1]["attributes"])[_TRUNCATED] is True


def test_whose_name_is_long_is_cut_off(finance: Line) -> None:
    (body,) = finance.bodies(json.dumps({"message": "m", "user_id": "é" * 1_000}))
    assert body["user_id"] == "é" * 128


def test_a_request_of_ten_megabytes_is_refused(finance: Line) -> None:
    finance.bodies("m")
    sent = request(finance.pod, record("x" * 10**7))
    with suppress(ConnectionError):  # before all of it was sent
        assert finance.gateway.post(finance.pod.address, sent) == 400
    finance.bodies("m")


def test_a_time_or_a_trace_in_the_body_alone_is_not_believed(finance: Line) -> None:
    """What has its form already has them where OTLP does."""
    forged = {"message": "m", "timestamp": "carol@example.com", "trace_id": "carol@example.com"}
    (delivered,) = finance.deliver(record(forged, **FORMED))
    assert value(delivered["body"]) == {
        "message": "m",
        "timestamp": "2026-01-18T15:00:00Z",
        "app_id": "expense-helper-v2",
        "tenant_id": "finance",
    }


def test_attributes_that_can_not_be_what_they_say_are_gone(finance: Line) -> None:
    forged = {
        "log.iostream": "carol@example.com",
        "microapp.log.part": "one",
        "microapp.log.trace_invalid": "carol@example.com",
        "microapp.log.redacted": True,
        "microapp.identity.corrected": True,
        _TRUNCATED: True,
    }
    (delivered,) = finance.deliver(record("m", uid="carol@example.com", **forged))
    left = plain(delivered["attributes"])
    assert left.keys() == {"log.record.uid", "microapp.log.form", "microapp.log.retention_days"}
    assert left["log.record.uid"] != "carol@example.com"


_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_ANYTHING = st.recursive(
    st.booleans() | _NUMBERS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KNOWN, *SAID, "level", "x"]), inner),
    max_leaves=10,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_ANYTHING, st.sampled_from([{}, FORMED])), min_size=1, max_size=10))
def test_whatever_comes_goes_on_as_known_fields_of_text(finance: Line, sent: list[tuple[Any, dict[str, Any]]]) -> None:
    found = finance.deliver(*(record(body, **marks) for body, marks in sent))
    for delivered in found:
        body = value(delivered["body"])
        assert set(body) <= {*KNOWN, *SAID}
        assert all(isinstance(text, str) for text in body.values())
        assert body["timestamp"]
