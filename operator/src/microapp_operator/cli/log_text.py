"""Records as a table for people and as JSON lines for scripts. Pure.

An app can write anything, terminal commands included: nothing that isn't printable leaves here.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from microapp_operator.cli.records import Record, format_time

_HEAD: Final = ("TIME", "SEVERITY", "TRACE", "POD")
_SHOWN: Final = ("action", "resource", "outcome", "user_id", "logger")
"""Fields that the table names; time, severity and trace have columns, message and error stand as they are."""
_BARE: Final = re.compile(r"[^\s\"'=]+")
_INDENT: Final = "    "


@dataclass(frozen=True, slots=True)
class Line:
    """A record and whose it is. app, tenant: as the cluster has it, whatever the record claims."""

    record: Record
    app: str
    tenant: str
    pod: str


def build_table(lines: Sequence[Line]) -> str:
    """A line a record, the pod only where there are several; further lines of a text are indented below it."""
    columns = [_HEAD, *map(_columns, lines)]
    if len({line.pod for line in lines}) <= 1:
        columns = [each[:-1] for each in columns]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    texts = ["RECORD", *(_text(line.record) for line in lines)]
    rows = zip(columns, texts, strict=True)
    return "".join(f"{'  '.join((*map(str.ljust, head, widths), text)).rstrip()}\n" for head, text in rows)


def build_json_lines(lines: Iterable[Line]) -> str:
    """An object a record; ``docs/logging.md`` describes it."""
    return "".join(f"{_object(line)}\n" for line in lines)


def escape(text: str) -> str:
    """``text`` with what isn't printable written as Python writes it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _columns(line: Line) -> tuple[str, ...]:
    record = line.record
    second, _, fraction = format_time(record.time).removesuffix("Z").partition(".")
    trace = record.trace or ("invalid" if record.trace_invalid else "-")
    return f"{second}.{fraction[:3]:0<3}Z", record.severity or "-", trace, line.pod


def _text(record: Record) -> str:
    """What goes into the last column: message and fields, then further lines of the message and the error's."""
    first, *rest = record.fields.get("message", "").split("\n")
    if "error" in record.fields:
        rest += record.fields["error"].split("\n")
    named = [f"{name}={_quoted(record.fields[name])}" for name in _SHOWN if name in record.fields]
    head = " ".join(filter(None, (_plain(first), *named)))
    return "".join((head, *(f"\n{_INDENT}{_plain(each)}" for each in rest)))


def _plain(text: str) -> str:
    return escape(text.expandtabs(4))


def _quoted(value: str) -> str:
    return escape(value) if _BARE.fullmatch(value) else escape(json.dumps(value, ensure_ascii=False))


def _object(line: Line) -> str:
    record = line.record
    said: dict[str, object] = {"timestamp": format_time(record.time)}
    if record.severity:
        said["severity"] = record.severity
    said |= {**record.fields, "app_id": line.app, "tenant_id": line.tenant}
    if record.trace:
        said["trace_id"] = record.trace
    if record.trace_invalid:
        said["trace_invalid"] = True
    return json.dumps({**said, "pod": line.pod}).replace("\x7f", "\\u007f")
