"""What is stored is read back; what was not stored by us is refused by the name of the key, and never shown."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from microapp_operator.admission.certificates import OVERLAP, Keyring, build_keyring, mark_published, rotate
from microapp_operator.admission.keyring_secret import from_data, to_data
from microapp_operator.errors import InvalidSpec

NAMES = ("webhook.microapp-system.svc", "10.96.0.7", "2001:db8::7")
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = START + timedelta(days=250, microseconds=7)

FIRST = build_keyring(NAMES, START)
UNPUBLISHED = rotate(FIRST, LATER)
PUBLISHED = mark_published(UNPUBLISHED, LATER)
PHASES = [FIRST, UNPUBLISHED, PUBLISHED, rotate(PUBLISHED, LATER + OVERLAP)]


@pytest.mark.parametrize("keyring", PHASES, ids=["first", "unpublished", "published", "retired"])
def test_what_is_stored_is_read_back(keyring: Keyring) -> None:
    assert from_data(to_data(keyring), NAMES) == keyring


def test_no_key_is_shown() -> None:
    shown = "".join(repr(keyring) for keyring in PHASES)
    assert "PRIVATE" not in shown
    assert "CERTIFICATE" in shown


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


UPCOMING, RETIRED = to_data(PUBLISHED), to_data(PHASES[3])
OTHER = to_data(build_keyring(NAMES, START))
RSA_KEY = encoded(
    rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
)


@pytest.mark.parametrize("key", ["ca.crt", "ca.key", "tls.crt", "tls.key", "ca-next.crt", "ca-next.key"])
@pytest.mark.parametrize("value", ["", "%%%", "é", encoded("junk"), encoded(b"\xff\x00"), RSA_KEY], ids=range(6))
def test_a_broken_value_is_named_and_not_shown(key: str, value: str) -> None:
    with pytest.raises(InvalidSpec) as failure:
        from_data({**UPCOMING, key: value}, NAMES)
    assert failure.value.finding.path == f"data.{key}"
    assert not value or value not in str(failure.value)


@pytest.mark.parametrize("key", sorted(UPCOMING.keys() - {"ca-next.crt", "ca-next.published"}))
def test_a_missing_value_is_named(key: str) -> None:
    with pytest.raises(InvalidSpec) as failure:
        from_data({k: v for k, v in UPCOMING.items() if k != key}, NAMES)
    assert failure.value.finding.path == f"data.{key}"


@pytest.mark.parametrize(
    ("base", "changes", "at_fault"),
    [
        (UPCOMING, {"ca.key": OTHER["ca.key"]}, "ca.key"),
        (UPCOMING, {"tls.key": OTHER["tls.key"]}, "tls.key"),
        (UPCOMING, {"tls.crt": OTHER["tls.crt"], "tls.key": OTHER["tls.key"]}, "tls.crt"),
        (UPCOMING, {"ca.crt": UPCOMING["tls.crt"], "ca.key": UPCOMING["tls.key"]}, "ca.crt"),
        (UPCOMING, {"tls.crt": UPCOMING["ca.crt"], "tls.key": UPCOMING["ca.key"]}, "tls.crt"),
        (UPCOMING, {"ca-next.key": OTHER["ca.key"]}, "ca-next.key"),
        (UPCOMING, {"ca-next.published": encoded("soon")}, "ca-next.published"),
        (UPCOMING, {"ca-next.published": encoded("2026-01-01T00:00:00")}, "ca-next.published"),
        (RETIRED, {"ca-previous.crt": RETIRED["tls.crt"]}, "ca-previous.crt"),
        (RETIRED, {"ca-previous.until": encoded("never")}, "ca-previous.until"),
        (UPCOMING, {"ca.crt": encoded(base64.b64decode(UPCOMING["ca.crt"]) * 2)}, "ca.crt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_that_do_not_belong_together_are_refused(
    base: dict[str, str], changes: dict[str, str], at_fault: str
) -> None:
    with pytest.raises(InvalidSpec) as failure:
        from_data({**base, **changes}, NAMES)
    assert failure.value.finding.path == f"data.{at_fault}"
    shown = str(failure.value)
    assert not any(value in shown for value in (*base.values(), *changes.values()))


def test_a_foreign_secret_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"data\.ca\.crt: .*is missing"):
        from_data({"username": encoded("admin"), "password": encoded("example")}, NAMES)
