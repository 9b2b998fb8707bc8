"""What an app's container wrote, in the form the platform gives it: as the sidecar's rules have it, in Python.

The names come from the sidecar's own rules, so that what a developer sees here is what gets on from there; only
redaction comes later. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from microapp_operator.desired.forwarding.form import (
    FIELDS,
    LEVELS,
    MILLISECONDS,
    NO_SPAN,
    NO_TRACE,
    SECONDS,
    SEVERITIES,
    TIMES,
    TRACE_ID,
    TRACEPARENT,
    TRACES,
)

_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8})(?:[.]([0-9]{1,9}))?(Z|[+-][0-9]{2}:?[0-9]{2})", re.ASCII
)
_SECOND: Final = 10**9
_LATEST: Final = 2**63
"""Nanoseconds since 1970 that OTLP has no room for."""
_NAMES: Final = {number: words.partition("|")[0] for number, _, words in SEVERITIES}


@dataclass(frozen=True, slots=True)
class Record:
    """One record. time: nanoseconds since 1970. severity, trace: empty where it says none.

    fields: those of the form that it has, without time and trace. trace_invalid: it claims a trace that is none.
    """

    time: int
    severity: str
    fields: Mapping[str, str]
    trace: str
    trace_invalid: bool


def read_record(line: bytes, read_at: int) -> Record:
    """The record that ``line`` is. read_at: when it was written to the container's log, nanoseconds since 1970."""
    text = line.decode(errors="replace")
    said = _parse(text)
    fields = {field: value for field, names in FIELDS.items() if (value := _first_text(said, names)) is not None}
    return Record(_time(said) or read_at, _severity(said), fields or {"message": text}, *_trace(said))


def parse_time(text: str) -> int:
    """Nanoseconds since 1970 of a time as RFC 3339 has it; 0 for anything else."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return 0
    second, fraction, zone = found.groups()
    try:
        seconds = int(datetime.fromisoformat(second + zone).timestamp())
    except (ValueError, OverflowError):
        return 0
    return seconds * _SECOND + int((fraction or "0").ljust(9, "0"))


def format_time(nanoseconds: int) -> str:
    """RFC 3339 in UTC, with as many digits of a second as it takes."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _parse(text: str) -> Mapping[str, Any]:
    """The object that ``text`` is, empty when it is none."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _values(said: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Any]:
    """What is under each name, as one key and, with dots, as keys of nested objects."""
    for name in names:
        yield said.get(name)
        if "." in name:
            inner: Any = said
            for key in name.split("."):
                inner = inner.get(key) if isinstance(inner, dict) else None
            yield inner


def _first_text(said: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((value for value in _values(said, names) if isinstance(value, str)), None)


def _time(said: Mapping[str, Any]) -> int:
    """RFC 3339, else milliseconds (pino) or seconds (zap) since 1970; 0 for none."""
    for value in _values(said, TIMES):
        found = 0
        if isinstance(value, str):
            found = parse_time(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = _number(value)
        if 0 < found < _LATEST:
            return found
    return 0


def _number(value: float) -> int:
    for scale, (least, most) in ((1, MILLISECONDS), (1000, SECONDS)):
        if least < value < most:
            return int(value * scale) * 10**6
    return 0


def _severity(said: Mapping[str, Any]) -> str:
    for value in _values(said, LEVELS):
        for number, pino, words in SEVERITIES:
            if isinstance(value, str) and re.fullmatch(words, value, re.IGNORECASE | re.ASCII):
                return _NAMES[number]
            if not isinstance(value, bool) and value == pino:
                return _NAMES[number]
    return ""


def _trace(said: Mapping[str, Any]) -> tuple[str, bool]:
    """(trace, whether any is claimed that is none). Rule: W3C Trace Context, 3.2.2."""
    trace, invalid = "", False
    parent = said.get("traceparent")
    if parent is not None:
        found = re.fullmatch(TRACEPARENT, parent) if isinstance(parent, str) else None
        if found and _is_sound(found):
            trace = found["trace"]
        else:
            invalid = True
    for value in _values(said, TRACES):
        if isinstance(value, str) and re.fullmatch(TRACE_ID, value) and value != NO_TRACE:
            trace = trace or value
        elif value is not None:
            invalid = True
    return trace, invalid


def _is_sound(found: re.Match[str]) -> bool:
    version, trace, span, more = found.group("version", "trace", "span", "more")
    return version != "ff" and not (version == "00" and more) and trace != NO_TRACE and span != NO_SPAN
