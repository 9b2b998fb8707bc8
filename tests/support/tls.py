"""Certificates seen from outside: servers to look at, clients that judge by a clock of the test's own."""

import asyncio
import base64
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hack.kubectl import Kubectl

from microapp_operator.admission.rotation import Place

NAMES = ("localhost", "127.0.0.1")
_KIND = "validatingwebhookconfiguration"
_UNCHECKED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_UNCHECKED.check_hostname, _UNCHECKED.verify_mode = False, ssl.CERT_NONE


class MovedClock:
    """``ports.Clock`` that only tests move."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        """What it was set to."""
        return self.time


class Webhook:
    """A ValidatingWebhookConfiguration of two webhooks for the ConfigMaps of one namespace, and a Secret there."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl, self.name = kubectl, f"rotation-{uuid.uuid4().hex[:8]}"
        self.place = Place(namespace, "webhook-certificates", self.name, NAMES)

    def create(self, url: str = "https://127.0.0.1:1") -> None:
        """Register it; ``url`` is where the API server is to find both webhooks."""
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
        webhook = {
            "clientConfig": {"url": url},
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.place.namespace}},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        manifest = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self.name},
            "webhooks": [{"name": f"{each}.example.com", **webhook} for each in ("first", "second")],
        }
        self._kubectl("create", "-f", "-", stdin=json.dumps(manifest))

    def delete(self) -> None:
        """Take it away; an absent one is fine."""
        self._kubectl("delete", _KIND, self.name, "--ignore-not-found")

    def patch(self, field: str, value: str) -> None:
        """Set a field of ``clientConfig`` in both webhooks, as another party would."""
        changes = [{"op": "add", "path": f"/webhooks/{n}/clientConfig/{field}", "value": value} for n in (0, 1)]
        self._kubectl("patch", _KIND, self.name, "--type=json", "-p", json.dumps(changes))

    def bundle(self) -> bytes:
        """The CA bundle, which must be the same in both webhooks."""
        found = json.loads(self._kubectl("get", _KIND, self.name, "-o", "json"))
        (bundle,) = {each["clientConfig"].get("caBundle", "") for each in found["webhooks"]}
        return base64.b64decode(bundle)

    def secret(self) -> dict[str, Any]:
        """The Secret as stored."""
        arguments = ("secret", self.place.secret, "-n", self.place.namespace, "-o", "json")
        found: dict[str, Any] = json.loads(self._kubectl("get", *arguments))
        return found

    def stored(self, key: str) -> bytes:
        """One value of the Secret."""
        return base64.b64decode(self.secret()["data"][key])

    def delete_secret(self) -> None:
        """What a person might do."""
        self._kubectl("delete", "secret", self.place.secret, "-n", self.place.namespace)

    def create_secret(self, kind: str, data: dict[str, str]) -> None:
        """A Secret of type ``kind`` in the place of the operator's."""
        metadata = {"name": self.place.secret, "namespace": self.place.namespace}
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": data}
        self._kubectl("create", "-f", "-", stdin=json.dumps(manifest))


class Connection:
    """An open TLS connection to ``echoing``; whether its certificate is to be trusted is asked of ``trusts``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        seen = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        self.certificate = x509.load_der_x509_certificate(seen)

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """A new handshake with loopback."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=_UNCHECKED))

    async def ask(self) -> None:
        """A line there and back."""
        self._writer.write(b"admit?\n")
        answer = await self._reader.readline()
        assert answer == b"admit?\n"

    async def close(self) -> None:
        """End it."""
        self._writer.close()
        await self._writer.wait_closed()


@asynccontextmanager
async def echoing(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A server on loopback with ``context`` that says everything back; gives its port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def served(context: ssl.SSLContext) -> bytes:
    """PEM of the certificate that a client gets to see now."""
    async with echoing(context) as port:
        connection = await Connection.open(port)
        await connection.ask()
        await connection.close()
        return connection.certificate.public_bytes(serialization.Encoding.PEM)


def trusts(bundle: bytes, certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a client that trusts ``bundle`` would talk to localhost at ``now``."""
    store = Store(x509.load_pem_x509_certificates(bundle))
    policy = PolicyBuilder().store(store).time(now.replace(tzinfo=None))
    try:
        policy.build_server_verifier(x509.DNSName(NAMES[0])).verify(certificate, [])
    except VerificationError:
        return False
    return True
