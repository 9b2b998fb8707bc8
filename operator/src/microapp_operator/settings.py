"""What the cluster and the admin decide once per process. Read in ``wiring``, passed down, frozen."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from microapp_operator.errors import InvalidSpec

Network = IPv4Network | IPv6Network

_MOUNT = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_PINNED = r"^[^@\s]+@sha256:[a-f0-9]{64}$"
_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
S = TypeVar("S", bound=BaseModel)


class VaultSettings(BaseModel):
    """The secret store: where it is, how the operator and its agents get in, and where things are in it.

    address: its URL. ca: PEM certificates that vouch for it; the system's when empty. vault_namespace: Vault
    Enterprise and OpenBao; empty for the root. role, token_file: the operator's own login. audience: of all tokens.
    networks, cluster_namespace: where pods reach it; by networks, or as pods of a namespace of this cluster.
    agent_image: has ``vault`` and ``test``. launcher_image: has ``/launcher``; without one no secret can be exported
    as a variable. production: patterns of ``<engine>/<path>`` that open production data, whatever a developer says;
    each needs an Approval. resync: seconds between two looks at one app's identity.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")

    address: Annotated[str, Field(pattern=r"^https?://[^/\s]+$")]
    ca: str = ""
    vault_namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9/_-]*$")] = ""
    role: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] = "microapp-operator"
    token_file: Path = Path("/var/run/secrets/microapps.dev/vault/token")
    audience: Annotated[str, Field(min_length=1, max_length=253)] = "vault"
    auth_mount: Annotated[str, Field(pattern=_MOUNT)] = "kubernetes"
    kv_mount: Annotated[str, Field(pattern=_MOUNT)] = "secret"
    database_mounts: tuple[Annotated[str, Field(pattern=_MOUNT)], ...] = ("database",)
    networks: tuple[Network, ...] = ()
    cluster_namespace: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")] = ""
    agent_image: Annotated[str, Field(pattern=_PINNED)]
    launcher_image: Annotated[str, Field(pattern=_PINNED)] | None = None
    production: tuple[str, ...] = ("database/*",)
    resync: Annotated[float, Field(ge=1)] = 300.0

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.networks and not self.cluster_namespace:
            raise ValueError("networks or clusterNamespace must say where pods reach it, else no policy can open it")
        return self

    @property
    def host(self) -> str:
        """Host name or address of ``address``."""
        return urlsplit(self.address).hostname or ""

    @property
    def port(self) -> int:
        """Port of ``address``."""
        parts = urlsplit(self.address)
        return parts.port or (443 if parts.scheme == "https" else 80)


class LoggingSettings(BaseModel):
    """Where the records of apps go: the platform's log gateway, and what runs in the pods to get them there.

    namespace: of the gateway. service: its Service, whose address pods are told, so that they need no DNS.
    pods_service: the headless one, by which each of its pods is asked what has arrived. pod_labels: select these pods.
    port: of the pods. forwarder_image: has ``/forwarder``. launcher_image: has ``/launcher``.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")

    namespace: Annotated[str, Field(pattern=_LABEL)]
    service: Annotated[str, Field(pattern=_LABEL)]
    pods_service: Annotated[str, Field(pattern=_LABEL)]
    pod_labels: Annotated[dict[str, str], Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 4318
    forwarder_image: Annotated[str, Field(pattern=_PINNED)]
    launcher_image: Annotated[str, Field(pattern=_PINNED)]


class RegistrySettings(BaseModel):
    """How registries are asked what images run; which ones, the settings of the rules say.

    credentials: a Docker configuration file. ca: PEM certificates that vouch for registries, besides the system's.
    plain_http: hosts, with ports, that are asked without TLS.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")

    credentials: Path | None = None
    ca: str = ""
    plain_http: tuple[Annotated[str, Field(pattern=r"^[a-z0-9.-]+(:[0-9]{1,5})?$")], ...] = ()


def read_settings(kind: type[S], path: Path) -> S:
    """Settings of that ``kind`` in the YAML file ``path``. InvalidSpec names the field at fault."""
    try:
        return kind.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidSpec(path=str(path), message=f"can't be read: {error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidSpec(path=f"{path}: {where}".rstrip(": "), message=f"{first['msg']}.") from error


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How isolation is probed.

    image: of this operator, by digest. namespace: of probes and targets. interval: seconds within which a leak shows.
    deadline: seconds after which what is open in a fresh pod is a leak. outside: (address, port) beyond the cluster
    that must not be reached.
    """

    image: str
    namespace: str
    interval: float = 60.0
    deadline: float = 10.0
    outside: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Process-wide settings.

    reserved_networks: pod, service, node and API server ranges no app may reach by address.
    workers: MicroApps reconciled at once.
    writes_in_flight: write requests at once, over all workers.
    watch_inactivity: seconds without event or bookmark after which a watch is resumed.
    watch_stale: seconds after which /readyz calls a watch stale; bookmarks come every 60.
    scan_interval: seconds between two scans of all that runs.
    lease_namespace: where the Lease is by which one of several processes leads; empty: this one always does.
    probe: how isolation is probed; None: it isn't.
    wasm_image: of this operator, by digest, to run modules where no RuntimeClass does; empty: they don't run there.
    vault: the secret store; None when there is none.
    logging: where the records of apps go; None: nowhere. registries: how they are asked what images run.
    """

    reserved_networks: tuple[Network, ...] = ()
    workers: int = 16
    writes_in_flight: int = 32
    watch_inactivity: float = 70.0
    watch_stale: float = 150.0
    lease_namespace: str = ""
    scan_interval: float = 600.0
    probe: ProbeSettings | None = None
    wasm_image: str = ""
    vault: VaultSettings | None = None
    logging: LoggingSettings | None = None
    registries: RegistrySettings = field(default_factory=RegistrySettings)


@dataclass(frozen=True, slots=True)
class Images:
    """Images of the platform that run in apps' pods, by digest; empty: that part isn't installed.

    gate: waits in front of the app until network policies are in force. wasm_runner: runs an app's module where no
    RuntimeClass does. Both are images of this operator.
    """

    gate: str = ""
    wasm_runner: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this cluster can do, as last observed.

    runtime_classes: names of the RuntimeClasses that exist.
    knative: True when serving.knative.dev/v1 is served.
    apis: which of the APIs that deliver secrets are served.
    """

    runtime_classes: frozenset[str] = frozenset()
    knative: bool = False
    apis: frozenset[str] = frozenset()
