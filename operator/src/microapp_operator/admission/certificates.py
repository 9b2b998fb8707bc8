"""The webhook's certificates as values: who signs, who is trusted, what changes next and when. Pure.

Trust comes before use and stays after it: a new CA is in the bundle for OVERLAP before it signs, and an
old one leaves it when the last leaf it signed has ended. So there are at most three: previous, current, next.
"""

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE: Final = timedelta(days=365)
"""Long enough that a change of CA is rare, short enough that it is practised every year."""
LEAF_LIFE: Final = timedelta(days=30)
"""A stolen key is of use for a month at most; ten days remain to mend a renewal that fails."""
OVERLAP: Final = timedelta(hours=1)
"""How long a CA is published before it signs. API servers follow the bundle within seconds; this is ample."""
BACKDATE: Final = timedelta(minutes=5)
"""Certificates begin this much earlier, for API servers whose clocks are behind ours."""
_RENEWAL: Final = 2 / 3
"""Part of its life after which a certificate is renewed."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA: its certificate and private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The CA that signs next. published: since when every webhook trusts it, None while not all do."""

    authority: Authority
    published: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retired:
    """A CA that signs no more, so its key is gone. until: when the last leaf it signed ends."""

    certificate: bytes
    until: datetime


@dataclass(frozen=True, slots=True)
class Leaf:
    """A serving certificate, always signed by the current CA, and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """All certificates of one webhook at one moment.

    names: host names and IP addresses the leaf has to be good for, in their canonical form.
    """

    names: tuple[str, ...]
    current: Authority
    leaf: Leaf
    next: Upcoming | None = None
    previous: Retired | None = None


def build_keyring(names: Iterable[str], now: datetime) -> Keyring:
    """A first CA, and a leaf by it for ``names`` (host names, IP addresses), both of use at ``now`` (UTC)."""
    wanted = canonical_names(names)
    authority = _make_authority(now)
    return Keyring(wanted, authority, _make_leaf(authority, wanted, now))


def canonical_names(names: Iterable[str]) -> tuple[str, ...]:
    """``names`` without doubles, sorted, in the form a certificate gives them back."""
    return tuple(sorted({str(_address(name) or name.lower()) for name in names}))


def rotate(keyring: Keyring, now: datetime) -> Keyring:
    """The keyring as it has to be at ``now`` (UTC); the same object while nothing is due."""
    if now < next_due(keyring):
        return keyring
    keyring = _with_successor(_promoted(keyring, now), now)
    if keyring.previous is not None and keyring.previous.until <= now:
        keyring = replace(keyring, previous=None)
    if _leaf_due(keyring) <= now:
        keyring = replace(keyring, leaf=_make_leaf(keyring.current, keyring.names, now))
    return keyring


def mark_published(keyring: Keyring, now: datetime) -> Keyring:
    """Note that ``ca_bundle(keyring)`` is in force since ``now``; the same object when that is known."""
    if keyring.next is None or keyring.next.published is not None:
        return keyring
    return replace(keyring, next=replace(keyring.next, published=now))


def ca_bundle(keyring: Keyring) -> bytes:
    """PEM of every CA a client has to trust: the previous, the current, the next one."""
    parts = [keyring.current.certificate]
    if keyring.previous is not None:
        parts.insert(0, keyring.previous.certificate)
    if keyring.next is not None:
        parts.append(keyring.next.authority.certificate)
    return b"".join(parts)


def next_due(keyring: Keyring) -> datetime:
    """When ``rotate`` will first change something, in UTC; possibly in the past."""
    current = x509.load_pem_x509_certificate(keyring.current.certificate)
    dates = [_leaf_due(keyring)]
    if keyring.previous is not None:
        dates.append(keyring.previous.until)
    if keyring.next is None:
        dates.append(_renewal(current))
    elif keyring.next.published is None:
        dates.append(current.not_valid_after_utc)
    else:
        dates.append(min(keyring.next.published + OVERLAP, current.not_valid_after_utc))
    return min(dates)


def _promoted(keyring: Keyring, now: datetime) -> Keyring:
    """The next CA signs once it was published for long enough, or at once when the current one has ended.

    A CA before the previous one goes: the current one took over longer than OVERLAP ago.
    """
    upcoming = keyring.next
    if upcoming is not None and _ends(upcoming.authority.certificate) <= now:
        upcoming = None
    ripe = upcoming is not None and upcoming.published is not None and upcoming.published + OVERLAP <= now
    if not ripe and now < _ends(keyring.current.certificate):
        return replace(keyring, next=upcoming)
    authority = upcoming.authority if upcoming is not None else _make_authority(now)
    leaf = _make_leaf(authority, keyring.names, now)
    until, previous = _ends(keyring.leaf.certificate), keyring.previous
    if now < until:
        previous = Retired(keyring.current.certificate, until)
    return replace(keyring, current=authority, leaf=leaf, next=None, previous=previous)


def _with_successor(keyring: Keyring, now: datetime) -> Keyring:
    """Make the next CA when the current one is due; it is to be published before it does anything."""
    current = x509.load_pem_x509_certificate(keyring.current.certificate)
    if keyring.next is not None or now < _renewal(current):
        return keyring
    return replace(keyring, next=Upcoming(_make_authority(now)))


def _leaf_due(keyring: Keyring) -> datetime:
    """When the leaf is to be replaced: at once when a name is missing; never before its CA when both end together."""
    leaf = x509.load_pem_x509_certificate(keyring.leaf.certificate)
    if not set(keyring.names) <= _names_of(leaf):
        return leaf.not_valid_before_utc
    if leaf.not_valid_after_utc >= _ends(keyring.current.certificate):
        return leaf.not_valid_after_utc
    return _renewal(leaf)


def _renewal(certificate: x509.Certificate) -> datetime:
    made = certificate.not_valid_before_utc + BACKDATE
    return made + (certificate.not_valid_after_utc - made) * _RENEWAL


def _ends(certificate: bytes) -> datetime:
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def _names_of(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = names.get_values_for_type(x509.DNSName)
    return {*hosts, *(str(address) for address in names.get_values_for_type(x509.IPAddress))}


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _general_name(name: str) -> x509.GeneralName:
    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _make_authority(now: datetime) -> Authority:
    """A self-signed CA. Its name is its own: two CAs of one name would leave clients to guess who signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _common_name(f"microapp-operator admission {secrets.token_hex(8)}")
    builder = (
        _builder(key.public_key(), now, now + CA_LIFE)
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return Authority(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def _make_leaf(authority: Authority, names: tuple[str, ...], now: datetime) -> Leaf:
    """A leaf for ``names`` that doesn't outlive its CA."""
    signer = x509.load_pem_x509_certificate(authority.certificate)
    signing_key = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    signer_id = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(key.public_key(), now, min(now + LEAF_LIFE, signer.not_valid_after_utc))
        .subject_name(_common_name("microapp-operator admission"))
        .issuer_name(signer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer_id), critical=False)
    )
    return Leaf(_pem(builder.sign(signing_key, hashes.SHA256())), _key_pem(key))


def _builder(key: ec.EllipticCurvePublicKey, now: datetime, ends: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .public_key(key)
        .not_valid_before(now - BACKDATE)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
