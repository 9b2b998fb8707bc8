"""What of a record may leave the platform. Pure; imports form and ottl only.

A list of fields that are allowed, so that one nobody thought of doesn't get out. In the text of those, personal data
and credentials that can be told by their form are replaced by an HMAC: equal ones of one tenant stay equal, for who has
to count them; nobody without the key can guess which they were, and not even who can read two tenants' records can tell
that they are the same. ``user_id`` stays as it is: an auditor asks who it was.

It takes two steps, because the processor with the HMAC knows nothing of tenants, and goes through its patterns in an
order that changes: OTTL puts a digest of tenant and value between two marks, and of that the processor makes the HMAC.
Go's regular expressions take a microsecond for 60 characters, so a cheap question comes before each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from microapp_operator.desired.forwarding.form import FORM, TRACE_INVALID
from microapp_operator.desired.forwarding.ottl import group, quoted

UID: Final = "log.record.uid"
STREAM: Final = "log.iostream"
PART: Final = "microapp.log.part"
CORRECTED: Final = "microapp.identity.corrected"
RETENTION: Final = "microapp.log.retention_days"
REDACTED: Final = "microapp.log.redacted"
TRUNCATED: Final = "microapp.log.truncated"
KNOWN: Final = ("timestamp", "app_id", "tenant_id", "user_id", "trace_id")
"""Fields of a record that the platform itself fills in or checks, and who it was: they aren't searched."""
SAID: Final = ("action", "resource", "outcome", "message", "logger", "error")
SENT: Final = (UID, STREAM, PART, FORM, TRACE_INVALID)
"""Attributes of a record that come with it; their values are checked."""
_ADDED: Final = (CORRECTED, RETENTION, REDACTED, TRUNCATED)
_WORDS: Final = (
    "password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credential|cookie|authorization"
)
_TELLING: Final = ("pass", "secret", "token", "key", "credential", "cookie", "authorization")
"""One of these is in each of those words."""
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_CALL: Final = r"[1-9][0-9]{0,2}(?:[ ().-]{0,2}[0-9]{1,4}){2,6}\b"
_NUMBERS: Final = (
    r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?",
    r"(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6[0-9]{3})(?:[ -]?[0-9]{4}){3}",
    r"3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}",
    r"[0-9]{3}-[0-9]{2}-[0-9]{4}",
    rf"(?:{_OCTET}\.){{3}}{_OCTET}",
)
"""IBAN (ISO 13616), card numbers (ISO/IEC 7812), US social security numbers, IPv4 addresses."""
_SIXES: Final = (
    r"(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}",
    r"(?:[0-9a-fA-F]{1,4}:){1,6}:(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,5})?",
)
_START, _END = "\x02", "\x03"


@dataclass(frozen=True)
class Kind:
    """Text that has to go. pattern: in RE2's syntax. has: texts one of which is in it; lower: in its lower-case form.

    like: a pattern that is quickly seen not to be there, instead.
    """

    pattern: str
    has: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    like: str = ""


_KINDS: Final = (
    Kind(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"),
    Kind(r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", lower=("bearer", "basic")),
    Kind(r"://[^/\s:@]*:[^/\s@]+@"),
    Kind(
        rf"""(?i)(?:{_WORDS})[a-z0-9_-]*["']?\s*[=:]\s*(?:"[^"]*"|'[^']*'|[^\s,;&]+)""",
        lower=_TELLING,
    ),
    Kind(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", has=("eyJ",)),
    Kind(r"\bhv[sbr]\.[A-Za-z0-9_-]{8,}", has=("hv",)),
    Kind(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", has=("AKIA", "ASIA")),
    Kind(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b", has=("gh",)),
    Kind(r"\bxox[abprs]-[A-Za-z0-9-]{10,}", has=("xox",)),
    Kind(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", has=("@",)),
    Kind(rf"\b(?:{'|'.join(_NUMBERS)})\b", like="[0-9][0-9.]"),
    Kind(rf"\+{_CALL}"),
    Kind(rf"\b00{_CALL}", has=("00",)),
    Kind(rf"\b(?:{'|'.join(_SIXES)})", like=":[0-9a-fA-F]{0,4}:"),
)
"""Private keys (RFC 7468), HTTP credentials, passwords in URLs, whatever is called a secret, JSON web tokens, tokens of
Vault, AWS, GitHub and Slack, mail addresses, numbers, telephone numbers (E.164), IPv6 addresses. What may contain
others comes first, and nothing here is found in a digest."""


def build_marked(tenant: str) -> Iterator[dict[str, Any]]:
    """Groups of statements that put digests between marks. tenant: path of its name."""
    for field in SAID:
        place = f'log.body["{field}"]'
        yield {**group("log", _marked(place, tenant)), "conditions": [f"IsString({place})"]}


def build_redaction(key: str, resource: tuple[str, ...]) -> dict[str, Any]:
    """The processor's configuration. key: where that of the HMAC is, of at least 32 bytes: "${env:NAME}".

    resource: attributes of a record's resource that are allowed.
    """
    return {
        "allow_all_keys": False,
        "allowed_keys": list(SAID),
        "ignored_keys": [*KNOWN, *SENT, *_ADDED, *resource],
        "blocked_values": [r"\x02[0-9a-f]{64}\x03"],
        "hash_function": "hmac-sha256",
        "hmac_key": key,
        "summary": "silent",
    }


def _marked(place: str, tenant: str) -> Iterator[str]:
    for mark in (_START, _END):
        yield f'replace_pattern({place}, {quoted(mark)}, "")'
    yield f'set(log.cache["low"], ToLowerCase({place}))'
    value = f'Concat([{tenant}, {quoted("$0")}], ":")'
    marks = quoted(f"{_START}%s{_END}")
    for kind in _KINDS:
        marked = f"replace_pattern({place}, {quoted(kind.pattern)}, {value}, SHA256, {marks})"
        asked = _asked(kind, place)
        yield f"{marked} where {asked}" if asked else marked
    yield f'set(log.attributes["{REDACTED}"], true) where Index({place}, {quoted(_START)}) >= 0'


def _asked(kind: Kind, place: str) -> str:
    if kind.like:
        return f"IsMatch({place}, {quoted(kind.like)})"
    low = 'log.cache["low"]'
    texts = [*((place, text) for text in kind.has), *((low, text) for text in kind.lower)]
    return " or ".join(f"Index({where}, {quoted(text)}) >= 0" for where, text in texts)
