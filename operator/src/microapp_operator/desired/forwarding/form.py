"""How a record looks, whatever wrote it: statements of the Collector's transform processor, in OTTL.

Common loggers (structlog, pino, logback, zap) have names of their own for the same things. A record of which nothing is
understood is wrapped whole. The record's attribute ``microapp.log.form`` says how it was read: json or text. Who the
app is gets passed on as claimed: the gateway knows it. Imports nothing.
"""

from collections.abc import Iterator
from typing import Final

FORM: Final = "microapp.log.form"
TRACE_INVALID: Final = "microapp.log.trace_invalid"
FIELDS: Final = {
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
TIMES: Final = ("timestamp", "@timestamp", "time", "ts")
SECONDS: Final = (1e8, 9e9)
MILLISECONDS: Final = (1e11, 9e12)
"""Numbers between these are times since 1970."""
LEVELS: Final = ("level", "severity", "log.level")
TRACES: Final = ("trace_id", "traceId", "trace.id")
SEVERITIES: Final = (
    (1, 10, "trace"),
    (5, 20, "debug"),
    (9, 30, "info|notice"),
    (13, 40, "warn|warning"),
    (17, 50, "error|err"),
    (21, 60, "fatal|critical|panic|dpanic"),
)
"""OTLP's SeverityNumber, pino's number, and the words."""
TRACE_ID: Final = "^[0-9a-f]{32}$"
TRACEPARENT: Final = (
    "^(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}(?P<more>-.*)?$"
)
NO_TRACE: Final = "0" * 32
NO_SPAN: Final = "0" * 16
_IN: Final = 'log.cache["in"]'
_OUT: Final = 'log.cache["out"]'


def build_form(*, left_out: str = "") -> list[str]:
    """The statements, in the order they have to be in; context ``log``, error mode ``silent``.

    left_out: attribute that tells of an object of which nothing is understood, which then isn't wrapped: its JSON takes
    memory by the square of its depth (goccy/go-json), of whoever makes it.
    """
    return [*_read(), *_fields(), *_wrapped(left_out), *_time(), *_severity(), *_trace(), *_written()]


def _places(names: tuple[str, ...]) -> Iterator[str]:
    """Each name as one key and, with dots, as keys of nested objects."""
    for name in names:
        yield f'{_IN}["{name}"]'
        if "." in name:
            yield _IN + "".join(f'["{key}"]' for key in name.split("."))


def _matches(place: str, pattern: str) -> str:
    """``IsMatch`` alone would make JSON of an object first."""
    return f'IsString({place}) and IsMatch({place}, "{pattern}")'


def _read() -> Iterator[str]:
    yield f'set({_IN}, ParseJSON(log.body)) where IsString(log.body) and IsMatch(log.body, "^\\\\s*\\\\{{")'
    yield f"set({_IN}, log.body) where IsMap(log.body)"
    yield f'set(log.attributes["{FORM}"], "json") where IsMap({_IN})'
    yield f'set(log.attributes["{FORM}"], "text") where not IsMap({_IN})'
    yield f"set({_OUT}, {{}})"


def _fields() -> Iterator[str]:
    for field, names in FIELDS.items():
        target = f'{_OUT}["{field}"]'
        for place in _places(names):
            yield f"set({target}, {place}) where {target} == nil and IsString({place})"


def _wrapped(left_out: str) -> Iterator[str]:
    """What says nothing that has a field of its own is kept as it came."""
    nothing, nested = f"Len({_OUT}) == 0 and log.body != nil", "(IsMap(log.body) or IsList(log.body))"
    if left_out:
        yield f'set(log.attributes["{left_out}"], true) where {nothing} and {nested}'
        nothing += f" and not {nested}"
    yield f'set({_OUT}["message"], String(log.body)) where {nothing}'


def _time() -> Iterator[str]:
    """RFC 3339, else milliseconds (pino) or seconds (zap) since 1970, else when it was read.

    OTLP's time ends in 2262 (fixed64 of nanoseconds); what lies beyond would come out as another.
    """
    unset = "log.time_unix_nano == 0"
    for place in _places(TIMES):
        for zone, directive in (("Z", "Z"), ("[+-][0-9]{2}:[0-9]{2}", "%j"), ("[+-][0-9]{4}", "%z")):
            shape = f"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9:]{{8}}([.][0-9]{{1,9}})?{zone}$"
            parsed = f'Time({place}, "%Y-%m-%dT%H:%M:%S{directive}")'
            yield f"set(log.time, {parsed}) where {unset} and {_matches(place, shape)}"
        for value, (least, most) in ((place, MILLISECONDS), (f"{place} * 1000.0", SECONDS)):
            within = f"{unset} and IsDouble({place}) and {place} > {least:f} and {place} < {most:f}"
            yield f"set(log.time_unix_nano, Int({value}) * 1000000) where {within}"
    yield f"set(log.time, log.observed_time) where {unset}"


def _severity() -> Iterator[str]:
    for place in _places(LEVELS):
        for number, pino, words in SEVERITIES:
            said = f"({_matches(place, f'(?i)^({words})$')}) or {place} == {pino}.0"
            yield f"set(log.severity_number, {number}) where log.severity_number == 0 and ({said})"
    for number, _, words in SEVERITIES:
        yield f'set(log.severity_text, "{words.partition("|")[0]}") where log.severity_number == {number}'


def _trace() -> Iterator[str]:
    """Rule: W3C Trace Context, 3.2.2: lower case, not all zeros; version ff is none, and only version 00 ends there."""
    parent, found = f'{_IN}["traceparent"]', 'log.cache["parent"]'
    yield f'set({found}, ExtractPatterns({parent}, "{TRACEPARENT}")) where IsString({parent})'
    zeros = f'{found}["trace"] != "{NO_TRACE}" and {found}["span"] != "{NO_SPAN}"'
    version = f'{found}["version"] != "ff" and ({found}["version"] != "00" or {found}["more"] == "")'
    sound = f'IsString({found}["trace"]) and {version} and {zeros}'
    yield f'set(log.trace_id.string, {found}["trace"]) where {sound}'
    yield f'set(log.span_id.string, {found}["span"]) where {sound}'
    yield f'set(log.attributes["{TRACE_INVALID}"], true) where {parent} != nil and not ({sound})'
    for place in _places(TRACES):
        valid = f'{_matches(place, TRACE_ID)} and {place} != "{NO_TRACE}"'
        yield f'set(log.trace_id.string, {place}) where log.trace_id.string == "{NO_TRACE}" and {valid}'
        yield f'set(log.attributes["{TRACE_INVALID}"], true) where {place} != nil and not ({valid})'


def _written() -> Iterator[str]:
    shortest = "%Y-%m-%dT%H:%M:%S.%sZ"  # with as many digits of a second as it takes, none without a fraction
    yield f'set({_OUT}["timestamp"], FormatTime(log.time, "{shortest}"))'
    yield f'set({_OUT}["trace_id"], log.trace_id.string) where log.trace_id.string != "{NO_TRACE}"'
    yield f"set(log.body, {_OUT})"
