"""How a record looks, whatever wrote it: statements of the Collector's transform processor, in OTTL.

Common loggers (structlog, pino, logback, zap) have names of their own for the same things. A record of which nothing is
understood is wrapped whole. The record's attribute ``microapp.log.form`` says how it was read: json or text. Who the
app is gets passed on as claimed: the gateway knows it. Imports nothing.
"""

from collections.abc import Iterator
from typing import Final

FORM: Final = "microapp.log.form"
TRACE_INVALID: Final = "microapp.log.trace_invalid"
_FIELDS: Final = {
    "app_id": ("app_id",),
    "tenant_id": ("tenant_id",),
    "user_id": ("user_id", "userId", "user.id", "enduser.id"),
    "action": ("action", "event.action"),
    "resource": ("resource",),
    "outcome": ("outcome", "event.outcome"),
    "message": ("message", "msg", "event"),
    "logger": ("logger", "logger_name"),
    "error": ("exception", "stack_trace", "err.stack", "error"),
}
"""Fields of a record's body and where loggers put them; the first that is a text counts."""
_TIMES: Final = ("timestamp", "@timestamp", "time", "ts")
_LEVELS: Final = ("level", "severity", "log.level")
_TRACES: Final = ("trace_id", "traceId", "trace.id")
_SEVERITIES: Final = (
    (1, 10, "trace"),
    (5, 20, "debug"),
    (9, 30, "info|notice"),
    (13, 40, "warn|warning"),
    (17, 50, "error|err"),
    (21, 60, "fatal|critical|panic|dpanic"),
)
"""OTLP's SeverityNumber, pino's number, and the words."""
_IN: Final = 'log.cache["in"]'
_OUT: Final = 'log.cache["out"]'
_NO_TRACE: Final = "0" * 32
_HEX: Final = "^[0-9a-f]{32}$"


def build_form() -> list[str]:
    """The statements, in the order they have to be in; context ``log``, error mode ``silent``."""
    return [*_read(), *_fields(), *_wrapped(), *_time(), *_severity(), *_trace(), *_written()]


def _places(names: tuple[str, ...]) -> Iterator[str]:
    """Each name as one key and, with dots, as keys of nested objects."""
    for name in names:
        yield f'{_IN}["{name}"]'
        if "." in name:
            yield _IN + "".join(f'["{key}"]' for key in name.split("."))


def _read() -> Iterator[str]:
    yield f'set({_IN}, ParseJSON(log.body)) where IsString(log.body) and IsMatch(log.body, "^\\\\s*\\\\{{")'
    yield f"set({_IN}, log.body) where IsMap(log.body)"
    yield f'set(log.attributes["{FORM}"], "json") where IsMap({_IN})'
    yield f'set(log.attributes["{FORM}"], "text") where not IsMap({_IN})'
    yield f"set({_OUT}, {{}})"


def _fields() -> Iterator[str]:
    for field, names in _FIELDS.items():
        target = f'{_OUT}["{field}"]'
        for place in _places(names):
            yield f"set({target}, {place}) where {target} == nil and IsString({place})"


def _wrapped() -> Iterator[str]:
    """What says nothing that has a field of its own is kept as it came."""
    yield f'set({_OUT}["message"], String(log.body)) where Len({_OUT}) == 0 and log.body != nil'


def _time() -> Iterator[str]:
    """RFC 3339, else milliseconds (pino) or seconds (zap) since 1970, else when it was read."""
    unset = "log.time_unix_nano == 0"
    for place in _places(_TIMES):
        for zone, directive in (("Z", "Z"), ("[+-][0-9]{2}:[0-9]{2}", "%j"), ("[+-][0-9]{4}", "%z")):
            shape = f"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9:]{{8}}([.][0-9]{{1,9}})?{zone}$"
            parsed = f'Time({place}, "%Y-%m-%dT%H:%M:%S{directive}")'
            yield f'set(log.time, {parsed}) where {unset} and IsMatch({place}, "{shape}")'
        number = f"{unset} and IsDouble({place}) and {place}"
        yield f"set(log.time_unix_nano, Int({place}) * 1000000) where {number} > 100000000000.0"
        yield f"set(log.time_unix_nano, Int({place} * 1000.0) * 1000000) where {number} > 100000000.0"
    yield f"set(log.time, log.observed_time) where {unset}"


def _severity() -> Iterator[str]:
    for place in _places(_LEVELS):
        for number, pino, words in _SEVERITIES:
            said = f'IsMatch({place}, "(?i)^({words})$") or {place} == {pino}.0'
            yield f"set(log.severity_number, {number}) where log.severity_number == 0 and ({said})"
    for number, _, words in _SEVERITIES:
        yield f'set(log.severity_text, "{words.partition("|")[0]}") where log.severity_number == {number}'


def _trace() -> Iterator[str]:
    """Rule: W3C Trace Context, 3.2.2: lower case, not all zeros, and version ff is none."""
    parent, found = f'{_IN}["traceparent"]', 'log.cache["parent"]'
    shape = "^(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}"
    yield f'set({found}, ExtractPatterns({parent}, "{shape}")) where IsString({parent})'
    zeros = f'{found}["trace"] != "{_NO_TRACE}" and {found}["span"] != "{"0" * 16}"'
    sound = f'IsString({found}["trace"]) and {found}["version"] != "ff" and {zeros}'
    yield f'set(log.trace_id.string, {found}["trace"]) where {sound}'
    yield f'set(log.span_id.string, {found}["span"]) where {sound}'
    yield f'set(log.attributes["{TRACE_INVALID}"], true) where {parent} != nil and not ({sound})'
    for place in _places(_TRACES):
        valid = f'IsMatch({place}, "{_HEX}") and {place} != "{_NO_TRACE}"'
        yield f'set(log.trace_id.string, {place}) where log.trace_id.string == "{_NO_TRACE}" and {valid}'
        yield f'set(log.attributes["{TRACE_INVALID}"], true) where {place} != nil and not ({valid})'


def _written() -> Iterator[str]:
    shortest = "%Y-%m-%dT%H:%M:%S.%sZ"  # with as many digits of a second as it takes, none without a fraction
    yield f'set({_OUT}["timestamp"], FormatTime(log.time, "{shortest}"))'
    yield f'set({_OUT}["trace_id"], log.trace_id.string) where log.trace_id.string != "{_NO_TRACE}"'
    yield f"set(log.body, {_OUT})"
