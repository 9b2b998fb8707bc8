"""What the builders need beyond the MicroApp and its tier: decisions taken before rendering."""

from dataclasses import dataclass, field
from enum import StrEnum

from microapp_operator.model.common import Protocol
from microapp_operator.settings import Images


class WorkloadKind(StrEnum):
    """What a runtime profile becomes."""

    DEPLOYMENT = "Deployment"
    KNATIVE_SERVICE = "KnativeService"


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """How the profile is honoured here.

    runtime_class: empty for the cluster's default. wasm_runner: image that runs the app's module in a container; empty
    for what runs as the image says.
    """

    kind: WorkloadKind
    runtime_class: str = ""
    wasm_runner: str = ""


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


@dataclass(frozen=True, slots=True)
class RenderContext:
    """Decisions: which endpoints are open, how the workload runs (None: withheld), and what runs beside it."""

    targets: tuple[AddressTarget, ...] = ()
    runtime: RuntimeChoice | None = None
    images: Images = field(default_factory=Images)
