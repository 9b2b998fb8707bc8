"""Certificates in use: stored in a Secret, published in the webhook configuration, served without a pause.

All replicas run this at once and share one Secret; whoever is first writes, the others read what came of it.
"""

import asyncio
import base64
import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import structlog
from cryptography import x509

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import Kind
from microapp_operator.admission.certificates import (
    Keyring,
    build_keyring,
    ca_bundle,
    mark_published,
    next_due,
    rotate,
)
from microapp_operator.admission.keyring_secret import from_data, to_data
from microapp_operator.constants import FIELD_MANAGER, LABEL_MANAGED_BY, MANAGED_BY
from microapp_operator.errors import Conflict, Gone, InvalidSpec, Transient
from microapp_operator.model.common import Manifest
from microapp_operator.ports import Clock

log = structlog.get_logger(__name__)

LOOK_AGAIN: Final = 15.0
"""Seconds after which the Secret and the webhook configuration are looked at again, though nothing is due."""
FILES_EVERY: Final = 10.0
"""Seconds between two looks at mounted files; the kubelet needs up to a minute to bring a change anyway."""
_RETRY: Final = 10.0
"""Seconds until the next attempt after one that failed."""
_CONFLICTS: Final = 5
_SECRET: Final = Kind("v1", "Secret", "secrets", selector="")
_CONFIGURATIONS: Final = tuple(
    Kind("admissionregistration.k8s.io/v1", kind, f"{kind.lower()}s", namespaced=False, selector="")
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
)
_QUERY: Final = (("fieldManager", FIELD_MANAGER),)
_STRATEGIC: Final = "application/strategic-merge-patch+json"


class Certificates(Protocol):
    """Where the certificate that is served comes from."""

    @property
    def context(self) -> ssl.SSLContext:
        """To serve with; one object for the life of the process."""

    @property
    def ends(self) -> datetime | None:
        """When the certificate that is served ends, in UTC; None while there is none."""

    async def refresh(self) -> float:
        """Bring ``context`` up to date; seconds until the next look. What fails never takes a certificate away."""


async def keep_fresh(certificates: Certificates) -> None:
    """Refresh for ever. Whatever fails is logged and tried again: a loop that ends would let the leaf run out."""
    while True:
        try:
            delay = await certificates.refresh()
        except Exception as error:  # noqa: BLE001 - see above
            delay = max(_RETRY, getattr(error, "retry_after", None) or 0.0)
            log.warning("certificates_not_refreshed", error=type(error).__name__, why=str(error), again_in=delay)
        await asyncio.sleep(delay)


class ServingContext:
    """One TLS server context for the life of the process, whose certificate is replaced in place.

    New handshakes use the new certificate, established connections go on.
    """

    def __init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.ends: datetime | None = None
        self._loaded: tuple[bytes, bytes] | None = None

    def load(self, certificate: bytes, key: bytes) -> None:
        """Serve this pair (PEM) from now on. ValueError when it is of no use, Transient without a place to write.

        OpenSSL takes keys from files only; the one it gets is for this user alone and is gone at once.
        """
        if self._loaded == (certificate, key):
            return
        ends = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "pair.pem")
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(certificate + b"\n" + key)
                # Tried on another context first: a failure would leave ours without a key.
                for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
                    context.load_cert_chain(path, password="")
        except ssl.SSLError as error:
            raise ValueError(f"OpenSSL refuses it ({error.reason})") from None
        except OSError as error:
            raise Transient(f"no place to hand a key to OpenSSL: {error.strerror}.") from error
        self.ends, self._loaded = ends, (certificate, key)
        log.info("certificate_loaded", ends=ends)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the certificates live.

    namespace, secret: the Secret that holds them; it may exist already, without data.
    configuration: name of the ValidatingWebhookConfiguration that is told whom to trust, and of the
        MutatingWebhookConfiguration, where there is one.
    names: host names and IP addresses by which API servers call the webhook.
    """

    namespace: str
    secret: str
    configuration: str
    names: tuple[str, ...]


class _Served:
    """A certificate that is served, whoever keeps it."""

    def __init__(self) -> None:
        self._serving = ServingContext()

    @property
    def context(self) -> ssl.SSLContext:
        """To serve with; one object for the life of the process."""
        return self._serving.context

    @property
    def ends(self) -> datetime | None:
        """When the certificate that is served ends, in UTC; None while there is none."""
        return self._serving.ends


class CertificateKeeper(_Served):
    """Makes, stores, publishes and serves the webhook's own certificates, and replaces them in time."""

    def __init__(self, client: KubernetesClient, place: Place, clock: Clock) -> None:
        super().__init__()
        self._client, self._place, self._clock = client, place, clock
        self._keyring: Keyring | None = None
        """As last read or written: should the Secret be deleted, it comes back with the CAs that are trusted."""

    async def refresh(self) -> float:
        """Do what is due; seconds until the next look. What fails never takes a certificate away."""
        for _ in range(_CONFLICTS):
            try:
                return await self._refresh()
            except Conflict:
                continue
        raise Conflict(f"the certificates of {self._place.configuration} are not settled: others keep writing them.")

    async def _refresh(self) -> float:
        """One look, in an order that matters.

        The configuration is read before the Secret, and written only if it still is as it was read: so no
        replica, however slow, can undo what another one published from a newer Secret.
        """
        found = [(kind, await self._read(kind, "", self._place.configuration)) for kind in _CONFIGURATIONS]
        secret, keyring = await self._settle()
        if found[0][1] is None:
            self._serve(keyring)
            log.warning("webhook_configuration_missing", configuration=self._place.configuration)
            return _RETRY
        configurations = [(kind, configuration) for kind, configuration in found if configuration is not None]
        if all(_trusted(configuration, keyring) for _, configuration in configurations):
            self._serve(keyring)
        for kind, configuration in configurations:
            await self._publish(kind, configuration, keyring)
        self._serve(keyring)
        published = mark_published(keyring, self._clock.now())
        if published is not keyring:
            await self._store(secret, published)
        return min(LOOK_AGAIN, max(1.0, (next_due(published) - self._clock.now()).total_seconds()))

    async def _settle(self) -> tuple[Manifest, Keyring]:
        """The Secret as stored, and what it holds, after everything due was done."""
        now, names = self._clock.now(), self._place.names
        secret = await self._read(_SECRET, self._place.namespace, self._place.secret)
        if secret is not None and secret.get("type") != "Opaque":
            raise InvalidSpec(path="type", message=f"the Secret {self._place.secret} is of type {secret.get('type')}.")
        if secret is None or not secret.get("data"):
            keyring = rotate(self._keyring or build_keyring(names, now), now)
            return await self._store(secret, keyring), keyring
        found = from_data(secret["data"], names)
        keyring = rotate(found, now)
        if keyring is not found:
            secret = await self._store(secret, keyring)
        self._keyring = keyring
        return secret, keyring

    async def _store(self, secret: Manifest | None, keyring: Keyring) -> Manifest:
        """Write the Secret: anew, or onto exactly the version that was read; Conflict when another was faster."""
        collection = _SECRET.collection(self._place.namespace)
        if secret is not None:
            body = {**secret, "data": to_data(keyring)}
            call = Call("PUT", f"{collection}/{self._place.secret}", _SECRET.plural, _QUERY, body)
        else:
            metadata = {"name": self._place.secret, "labels": {LABEL_MANAGED_BY: MANAGED_BY}}
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"}
            call = Call("POST", collection, _SECRET.plural, _QUERY, {**body, "data": to_data(keyring)})
        stored = await self._client.write(call)
        self._keyring = keyring
        return stored

    async def _publish(self, kind: Kind, configuration: Manifest, keyring: Keyring) -> None:
        """Have every webhook of the configuration trust the keyring's CAs; Conflict when it has changed since."""
        bundle = base64.b64encode(ca_bundle(keyring)).decode()
        stale = [name for name, trusted in _bundles(configuration) if trusted != bundle]
        if not stale:
            return
        body = {
            "metadata": {"resourceVersion": configuration["metadata"]["resourceVersion"]},
            "webhooks": [{"name": name, "clientConfig": {"caBundle": bundle}} for name in stale],
        }
        path = f"{kind.collection()}/{self._place.configuration}"
        await self._client.write(Call("PATCH", path, kind.plural, _QUERY, body, _STRATEGIC))
        log.info("ca_bundle_published", configuration=self._place.configuration, kind=kind.kind, webhooks=stale)

    async def _read(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        try:
            return await self._client.read(Call("GET", f"{kind.collection(namespace)}/{name}", kind.plural))
        except Gone:
            return None

    def _serve(self, keyring: Keyring) -> None:
        self._serving.load(keyring.leaf.certificate, keyring.leaf.key)


def _bundles(configuration: Manifest) -> list[tuple[str, str]]:
    """Name and CA bundle (base64, empty when it has none) of each webhook."""
    webhooks = configuration.get("webhooks") or []
    return [(each["name"], each["clientConfig"].get("caBundle") or "") for each in webhooks]


def _trusted(configuration: Manifest, keyring: Keyring) -> bool:
    """The CA that signs is trusted already, whatever becomes of the rest of the bundle."""
    return all(keyring.current.certificate in base64.b64decode(bundle) for _, bundle in _bundles(configuration))


class FileCertificates(_Served):
    """Serves what someone else keeps in two mounted files (PEM), such as cert-manager; publishes nothing."""

    def __init__(self, certificate: Path, key: Path) -> None:
        super().__init__()
        self._paths = certificate, key
        self._seen: list[tuple[int, int, int]] = []

    async def refresh(self) -> float:
        """Load the files if they changed; seconds until the next look.

        Transient when one can't be read, InvalidSpec when they don't fit each other, as halfway through a change.
        """
        try:
            seen = [(s.st_ino, s.st_size, s.st_mtime_ns) for s in map(os.stat, self._paths)]
            if seen == self._seen:
                return FILES_EVERY
            certificate, key = (path.read_bytes() for path in self._paths)
        except OSError as error:
            raise Transient(f"{error.filename} can't be read: {error.strerror}.") from error
        try:
            self._serving.load(certificate, key)
        except ValueError as error:
            raise InvalidSpec(path=str(self._paths[0]), message=f"no certificate with its key: {error}.") from None
        self._seen = seen
        return FILES_EVERY
