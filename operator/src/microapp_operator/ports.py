"""What the reconciler needs from the outside, as Protocols; adapters implement them.

Errors raised are those of ``errors``: Conflict (409), Gone (404 or UID mismatch), Blocked (403, 422: the
API server rejects the object), Transient (429, 5xx, time-outs, lost connections; with ``retry_after``).
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from microapp_operator.canary import CanaryState
from microapp_operator.decide.entrypoint import ImageProcess
from microapp_operator.decide.isolation import Isolation
from microapp_operator.desired.probe import TargetPod
from microapp_operator.model.common import Manifest
from microapp_operator.model.image import ImageName
from microapp_operator.policy.verdict import Violation
from microapp_operator.reasons import Reason

URGENCY: ContextVar[int] = ContextVar("urgency", default=0)
"""Of the writes that wait for their turn the smallest number goes first; set for each pass of the reconciler."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Names one object of one kind; namespace is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What is kept of a child, from a metadata-only watch.

    app_uid: label microapps.dev/app-uid, empty when absent.
    managed: label managed-by says microapp-operator.
    applied_hash: annotation microapps.dev/applied-hash, empty when absent.
    fields_digest: digest of what our field manager owns, and of the foreign managers' fields outside
        metadata and status: it changes when anyone changes, takes or adds such a field.
    foreign_managers: field managers, latest first, that own fields outside metadata and status.
    last_manager: field manager of the latest write outside status.
    deleting: deletionTimestamp is set.
    status: for kinds watched in full (Deployment, Knative Service) ``status`` plus
        ``{"generation": metadata.generation}``; empty for all others.
    """

    ref: ObjectRef
    uid: str
    resource_version: str
    app_uid: str
    managed: bool
    applied_hash: str
    fields_digest: str
    foreign_managers: tuple[str, ...] = ()
    last_manager: str = ""
    deleting: bool = False
    created: str = ""
    status: Mapping[str, Any] | None = None


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> datetime:
        """The current time, in UTC."""


class Children(Protocol):
    """The watched state of all kinds of children; answers from memory, complete once started."""

    def namespace(self, name: str) -> Observed | None:
        """The namespace of that name, whoever owns it."""

    def within(self, namespace: str) -> Sequence[Observed]:
        """All watched objects in ``namespace``, ours and foreign."""


class Cluster(Protocol):
    """Writes, and the few reads that don't come from a watch."""

    async def create(self, manifest: Manifest) -> Observed:
        """POST; Conflict when it exists already (nothing is adopted)."""

    async def apply(self, manifest: Manifest) -> Observed:
        """Server-side apply with our field manager and force; creates when absent."""

    async def replace(self, manifest: Manifest, *, uid: str, resource_version: str) -> Observed:
        """PUT: the object becomes the manifest; fields of foreign managers go."""

    async def delete(self, ref: ObjectRef, *, uid: str) -> None:
        """DELETE with a UID precondition and background propagation; an absent object is fine."""

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """The whole object, or None."""

    async def list_pods(self, namespace: str) -> Sequence[Manifest]:
        """The pods of ``namespace``, to tell why a workload isn't available."""

    async def add_finalizer(self, app: ObjectRef, *, uid: str) -> Manifest:
        """Apply our finalizer to the MicroApp; Gone when that UID no longer exists. Returns the object."""

    async def remove_finalizer(self, app: ObjectRef, *, uid: str) -> None:
        """Take our finalizer off, leaving others; an absent object is fine."""

    async def apply_status(self, app: ObjectRef, *, uid: str, status: Manifest) -> Manifest:
        """Server-side apply on ``/status``; Gone when that UID no longer exists. Returns the object."""


class Events(Protocol):
    """Kubernetes Events about a MicroApp, deduplicated."""

    def publish(self, app: ObjectRef, *, uid: str, reason: Reason, message: str, warning: bool) -> None:
        """Queue one Event; never blocks, never raises, never fails a reconcile."""


@dataclass(frozen=True, slots=True)
class PodReport:
    """What a pod told the log gateway of its records, under the identity the gateway gave it. pod: its UID."""

    tenant: str
    app: str
    pod: str
    delivered: int = 0
    dropped: int = 0
    backlog: int = 0
    last_delivered: datetime | None = None
    waiting_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SinkState:
    """What waits for a sink in one pod of the gateway, and what it has sent there; in units of the Collector's."""

    pod: str
    name: str
    queued: float
    sent: float


@dataclass(frozen=True, slots=True)
class GatewayReading:
    """All pods of the log gateway, asked once."""

    pods: tuple[PodReport, ...]
    sinks: tuple[SinkState, ...]
    canaries: tuple[CanaryState, ...] = ()


class LogGatewayPort(Protocol):
    """The platform's log gateway. Errors: Transient when it doesn't answer, Gone when it isn't there."""

    async def address(self) -> str:
        """HOST:PORT that pods send to."""

    async def read(self) -> GatewayReading:
        """What all its pods know now."""


class ImageRegistries(Protocol):
    """Where images are. Errors: Transient when one doesn't answer, Blocked when it doesn't tell until a person acts."""

    async def read(self, image: ImageName) -> Sequence[ImageProcess]:
        """What ``image`` runs on the platforms that nodes may have; empty when it is for none of them."""


class ProbeGround(Protocol):
    """Where isolation is probed: the nodes, the pods, and a record of the last verdict."""

    async def nodes(self) -> Sequence[str]:
        """Names of the nodes that apps' pods may be scheduled to now."""

    async def targets(self) -> Sequence[TargetPod]:
        """The target pods that are ready."""

    async def run(self, pod: Manifest, *, within: float) -> str:
        """Create ``pod``, wait until it has ended, delete it; returns its container's termination message.

        Transient when it hasn't ended ``within`` seconds, with what keeps it.
        """

    async def sweep(self) -> None:
        """Delete what an earlier process left."""

    async def recall(self) -> Isolation | None:
        """The verdict that was recorded last, or None."""

    async def record(self, verdict: Isolation) -> None:
        """Record ``verdict``, for the next process and for people."""


class PolicyEngine(Protocol):
    """The rules in force."""

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle in force, 64 hexadecimal digits."""

    def evaluate(self, group: str, document: Mapping[str, Any]) -> tuple[Violation, ...]:
        """What the rules of ``group`` (policy.groups) object to; PolicyFailure when there is no answer."""


class SecretStore(Protocol):
    """The secret store, by the paths of its API. None of them is one under which values are kept.

    Errors: StoreDown (for everybody), StoreBusy (429, 5xx), Blocked (400, 403, and an engine that isn't there).
    """

    async def ping(self) -> None:
        """Whether it serves, and lets the operator in; StoreDown when not."""

    async def read(self, path: str) -> Mapping[str, Any] | None:
        """What is at ``path``; None when nothing is."""

    async def list(self, path: str) -> Sequence[str]:
        """Names below ``path``."""

    async def write(self, path: str, body: Mapping[str, Any]) -> None:
        """Create or replace what is at ``path``."""

    async def delete(self, path: str) -> None:
        """Delete it; an absent one is fine."""

    async def delete_entity(self, account_uid: str) -> None:
        """Delete the identity of that ServiceAccount, so that no token of it works; an absent one is fine."""
