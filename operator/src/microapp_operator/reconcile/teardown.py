"""The way back: secrets, workload, namespace, our finalizer. Waits on the watch, never hangs a worker."""

from collections.abc import Callable

from microapp_operator.constants import FINALIZER
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.errors import Waiting
from microapp_operator.model import Manifest
from microapp_operator.model.status import NamespaceStatus
from microapp_operator.ports import Observed
from microapp_operator.reasons import Finding, Reason
from microapp_operator.reconcile.draft import Draft
from microapp_operator.reconcile.ownership import own_children, owns_namespace
from microapp_operator.reconcile.services import Services, app_ref

WORKLOAD_KINDS = frozenset({"Deployment", "Service", "PodDisruptionBudget"})
_LOOK_AGAIN = 10.0


class Teardown:
    """Removes everything of an app whose MicroApp is being deleted."""

    def __init__(self, services: Services, forget: Callable[[str], None]) -> None:
        self._services, self._forget = services, forget

    async def dismantle(self, draft: Draft) -> None:
        """One pass; Waiting until the namespace is gone. Without our finalizer there is nothing to do."""
        app = draft.app
        name = namespace_name(app.metadata.namespace, app.metadata.name)
        if FINALIZER not in app.metadata.finalizers:
            return
        remaining = self._services.secrets.dismantle(app)
        if remaining is not None:
            raise Waiting(remaining, delay=_LOOK_AGAIN)
        namespace = self._services.children.namespace(name)
        if namespace is not None and owns_namespace(app, namespace):
            draft.namespace = NamespaceStatus(name=name, uid=namespace.uid)
            if not namespace.deleting:
                await self._remove(draft, namespace)
            raise Waiting(await self._remaining(namespace), delay=_LOOK_AGAIN)
        await self._services.cluster.remove_finalizer(app_ref(app), uid=app.metadata.uid)
        self._forget(name)
        self._services.secrets.forget(app)
        self._services.reporter.deleted(app)

    async def _remove(self, draft: Draft, namespace: Observed) -> None:
        for child in own_children(draft.app, self._services.children.within(namespace.ref.name)):
            if child.ref.kind in WORKLOAD_KINDS and not child.deleting:
                await self._services.cluster.delete(child.ref, uid=child.uid)
        await self._services.cluster.delete(namespace.ref, uid=namespace.uid)

    async def _remaining(self, namespace: Observed) -> Finding:
        """What the namespace still waits for, in the API server's own words."""
        full = await self._services.cluster.get(namespace.ref) if namespace.deleting else None
        why = " ".join(_open_ends(full)) if full is not None else ""
        return Finding(Reason.TERMINATING, "", f"namespace {namespace.ref.name} is being deleted. {why}".strip())


def _open_ends(namespace: Manifest) -> list[str]:
    conditions = namespace.get("status", {}).get("conditions", ())
    return [c["message"] for c in conditions if c["status"] == "True" and c.get("message")]
