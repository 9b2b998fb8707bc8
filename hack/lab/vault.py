"""A real Vault server for the lab: TLS, sealed and unsealed for real, its root token in a file of ours alone.

Knows the cluster's accounts (kubernetes auth), keeps secrets (KV v2), makes users of a real PostgreSQL (database
engine), and writes two audit logs. Everything is below one folder and gone with it.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import hvac
import requests
import trustme
import yaml
from hvac.exceptions import VaultError

from hack.kubectl import Kubectl
from hack.lab.build import LabError, binary, ensure_built, say
from hack.lab.components import VAULT
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports
from hack.lab.postgres import Postgres, start_postgres
from hack.lab.processes import start, stop_all, stop_one, wait_until

AUDIENCE = "vault"
_NAMESPACE = "microapp-vault"
_REVIEWER = "vault-reviewer"
_CREATE = """CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"""
_REVOKE = """DROP ROLE IF EXISTS "{{name}}";"""


@dataclass(frozen=True)
class Place:
    """Where Vault runs when that isn't here: a command that starts it there, its address there, and what leads to it.

    server: URL of the API server as seen from there. relay: an address of this machine that leads to that port.
    """

    enter: tuple[str, ...]
    address: str
    port: int
    server: str
    relay: str


@dataclass(frozen=True)
class LocalVault:
    """One server, everything of it below ``folder``; at ``place``, where it has no database, or on this machine."""

    folder: Path
    place: Place | None = None

    @property
    def address(self) -> str:
        """Its URL."""
        return str(self._facts()["address"])

    @property
    def ca(self) -> Path:
        """Who vouches for its certificate."""
        return self.folder / "ca.crt"

    @property
    def audit_log(self) -> Path:
        """What the first audit device writes."""
        return self.folder / "audit.log"

    @property
    def postgres(self) -> Postgres:
        """The database behind the database engine."""
        return Postgres(**self._facts()["postgres"])

    @property
    def token(self) -> str:
        """The root token."""
        return str(json.loads((self.folder / "init.json").read_text())["root_token"])

    def client(self, token: str | None = None) -> hvac.Client:
        """hvac as root, or with ``token``."""
        return hvac.Client(self.address, token=self.token if token is None else token, verify=str(self.ca), timeout=10)

    def up(self, cluster: Cluster, kubectl: Kubectl) -> None:
        """Build and start it, and let it know ``cluster``; returns when it can be logged in to."""
        ensure_built(VAULT)
        self.remove()
        self.folder.mkdir(parents=True, mode=0o700)
        port, inner, database = free_ports(3)
        try:
            self._configure(port, inner)
            self.start()
            self._initialise()
            self.unseal()
            self._furnish(_server_of(cluster), kubectl)
            if self.place is None:
                postgres = start_postgres(self.folder, database)
                self._write("facts.json", {"address": self.address, "postgres": asdict(postgres)})
                self._offer_users(postgres)
        except BaseException:
            self.remove()
            raise
        say(f"Vault is up: {self.address}, root token in {self.folder / 'init.json'}")

    def start(self) -> None:
        """Start the server, which is sealed then."""
        exe, config = str(binary(VAULT)), str(self.folder / "config.json")
        enter = self.place.enter if self.place else ()
        start("vault", [exe, "server", f"-config={config}"], self.folder, enter=enter)
        wait_until("vault", self._answers, self.folder)

    def stop(self) -> None:
        """End the server; what it keeps stays."""
        stop_one(self.folder, "vault")

    def seal(self) -> None:
        """Seal it."""
        self.client().sys.seal()

    def unseal(self) -> None:
        """Unseal it, and wait until it serves."""
        keys = json.loads((self.folder / "init.json").read_text())["keys"]
        self.client().sys.submit_unseal_keys(keys)
        wait_until("vault", lambda: self._health() == 200, self.folder)

    def remove(self) -> None:
        """End it and its database, and delete what they kept; nothing there is fine."""
        if self.folder.exists():
            stop_all(self.folder)
            shutil.rmtree(self.folder)

    def _configure(self, port: int, inner: int) -> None:
        ca = trustme.CA()
        host = "127.0.0.1"
        if self.place is not None:
            host, port = self.place.address, self.place.port
        leaf = ca.issue_cert(*dict.fromkeys(("127.0.0.1", "localhost", host)))
        self._write("ca.crt", ca.cert_pem.bytes())
        self._write("vault.crt", b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        self._write("vault.key", leaf.private_key_pem.bytes())
        listener = {
            "address": f"{host}:{port}",
            "tls_cert_file": str(self.folder / "vault.crt"),
            "tls_key_file": str(self.folder / "vault.key"),
        }
        config = {
            "storage": {"file": {"path": str(self.folder / "data")}},
            "listener": [{"tcp": listener}],
            "api_addr": f"https://{host}:{port}",
            "cluster_addr": f"https://{host}:{inner}",
            "disable_mlock": True,
        }
        self._write("config.json", config)
        self._write("facts.json", {"address": f"https://{self.place.relay if self.place else f'{host}:{port}'}"})

    def _initialise(self) -> None:
        answer = hvac.Client(self.address, verify=str(self.ca)).sys.initialize(1, 1)
        self._write("init.json", {"keys": answer["keys"], "root_token": answer["root_token"]})

    def _furnish(self, server: dict[str, str], kubectl: Kubectl) -> None:
        """Audit devices first, so that all the rest is on record."""
        client = self.client()
        for name, file in (("file", self.audit_log), ("file-2", self.folder / "audit-2.log")):
            client.sys.enable_audit_device("file", path=name, options={"file_path": str(file)})
        client.sys.enable_auth_method("kubernetes")
        client.auth.kubernetes.configure(
            kubernetes_host=self.place.server if self.place else server["server"],
            kubernetes_ca_cert=server["ca"],
            token_reviewer_jwt=_reviewer_token(kubectl),
        )
        client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
        client.sys.enable_secrets_engine("database")

    def _offer_users(self, postgres: Postgres) -> None:
        """A role ``expenses-ro``, by which the database engine makes users."""
        client = self.client()
        client.secrets.database.configure(
            name="main",
            plugin_name="postgresql-database-plugin",
            allowed_roles=["*"],
            connection_url=f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{postgres.port}/postgres"
            "?sslmode=disable",
            username="vault",
            password=postgres.password,
        )
        client.secrets.database.create_role(
            name="expenses-ro",
            db_name="main",
            creation_statements=[_CREATE],
            revocation_statements=[_REVOKE],
            default_ttl="1h",
            max_ttl="24h",
        )

    def _health(self) -> int:
        try:
            return requests.get(f"{self.address}/v1/sys/health", verify=str(self.ca), timeout=2).status_code
        except (requests.RequestException, VaultError):
            return 0

    def _answers(self) -> bool:
        return self._health() != 0

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.folder / "facts.json").read_text())
        return facts

    def _write(self, name: str, content: object) -> None:
        """A file of ours alone."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content if isinstance(content, bytes) else json.dumps(content).encode())


def _server_of(cluster: Cluster) -> dict[str, str]:
    """URL and CA of the API server, as Vault wants them."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    context = next(c["context"] for c in config["contexts"] if c["name"] == cluster.context)
    server = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
    if "certificate-authority" not in server:
        raise LabError(f"{cluster.kubeconfig} names no certificate-authority file for {context['cluster']}.")
    return {"server": server["server"], "ca": Path(server["certificate-authority"]).read_text()}


def _reviewer_token(kubectl: Kubectl) -> str:
    """A token of the account by which Vault asks the API server whose token it was shown (TokenReview)."""
    account = {"name": _REVIEWER, "namespace": _NAMESPACE}
    rbac = "rbac.authorization.k8s.io"
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": _REVIEWER},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:auth-delegator"},
            "subjects": [{"kind": "ServiceAccount", **account}],
        },
    ):
        kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))
    return kubectl("create", "token", _REVIEWER, "-n", _NAMESPACE, "--duration=8h").strip()
