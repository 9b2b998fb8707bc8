"""Plain requests to the API server on behalf of others: what kubectl does, without a process for each."""

import base64
import http.client
import json
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from hack.lab.context import Cluster


@dataclass(frozen=True)
class Account:
    """Who asks, as the API server will see them (authentication.k8s.io/v1 UserInfo)."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = field(default_factory=dict)

    def headers(self) -> list[tuple[str, str]]:
        """Impersonation headers (Kubernetes, user impersonation)."""
        found = [("Impersonate-User", self.username)]
        found += [("Impersonate-Uid", self.uid)] if self.uid else []
        found += [("Impersonate-Group", group) for group in self.groups]
        return found + [
            (f"Impersonate-Extra-{key.replace('/', '%2F')}", value)
            for key, values in self.extra.items()
            for value in values
        ]

    def user_info(self) -> dict[str, Any]:
        """What admission is told."""
        groups = [*self.groups, "system:authenticated"]
        return {"username": self.username, "uid": self.uid, "groups": groups, "extra": self.extra}


class Api:
    """One connection with the administrator's certificate."""

    def __init__(self, cluster: Cluster) -> None:
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        chosen = next(c["context"] for c in config["contexts"] if c["name"] == cluster.context)
        server = next(c["cluster"] for c in config["clusters"] if c["name"] == chosen["cluster"])
        user = next(u["user"] for u in config["users"] if u["name"] == chosen["user"])
        context = ssl.create_default_context(cadata=_data(server, "certificate-authority").decode())
        with tempfile.TemporaryDirectory() as name:
            pair = Path(name) / "pair.pem"
            pair.write_bytes(_data(user, "client-certificate") + b"\n" + _data(user, "client-key"))
            context.load_cert_chain(pair)
        self._connection = http.client.HTTPSConnection(urlsplit(server["server"]).netloc, context=context, timeout=30)

    def __call__(
        self, verb: str, path: str, body: Any = None, *, account: Account | None = None, kind: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """HTTP status and the answer's JSON. body: JSON, or bytes to send as they are."""
        self._connection.putrequest(verb, path)
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        for name, value in account.headers() if account else ():
            self._connection.putheader(name, value)
        self._connection.putheader("Content-Type", kind)
        self._connection.putheader("Content-Length", str(len(data)))
        self._connection.endheaders(data)
        answer = self._connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        return answer.status, found

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _data(entry: dict[str, str], name: str) -> bytes:
    if f"{name}-data" in entry:
        return base64.b64decode(entry[f"{name}-data"])
    return Path(entry[name]).read_bytes()
