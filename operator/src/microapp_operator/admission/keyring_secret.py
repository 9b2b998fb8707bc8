"""The keyring as the ``data`` of a Secret, and back. Pure; what is read is believed only once it fits together.

    ca.crt, ca.key                                    the CA that signs
    ca-next.crt, ca-next.key, ca-next.published       the CA that signs next; the last one once it is trusted
    ca-previous.crt, ca-previous.until                the CA that signed before
    tls.crt, tls.key                                  what is served

No error and no log line shows what a value holds: errors name the key at fault.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from microapp_operator.admission.certificates import Authority, Keyring, Leaf, Retired, Upcoming, canonical_names
from microapp_operator.errors import InvalidSpec


def to_data(keyring: Keyring) -> dict[str, str]:
    """``data`` of the Secret, values in base64."""
    values = {
        "ca.crt": keyring.current.certificate,
        "ca.key": keyring.current.key,
        "tls.crt": keyring.leaf.certificate,
        "tls.key": keyring.leaf.key,
    }
    if keyring.next is not None:
        values["ca-next.crt"] = keyring.next.authority.certificate
        values["ca-next.key"] = keyring.next.authority.key
        if keyring.next.published is not None:
            values["ca-next.published"] = keyring.next.published.isoformat().encode()
    if keyring.previous is not None:
        values["ca-previous.crt"] = keyring.previous.certificate
        values["ca-previous.until"] = keyring.previous.until.isoformat().encode()
    return {key: base64.b64encode(value).decode() for key, value in values.items()}


def from_data(data: Mapping[str, str], names: Iterable[str]) -> Keyring:
    """The keyring in ``data``, to be good for ``names``; InvalidSpec names the key that doesn't fit the others."""
    current = _authority(data, "ca")
    leaf = Leaf(*_pair(data, "tls"))
    issuer = x509.load_pem_x509_certificate(current.certificate)
    certificate = x509.load_pem_x509_certificate(leaf.certificate)
    try:
        certificate.verify_directly_issued_by(issuer)
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        raise _fault("tls.crt", "is no serving certificate that ca.crt signed") from None
    upcoming = previous = None
    if "ca-next.crt" in data:
        published = _time(data, "ca-next.published") if "ca-next.published" in data else None
        upcoming = Upcoming(_authority(data, "ca-next"), published)
    if "ca-previous.crt" in data:
        previous = Retired(_ca_certificate(data, "ca-previous.crt"), _time(data, "ca-previous.until"))
    return Keyring(canonical_names(names), current, leaf, upcoming, previous)


def _authority(data: Mapping[str, str], prefix: str) -> Authority:
    _ca_certificate(data, f"{prefix}.crt")
    return Authority(*_pair(data, prefix))


def _ca_certificate(data: Mapping[str, str], key: str) -> bytes:
    certificate = _certificate(data, key)
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except (ValueError, x509.ExtensionNotFound):
        raise _fault(key, "is not the certificate of a CA") from None
    if not constraints.ca:
        raise _fault(key, "is not the certificate of a CA")
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pair(data: Mapping[str, str], prefix: str) -> tuple[bytes, bytes]:
    """PEM of the certificate and of the private key that belongs to it."""
    certificate = _certificate(data, f"{prefix}.crt")
    value = _value(data, f"{prefix}.key")
    try:
        key = serialization.load_pem_private_key(value, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _fault(f"{prefix}.key", "holds no ECDSA private key in PEM")
    if key.public_key() != certificate.public_key():
        raise _fault(f"{prefix}.key", f"doesn't belong to {prefix}.crt")
    return certificate.public_bytes(serialization.Encoding.PEM), value


def _certificate(data: Mapping[str, str], key: str) -> x509.Certificate:
    try:
        (certificate,) = x509.load_pem_x509_certificates(_value(data, key))
    except ValueError:
        raise _fault(key, "doesn't hold exactly one certificate in PEM") from None
    return certificate


def _time(data: Mapping[str, str], key: str) -> datetime:
    try:
        time = datetime.fromisoformat(_value(data, key).decode())
    except ValueError:
        raise _fault(key, "is not a time as in RFC 3339") from None
    if time.tzinfo is None:
        raise _fault(key, "names no time zone")
    return time


def _value(data: Mapping[str, str], key: str) -> bytes:
    if key not in data:
        raise _fault(key, "is missing")
    try:
        return base64.b64decode(data[key], validate=True)
    except (binascii.Error, ValueError):
        raise _fault(key, "is not base64") from None


def _fault(key: str, what: str) -> InvalidSpec:
    message = f"{key} {what}; the Secret is not, or no longer, the operator's. Once it is deleted it is made anew."
    return InvalidSpec(path=f"data.{key}", message=message)
