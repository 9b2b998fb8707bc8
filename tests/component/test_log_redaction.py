"""Planted personal data and credentials, in the real Collector: none comes out, whatever field it was in."""

import json
import secrets
from collections.abc import Iterator

import pytest

from microapp_operator.desired.forwarding import build_redaction
from tests.support.otlp import Receiver
from tests.support.sidecar import Sidecar

_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
PLANTED = {
    "mail address": "carol.jones+x@mail.example.co.uk",
    "IBAN": "DE89370400440532013000",
    "IBAN in groups": "GB29 NWBK 6016 1331 9268 19",
    "card": "4111111111111111",
    "card in groups": "5500-0055-5555-5559",
    "card of 15 digits": "3782 822463 10005",
    "social security number": "078-05-1120",
    "telephone": "+49 (0)30 1234 5678".replace("(0)", ""),
    "telephone in one": "+4915112345678",
    "IPv4 address": "203.0.113.77",
    "IPv6 address": "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "short IPv6 address": "2001:db8::8a2e:370:7334",
    "JSON web token": _JWT,
    "Vault token": "hvs.CAESIJ1p0aYZ",
    "AWS key": "AKIAIOSFODNN7EXAMPLE",
    "GitHub token": "ghp_" + "a1B2" * 9,
    "Slack token": "xoxb-1234567890-abcdef",
    "bearer": "Bearer abcdef0123456789",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----",
}
NAMED = ("password=hunter2", "api_key: s3cr3tv4lue", '"client_secret": "top of the hat"', "https://bob:hunter2@db/x")
_HARMLESS = ("paid 12.50 EUR for order 2026-01-18/7", "took 1768746725123 ns", "version 1.2.3 of a:b", "GET /a/b 200")


@pytest.fixture(scope="module")
def sidecar(gateway: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One that redacts."""
    key = secrets.token_hex(16)
    sidecar = Sidecar(tmp_path_factory.mktemp("sidecar"), gateway, redaction=build_redaction(key))
    with sidecar.running():
        yield sidecar


def left(sidecar: Sidecar, gateway: Receiver, *bodies: str) -> list[dict[str, str]]:
    gateway.records.clear()
    sidecar.send(*bodies)
    return gateway.bodies()


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_data_comes_out_of_no_field(sidecar: Sidecar, gateway: Receiver, kind: str) -> None:
    planted = PLANTED[kind]
    fields = [
        *(
            {name: f"before {planted} after"}
            for name in ("message", "action", "resource", "outcome", "error", "logger")
        ),
        {"message": "m", "unknown": planted},
        {"message": "m", "deep": {"er": [planted]}},
        {"deep": {"er": [planted]}},
    ]
    bodies = [*map(json.dumps, fields), planted, f"text {planted}.", f'"{planted}"', "{broken " + planted]
    found = left(sidecar, gateway, *bodies)
    assert len(found) == len(bodies)
    assert not [body for body in found if planted in json.dumps(body) or planted in str(body)]
    assert found[0]["message"].startswith("before ")
    assert found[0]["message"].endswith(" after")


@pytest.mark.parametrize("text", NAMED)
def test_what_is_called_a_secret_doesnt_come_out(sidecar: Sidecar, gateway: Receiver, text: str) -> None:
    (body,) = left(sidecar, gateway, f"connecting with {text}, again")
    assert not [word for word in ("hunter2", "s3cr3tv4lue", "top of the hat") if word in body["message"]]


@pytest.mark.parametrize("text", _HARMLESS)
def test_what_says_nothing_of_anybody_stays(sidecar: Sidecar, gateway: Receiver, text: str) -> None:
    (body,) = left(sidecar, gateway, text)
    assert body["message"] == text


def test_equal_data_stays_equal_and_who_it_was_stays_readable(sidecar: Sidecar, gateway: Receiver) -> None:
    first, second, other = left(
        sidecar,
        gateway,
        json.dumps({"message": "alice@example.com", "user_id": "alice@example.com"}),
        json.dumps({"message": "alice@example.com"}),
        json.dumps({"message": "bob@example.com"}),
    )
    assert first["message"] == second["message"] != other["message"]
    assert first["user_id"] == "alice@example.com"
