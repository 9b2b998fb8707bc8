"""What a reconcile needs from the outside, in one place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from microapp_operator.constants import API_VERSION
from microapp_operator.gates import Voided
from microapp_operator.model import MicroApp, MicroAppStatus
from microapp_operator.ports import Children, Clock, Cluster, ObjectRef, Observed
from microapp_operator.reconcile.queue import Key
from microapp_operator.reconcile.secrets import Secrets
from microapp_operator.settings import Capabilities


class Reporting(Protocol):
    """Where a pass tells what it saw."""

    def drift(self, app: MicroApp, ref: ObjectRef, observed: Observed | None) -> None:
        """A child was changed or, with ``observed`` None, deleted behind our back, and is being repaired."""

    def skipped(self, writes: int) -> None:
        """``writes`` children needed no write."""

    async def unbind(self, app: MicroApp) -> None:
        """Take the namespace off the app's status: it is gone."""

    async def publish(self, app: MicroApp, status: MicroAppStatus, voided: Sequence[Voided] = ()) -> None:
        """Write ``status`` if it differs from the app's, and tell people of what changed.

        voided: the approvals that don't hold; told when the app was approved until now.
        """

    def deleted(self, app: MicroApp) -> None:
        """Nothing of the app is left."""


class Entrypoints(Protocol):
    """Who asks registries what images run; answers come by way of the store."""

    def want(self, key: Key, images: frozenset[str]) -> None:
        """The app of ``key`` waits for what these run, and for no others; it is looked at again when that is known."""


@dataclass(frozen=True, slots=True)
class Services:
    """The outside, as ports."""

    cluster: Cluster
    children: Children
    reporter: Reporting
    clock: Clock
    capabilities: Callable[[], Capabilities]
    secrets: Secrets
    entrypoints: Entrypoints


def app_ref(app: MicroApp) -> ObjectRef:
    """The name of the MicroApp itself."""
    return ObjectRef(API_VERSION, "MicroApp", app.metadata.namespace, app.metadata.name)
