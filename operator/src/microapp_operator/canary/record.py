"""The record itself. Pure but for chance, which names it.

Id and proof are letters alone: nothing that redaction looks for has so few kinds of characters, and no search engine
takes them apart.
"""

import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from microapp_operator.desired.forwarding.redaction import UID

_LETTERS: Final = 28
"""More than 128 bits."""


@dataclass(frozen=True, slots=True)
class Canary:
    """One record. uid: by which a backend is asked for it. proof: what nobody knows who hasn't got it.

    sent_at: seconds since 1970.
    """

    uid: str
    proof: str
    sent_at: float


def make_canary(now: float) -> Canary:
    """Another than any before."""
    return Canary(_word(), _word(), now)


def build_request(canary: Canary) -> dict[str, Any]:
    """The ExportLogsServiceRequest (opentelemetry-proto) with it. Who sends it the gateway knows."""
    said = {
        "timestamp": datetime.fromtimestamp(canary.sent_at, UTC).isoformat(timespec="milliseconds"),
        "action": "log.canary",
        "outcome": "success",
        "resource": canary.proof,
    }
    record = {"body": {"kvlistValue": {"values": _pairs(said)}}, "attributes": _pairs({UID: canary.uid})}
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


def _pairs(texts: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": text}} for key, text in texts.items()]


def _word() -> str:
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(_LETTERS))
