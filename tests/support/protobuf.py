"""OTLP records as they are on the wire by default, in protobuf, read into the form they have in JSON."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

_MESSAGES: dict[str, dict[int, tuple[str, str]]] = {
    "Request": {1: ("resourceLogs", "ResourceLogs[]")},
    "ResourceLogs": {1: ("resource", "Resource"), 2: ("scopeLogs", "ScopeLogs[]"), 3: ("schemaUrl", "text")},
    "Resource": {1: ("attributes", "KeyValue[]")},
    "ScopeLogs": {1: ("scope", "Scope"), 2: ("logRecords", "LogRecord[]"), 3: ("schemaUrl", "text")},
    "Scope": {1: ("name", "text"), 2: ("version", "text")},
    "LogRecord": {
        1: ("timeUnixNano", "fixed"),
        2: ("severityNumber", "enum"),
        3: ("severityText", "text"),
        5: ("body", "AnyValue"),
        6: ("attributes", "KeyValue[]"),
        8: ("flags", "fixed"),
        9: ("traceId", "hex"),
        10: ("spanId", "hex"),
        11: ("observedTimeUnixNano", "fixed"),
    },
    "KeyValue": {1: ("key", "text"), 2: ("value", "AnyValue")},
    "AnyValue": {
        1: ("stringValue", "text"),
        2: ("boolValue", "bool"),
        3: ("intValue", "int"),
        4: ("doubleValue", "double"),
        5: ("arrayValue", "ArrayValue"),
        6: ("kvlistValue", "KeyValueList"),
    },
    "ArrayValue": {1: ("values", "AnyValue[]")},
    "KeyValueList": {1: ("values", "KeyValue[]")},
}
"""opentelemetry-proto (logs.proto, common.proto, resource.proto): by number, a field's name in JSON and its kind."""
_SCALARS: dict[str, Callable[[Any], Any]] = {
    "text": bytes.decode,
    "hex": bytes.hex,
    "bool": bool,
    "enum": int,
    "int": lambda number: str(number - (number >> 63 << 64)),
    "fixed": lambda raw: str(int.from_bytes(raw, "little")),
    "double": lambda raw: struct.unpack("<d", raw)[0],
}


def read_request(sent: bytes) -> dict[str, Any]:
    """An ExportLogsServiceRequest. A field that nobody here knows is an error."""
    return _message("Request", sent)


def _message(kind: str, sent: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, raw in _fields(sent):
        name, what = _MESSAGES[kind][number]
        one = what.removesuffix("[]")
        content = _SCALARS[one](raw) if one in _SCALARS else _message(one, raw)
        if one == what:
            found[name] = content
        else:
            found.setdefault(name, []).append(content)
    return found


def _fields(sent: bytes) -> Iterator[tuple[int, Any]]:
    """Number and raw content of each (protobuf.dev, "Encoding"): a number for varints, bytes for the others."""
    at = 0
    while at < len(sent):
        tag, at = _varint(sent, at)
        if tag & 7 == 0:
            number, at = _varint(sent, at)
            yield tag >> 3, number
            continue
        size, at = _varint(sent, at) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], at)
        yield tag >> 3, sent[at : at + size]
        at += size


def _varint(sent: bytes, at: int) -> tuple[int, int]:
    """The number there, and where the next thing begins."""
    number = shift = 0
    while True:
        byte = sent[at]
        number, shift, at = number | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return number, at
