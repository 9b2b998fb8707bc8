"""What a record is, whoever sent it: an app can reach the gateway without its sidecar, and say it has one. Pure.

Imports form, ottl and redaction only.
"""

from collections.abc import Iterator
from typing import Any, Final

from microapp_operator.desired.forwarding.form import FORM, TRACE_INVALID, build_form
from microapp_operator.desired.forwarding.ottl import group, listed
from microapp_operator.desired.forwarding.redaction import KNOWN, PART, SAID, SENT, STREAM, TRUNCATED, UID

TEXT_MAX: Final = 128 * 2**10
"""Bytes of one field. All of them have to be less than what a sink sends at once: the Collector throws away what is
more, with what would have been sent along (exporterhelper, logs_batch.go). A launcher's lines have 64 KiB."""
_USER_MAX: Final = 256
_NO_TRACE: Final = "0" * 32


def build_formed() -> list[dict[str, Any]]:
    """Groups of statements after which a record has known attributes and a body of known fields, all of them texts."""
    mark = f'log.attributes["{FORM}"]'
    unformed = f'not IsMap(log.body) or ({mark} != "json" and {mark} != "text")'
    texts, known = [f'log.body["{name}"]' for name in (*SAID, "user_id")], listed((*KNOWN, *SAID))
    # Evaluated one after the other on each record; only the first is long, and what a sidecar formed is spared it.
    return [
        group("log", [*_attributes(), "set(log.observed_time, Now()) where log.observed_time_unix_nano == 0"]),
        {**group("log", build_form(left_out=TRUNCATED), mode="silent"), "conditions": [unformed]},
        {
            **group("log", [statement for place in texts for statement in _made_text(place)]),
            "conditions": [f"{place} != nil and not IsString({place})" for place in texts],
        },
        group("log", [f"keep_keys(log.body, {known})", *map(_valid, texts), *_limited(), *_derived()]),
    ]


def build_whole() -> list[dict[str, Any]]:
    """For the platform's own lines: one that has no message of its own says all it says as its message.

    What our processes log has more fields than an app's record; who has to mend something needs all of them.
    """
    given, message = 'log.cache["line"]', 'log.cache["line"]["message"]'
    statements = [
        f'set({given}, ParseJSON(log.body)) where IsString(log.body) and IsMatch(log.body, "^\\\\{{")',
        f"set({message}, log.body) where IsMap({given}) and {message} == nil",
        f"set(log.body, {given}) where IsMap({given})",
    ]
    return [group("log", statements, mode="silent")]


def build_limited() -> dict[str, Any]:
    """The same limit once more, for what has been redacted: three characters may have become 64."""
    conditions = [_longer(name, TEXT_MAX) for name in SAID]
    return {**group("log", _limited()), "conditions": conditions}


def _attributes() -> Iterator[str]:
    """Those that are known, if they can be what they say."""
    at = "log.attributes"
    yield f"keep_keys({at}, {listed(SENT)})"
    yield f'set({at}["{UID}"], UUIDv7()) where not ({_matches(UID, "^[0-9A-Za-z-]{1,80}$$")})'
    yield f'delete_key({at}, "{STREAM}") where not ({_matches(STREAM, "^std(out|err)$$")})'
    yield f'delete_key({at}, "{PART}") where not IsInt({at}["{PART}"])'
    yield f'delete_key({at}, "{TRACE_INVALID}") where not IsBool({at}["{TRACE_INVALID}"])'
    yield 'set(log.event_name, "")'
    yield 'set(log.severity_text, "") where not IsMatch(log.severity_text, "^(trace|debug|info|warn|error|fatal)$$")'


def _matches(name: str, pattern: str) -> str:
    place = f'log.attributes["{name}"]'
    return f'IsString({place}) and IsMatch({place}, "{pattern}")'


def _made_text(place: str) -> Iterator[str]:
    """What is nested is left out: making JSON of it takes memory by the square of its depth."""
    nested = f"IsMap({place}) or IsList({place})"
    yield f'set(log.attributes["{TRUNCATED}"], true) where {nested}'
    yield f'set({place}, "") where {nested}'
    yield f"set({place}, String({place})) where {place} != nil and not IsString({place})"


def _valid(place: str) -> str:
    """What is no UTF-8 becomes U+FFFD: a SIEM would refuse it, and with it all that is sent along."""
    return f'set({place}, Decode({place}, "utf-8")) where {place} != nil'


def _limited() -> Iterator[str]:
    """The form's own fields, no longer than anyone takes."""
    long = " or ".join(f"({_longer(name, TEXT_MAX)})" for name in SAID)
    yield f'set(log.attributes["{TRUNCATED}"], true) where {long}'
    yield f"truncate_all(log.body, {TEXT_MAX})"
    user = 'log.body["user_id"]'
    yield f"set({user}, Substring({user}, 0, {_USER_MAX}, true)) where {_longer('user_id', _USER_MAX)}"


def _longer(name: str, most: int) -> str:
    return f'log.body["{name}"] != nil and Len(log.body["{name}"]) > {most}'


def _derived() -> Iterator[str]:
    """Time and trace are where OTLP has them; what the body says of them is the same."""
    shortest = "%Y-%m-%dT%H:%M:%S.%sZ"
    yield "set(log.time, log.observed_time) where log.time_unix_nano == 0"
    yield f'set(log.body["timestamp"], FormatTime(log.time, "{shortest}"))'
    yield f'set(log.body["trace_id"], log.trace_id.string) where log.trace_id.string != "{_NO_TRACE}"'
    yield f'delete_key(log.body, "trace_id") where log.trace_id.string == "{_NO_TRACE}"'
