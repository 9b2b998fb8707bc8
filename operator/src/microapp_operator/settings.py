"""What the cluster and the admin decide once per process. Read in ``wiring``, passed down, frozen."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

Network = IPv4Network | IPv6Network


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
    """

    runtime_classes: frozenset[str] = frozenset()
    knative: bool = False
