"""What of a record may leave the platform: the Collector's redaction processor. Pure; imports form only.

A list of what is allowed, so that a field nobody thought of doesn't get out. In allowed fields, personal data and
credentials that can be told by their form are replaced by an HMAC: equal ones stay equal, for who has to count them,
and nobody without the key can guess which they were. ``user_id`` stays as it is: an auditor asks who it was.
"""

from typing import Any, Final

from microapp_operator.desired.forwarding.form import FORM, TRACE_INVALID

_KNOWN: Final = ("timestamp", "app_id", "tenant_id", "user_id", "trace_id")
"""Fields of a record that the platform itself fills in or checks, and who it was: they aren't searched."""
_SAID: Final = ("action", "resource", "outcome", "message", "logger", "error")
_MARKS: Final = ("log.record.uid", "log.iostream", "microapp.log.part", FORM, TRACE_INVALID)
_WORDS: Final = (
    "password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credential|cookie|authorization"
)
_PERSONAL: Final = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
    r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
    r"\b(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6[0-9]{3})(?:[ -]?[0-9]{4}){3}\b",
    r"\b3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}\b",
    r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b",
    r"(?:\+|\b00)[1-9][0-9]{0,2}(?:[ ().-]{0,2}[0-9]{1,4}){2,6}\b",
    r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b",
    r"\b(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\b",
    r"\b(?:[0-9a-fA-F]{1,4}:){1,6}:(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,5})?\b",
)
"""Mail addresses, IBAN (ISO 13616), card numbers (ISO/IEC 7812), US social security numbers, telephone numbers (E.164),
IPv4 and IPv6 addresses."""
_CREDENTIALS: Final = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
    r"\bhv[sbr]\.[A-Za-z0-9_-]{8,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36,}\b",
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}",
    r"://[^/\s:@]*:[^/\s@]+@",
    rf"""(?i)["']?[a-z0-9_-]*(?:{_WORDS})[a-z0-9_-]*["']?\s*[=:]\s*(?:"[^"]*"|'[^']*'|[^\s,;&]+)""",
)
"""Private keys (RFC 7468), JSON web tokens, tokens of Vault, AWS, GitHub and Slack, HTTP credentials, passwords in
URLs, and whatever is called a secret."""


def build_redaction(key: str) -> dict[str, Any]:
    """The processor's configuration. key: where the HMAC's key is, of at least 32 bytes: "${env:NAME}"."""
    return {
        "allow_all_keys": False,
        "allowed_keys": list(_SAID),
        "ignored_keys": [*_KNOWN, *_MARKS],
        "blocked_values": [*_CREDENTIALS, *_PERSONAL],
        "redact_all_types": True,
        "hash_function": "hmac-sha256",
        "hmac_key": key,
        "summary": "info",
    }
