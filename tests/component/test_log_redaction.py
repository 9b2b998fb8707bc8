"""Planted personal data and credentials, in the real gateway: none comes out, whatever field it was in."""

import json

import pytest

from tests.support.apppods import AppPods, Line, record
from tests.support.otlp import plain

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


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_data_comes_out_of_no_field(finance: Line, kind: str) -> None:
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
    texts = [*map(json.dumps, fields), planted, f"text {planted}.", f'"{planted}"', "{broken " + planted]
    found = finance.bodies(*texts, *fields)
    assert not [body for body in found if planted in json.dumps(body) or planted in str(body)]
    assert found[0]["message"].startswith("before ")
    assert found[0]["message"].endswith(" after")


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_sent_as_if_it_had_its_form_is_searched_too(finance: Line, kind: str) -> None:
    planted = PLANTED[kind]
    fields = [{"message": planted}, {"message": {"er": [planted]}}, {"error": [planted]}, {"unknown": planted}]
    marked = [record(each, **{"microapp.log.form": "json", "note": planted}) for each in (*fields, planted)]
    for each in marked:
        each |= {"severityText": planted, "eventName": planted}
    assert planted not in json.dumps(finance.deliver(*marked, note=planted))


@pytest.mark.parametrize("text", NAMED)
def test_what_is_called_a_secret_doesnt_come_out(finance: Line, text: str) -> None:
    (body,) = finance.bodies(f"connecting with {text}, again")
    assert not [word for word in ("hunter2", "s3cr3tv4lue", "top of the hat") if word in body["message"]]


@pytest.mark.parametrize("text", _HARMLESS)
def test_what_says_nothing_of_anybody_stays(finance: Line, text: str) -> None:
    (body,) = finance.bodies(text)
    assert body["message"] == text


def test_equal_data_stays_equal_and_who_it_was_stays_readable(finance: Line) -> None:
    first, second, other = finance.bodies(
        json.dumps({"message": "alice@example.com", "user_id": "alice@example.com"}),
        json.dumps({"message": "alice@example.com"}),
        json.dumps({"message": "bob@example.com"}),
    )
    assert first["message"] == second["message"] != other["message"]
    assert first["user_id"] == "alice@example.com"


def test_the_same_in_two_tenants_doesnt_look_the_same(finance: Line, app_pods: AppPods) -> None:
    health = Line(finance.gateway, finance.siem, app_pods.pod(app_pods.namespace("expense-helper-v2", "health")))
    (ours,), (theirs,) = finance.bodies("alice@example.com"), health.bodies("alice@example.com")
    assert ours["message"] != theirs["message"]


def test_marks_of_its_own_give_an_app_nothing(finance: Line) -> None:
    """As if it were what the gateway puts between them: a digest, of its tenant's data or another's."""
    digest = "0123456789abcdef" * 4
    wrapped = f"\x02{digest}\x03"
    found = finance.bodies(wrapped, "\x02alice@example.com\x03", "alice\x02@example.com", "alice@example.com", "\x02")
    text, marked, split, bare, alone = (body["message"] for body in found)
    assert text == digest
    assert marked == split == bare
    assert alone == ""


def test_that_something_was_replaced_is_told(finance: Line) -> None:
    changed, unchanged = finance.deliver(record("alice@example.com"), record("nobody"))
    assert plain(changed["attributes"])["microapp.log.redacted"] is True
    assert "microapp.log.redacted" not in plain(unchanged["attributes"])
