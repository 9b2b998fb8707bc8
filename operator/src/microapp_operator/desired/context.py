"""What the builders need beyond the MicroApp and its tier: decisions taken before rendering."""

from dataclasses import dataclass, field
from enum import StrEnum

from microapp_operator.model.common import Protocol
from microapp_operator.model.microapp import LogSource
from microapp_operator.model.status import Entrypoint
from microapp_operator.settings import Images, LoggingSettings, VaultSettings


class WorkloadKind(StrEnum):
    """What a runtime profile becomes."""

    DEPLOYMENT = "Deployment"
    KNATIVE_SERVICE = "KnativeService"


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """How the profile is honoured here.

    runtime_class: empty for the cluster's default. wasm_runner: image that runs the app's module in a container; empty
    for what runs as the image says. entrypoint: what the image runs, to be said in the pod; None: nothing is said.
    """

    kind: WorkloadKind
    runtime_class: str = ""
    wasm_runner: str = ""
    entrypoint: Entrypoint | None = None


@dataclass(frozen=True, slots=True)
class AddressTarget:
    """An endpoint a NetworkPolicy can enforce: networks (CIDR) or one other MicroApp, and ports.

    name: name of the endpoint in spec.egress. peer: (namespace, name) of the other MicroApp, or None.
    """

    name: str
    ports: tuple[int, ...]
    protocol: Protocol
    cidrs: tuple[str, ...] = ()
    peer: tuple[str, str] | None = None


class SourceKind(StrEnum):
    """How a secret comes about."""

    KV = "kv"
    DYNAMIC = "dynamic"
    STATIC = "static"


@dataclass(frozen=True, slots=True)
class SecretSource:
    """One secret an app may read, located in the store.

    mount, path: where it is; a kv path without ``data/``. kind: kv: a stored value. dynamic: a database user made
    for this app alone, as the platform's role ``template`` says. static: a database user the engine rotates.
    field: the only field delivered, None for all. env: variable it is exported under. restart: pods are replaced
    when it changes. justification: what permits it.
    """

    name: str
    kind: SourceKind
    mount: str
    path: str
    template: str = ""
    field: str | None = None
    env: str | None = None
    restart: bool = False
    justification: str = ""

    @property
    def read_path(self) -> str:
        """Where it is read through the API."""
        return f"{self.mount}/data/{self.path}" if self.kind is SourceKind.KV else f"{self.mount}/{self.path}"

    @property
    def secret_id(self) -> str:
        """What audit events call it."""
        return f"vault://{self.mount}/{self.path}"


@dataclass(frozen=True, slots=True)
class SecretsContext:
    """The secrets an app may read now, and the store they are in.

    versions: what its pods are restarted for when it changes, by name of the secret.
    """

    sources: tuple[SecretSource, ...]
    store: VaultSettings
    versions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LoggingContext:
    """How an app's records leave its pods. address: HOST:PORT of the gateway."""

    settings: LoggingSettings
    address: str
    source: LogSource


@dataclass(frozen=True, slots=True)
class RenderContext:
    """Decisions: which endpoints are open, how the workload runs (None: withheld), what runs beside it, its secrets,
    where its records go."""

    targets: tuple[AddressTarget, ...] = ()
    runtime: RuntimeChoice | None = None
    images: Images = field(default_factory=Images)
    secrets: SecretsContext | None = None
    logging: LoggingContext | None = None
