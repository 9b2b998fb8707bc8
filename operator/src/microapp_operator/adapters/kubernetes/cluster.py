"""``ports.Cluster`` on the API server: server-side apply with one field manager (KEP-555), preconditions."""

from collections.abc import Callable, Sequence

from microapp_operator.adapters.kubernetes.client import APPLY, MERGE, Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import MICRO_APP, POD, Kind, kind_of
from microapp_operator.adapters.kubernetes.observe import observed_from
from microapp_operator.constants import FIELD_MANAGER, FINALIZER
from microapp_operator.errors import Conflict, Gone
from microapp_operator.model.common import Manifest
from microapp_operator.ports import ObjectRef, Observed

_MANAGER = ("fieldManager", FIELD_MANAGER)
_STRICT = ("fieldValidation", "Strict")
_APPLY = (_MANAGER, ("force", "true"), _STRICT)
_CONFLICTS = 5


class KubernetesCluster:
    """Writes children, finalizer and status. ``record`` is told of each write's result, ahead of the watch."""

    def __init__(self, client: KubernetesClient, record: Callable[[Observed], None] = lambda _: None) -> None:
        self._client, self._record = client, record

    async def create(self, manifest: Manifest) -> Observed:
        """POST; Conflict when it exists already (nothing is adopted)."""
        ref, kind = _named(manifest)
        call = Call("POST", kind.collection(ref.namespace), kind.plural, (_MANAGER, _STRICT), manifest)
        return self._keep(kind, await self._client.write(call))

    async def apply(self, manifest: Manifest) -> Observed:
        """Server-side apply with force; creates when absent."""
        ref, kind = _named(manifest)
        call = Call("PATCH", kind.path(ref), kind.plural, _APPLY, manifest, APPLY)
        return self._keep(kind, await self._client.write(call))

    async def replace(self, manifest: Manifest, *, uid: str, resource_version: str) -> Observed:
        """PUT of the manifest onto exactly that version of that object."""
        ref, kind = _named(manifest)
        metadata = {**manifest["metadata"], "uid": uid, "resourceVersion": resource_version}
        body = {**manifest, "metadata": metadata}
        call = Call("PUT", kind.path(ref), kind.plural, (_MANAGER, _STRICT), body)
        return self._keep(kind, await self._client.write(call))

    async def delete(self, ref: ObjectRef, *, uid: str) -> None:
        """DELETE with a UID precondition; an absent or already replaced object is fine."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        kind = kind_of(ref)
        try:
            await self._client.write(Call("DELETE", kind.path(ref), kind.plural, (), body))
        except Gone:
            return
        except Conflict as error:
            if "Precondition failed" not in str(error):
                raise

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """The whole object, or None."""
        kind = kind_of(ref)
        try:
            return await self._client.read(Call("GET", kind.path(ref), kind.plural))
        except Gone:
            return None

    async def list_pods(self, namespace: str) -> Sequence[Manifest]:
        """The first 50 pods of ``namespace``."""
        call = Call("GET", POD.collection(namespace), POD.plural, (("limit", "50"),))
        items: list[Manifest] = (await self._client.read(call))["items"]
        return items

    async def add_finalizer(self, app: ObjectRef, *, uid: str) -> Manifest:
        """Apply our finalizer to the MicroApp; Gone when that UID no longer exists."""
        return await self._apply_to_app(app, uid, {"metadata": {"finalizers": [FINALIZER]}}, "")

    async def remove_finalizer(self, app: ObjectRef, *, uid: str) -> None:
        """Take our finalizer off, leaving others.

        A merge patch on a version read just before: giving the field up by an apply would leave the
        finalizer in place when another manager happens to co-own it.
        """
        for _ in range(_CONFLICTS):
            current = await self.get(app)
            metadata = current["metadata"] if current else {}
            finalizers = metadata.get("finalizers", [])
            if metadata.get("uid") != uid or FINALIZER not in finalizers:
                return
            kept = [f for f in finalizers if f != FINALIZER]
            body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": kept}}
            call = Call("PATCH", MICRO_APP.path(app), MICRO_APP.plural, (_MANAGER,), body, MERGE)
            try:
                await self._client.write(call)
            except Gone:
                return
            except Conflict:
                continue
            return
        raise Conflict(f"the finalizer of {app.namespace}/{app.name} could not be removed: others keep writing it")

    async def apply_status(self, app: ObjectRef, *, uid: str, status: Manifest) -> Manifest:
        """Server-side apply on ``/status``; Gone when that UID no longer exists."""
        return await self._apply_to_app(app, uid, {"status": status}, "/status")

    async def _apply_to_app(self, app: ObjectRef, uid: str, part: Manifest, subresource: str) -> Manifest:
        metadata = {"name": app.name, "namespace": app.namespace, "uid": uid, **part.get("metadata", {})}
        body = {"apiVersion": app.api_version, "kind": app.kind, **part, "metadata": metadata}
        call = Call("PATCH", MICRO_APP.path(app) + subresource, MICRO_APP.plural, _APPLY, body, APPLY)
        try:
            return await self._client.write(call)
        except Conflict as error:
            # With a UID in the body, an apply never creates: a vanished or replaced object answers 409.
            if "uid" in str(error).lower():
                raise Gone(str(error)) from error
            raise

    def _keep(self, kind: Kind, answer: Manifest) -> Observed:
        observed = observed_from(kind, answer)
        self._record(observed)
        return observed


def _named(manifest: Manifest) -> tuple[ObjectRef, Kind]:
    metadata = manifest["metadata"]
    ref = ObjectRef(manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"])
    return ref, kind_of(ref)
