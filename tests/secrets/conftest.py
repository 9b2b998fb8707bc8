"""A real Vault beside the real API server, once per session; an operator that works on both."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest
from hack.kubectl import Kubectl
from hack.lab.build import LabError
from hack.lab.context import Cluster
from hack.lab.vault import LocalVault
from hack.process import OperatorProcess
from hack.secrets import account_token, connect

from tests.component.conftest import Tenant, installed, tenant

__all__ = ["installed", "tenant"]


@pytest.fixture(scope="session")
def vault(cluster: Cluster, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVault]:
    """A server of its own, gone after the session."""
    server = LocalVault(tmp_path_factory.mktemp("vault") / "server")
    try:
        server.up(cluster, kubectl)
    except LabError as error:
        pytest.exit(f"no Vault for the tests: {error}", returncode=1)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def settings(vault: LocalVault, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings file of the operator that is let in."""
    return connect(vault, kubectl, tmp_path_factory.mktemp("settings"), resync=3)


@pytest.fixture(scope="package")
def operator(
    cluster: Cluster,
    installed: None,  # noqa: ARG001
    settings: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorProcess]:
    """One operator for all tests that don't stop it."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with OperatorProcess(cluster.kubeconfig, log, (f"--vault={settings}",)) as process:
        yield process


class Store:
    """What tests do with Vault: as root, and as the agent of an app would."""

    def __init__(self, vault: LocalVault, kubectl: Kubectl) -> None:
        self.vault, self.kubectl = vault, kubectl

    @property
    def root(self) -> hvac.Client:
        return self.vault.client()

    def put(self, path: str, **values: str) -> None:
        """A new version of the value at ``path``."""
        self.root.secrets.kv.v2.create_or_update_secret(path, values, mount_point="secret")

    def login(self, namespace: str, account: str = "app", *, role: str | None = None, **token: str) -> hvac.Client:
        """As the pod's agent logs in; hvac's error when Vault refuses."""
        jwt = token.pop("jwt", None) or account_token(self.kubectl, namespace, account, **token)
        client = self.vault.client(token="")
        client.auth.kubernetes.login(role=role or namespace, jwt=jwt)
        return client

    def read(self, client: hvac.Client, path: str) -> Any:
        """The values at ``path`` of the kv engine."""
        return client.secrets.kv.v2.read_secret_version(path, mount_point="secret", raise_on_deleted_version=True)[
            "data"
        ]["data"]

    def exists(self, path: str) -> bool:
        return self.root.read(path) is not None


@pytest.fixture
def store(vault: LocalVault, kubectl: Kubectl) -> Store:
    return Store(vault, kubectl)


def kv(name: str = "api", app: str = "app", **more: Any) -> dict[str, Any]:
    """An entry of spec.secrets: a value of the app's own."""
    return {"name": name, "path": f"{app}/{name}", **more}


DATABASE = {"name": "db", "engine": "database", "path": "database/creds/expenses-ro"}


def with_secret(tenant: Tenant, store: Store, name: str = "app", **spec: Any) -> str:
    """An app with one kv secret that is there; returns its namespace once it may read it."""
    store.put(f"{tenant.name}/{name}/api", token="t0")
    namespace = tenant.apply(name, secrets=[kv(app=name)], **spec)
    tenant.wait(name, "SecretsReady")
    return namespace
