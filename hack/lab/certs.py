"""Keys and certificates of one lab, made anew with each lab and gone with it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

Client = tuple[str, str | None]
"""User and group."""

CLIENTS: dict[str, Client] = {
    "admin": ("lab-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
}
_SERVICE = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class Pki:
    """Paths of the files in one folder."""

    folder: Path

    def path(self, name: str) -> Path:
        """File ``name`` of the folder."""
        return self.folder / name


def make_pki(folder: Path, *, clients: Mapping[str, Client], servers: Mapping[str, Sequence[str]]) -> Pki:
    """Write a CA, client certificates, the control plane's included, and the service-account key.

    servers: for each file name what a serving certificate is for; that of ``apiserver`` gets its Service's names, too.
    """
    folder.mkdir(parents=True, mode=0o700)
    pki = Pki(folder)
    ca = trustme.CA()
    _write(pki.path("ca.crt"), ca.cert_pem.bytes())
    _write(pki.path("ca.key"), ca.private_key_pem.bytes())
    for name, subjects in servers.items():
        _leaf(pki, name, ca.issue_cert(*subjects, *(_SERVICE if name == "apiserver" else ())))
    for name, (user, group) in {**CLIENTS, **clients}.items():
        # An identity as well: without one the alternative names would be empty and critical, which Go refuses.
        identity = f"{name}.lab.invalid"
        _leaf(pki, name, ca.issue_cert(identity, common_name=user, organization_name=group))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    _write(pki.path("sa.key"), private)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write(pki.path("sa.pub"), public)
    return pki


def _leaf(pki: Pki, name: str, leaf: trustme.LeafCert) -> None:
    _write(pki.path(f"{name}.crt"), b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    _write(pki.path(f"{name}.key"), leaf.private_key_pem.bytes())


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
