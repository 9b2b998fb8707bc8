"""Lists in pages, for those who look at everything once instead of watching it."""

from collections.abc import AsyncIterator, Mapping

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import NAMESPACE, Kind
from microapp_operator.errors import Gone
from microapp_operator.model.common import Manifest

_PAGE = "100"
"""Objects: reading more at once would hold the event loop up for longer than it takes to notice."""
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


async def pages(
    client: KubernetesClient, kind: Kind, namespace: str = "", *, selector: str = "", metadata_only: bool = False
) -> AsyncIterator[list[Manifest]]:
    """All objects of ``kind``, or those in ``namespace``. Gone (410): it took so long that it has to begin anew."""
    accept = _METADATA_LIST if metadata_only else "application/json"
    chosen = (("labelSelector", selector),) if selector else ()
    more: tuple[tuple[str, str], ...] = ()
    while True:
        query = (*chosen, ("limit", _PAGE), *more)
        page = await client.read(Call("GET", kind.collection(namespace), kind.plural, query, accept=accept))
        # List items don't carry their own type.
        yield [{**item, "apiVersion": kind.api_version, "kind": kind.kind} for item in page["items"] or ()]
        token = page["metadata"].get("continue")
        if not token:
            return
        more = (("continue", token),)


async def namespaces_labelled(client: KubernetesClient, label: str) -> dict[str, Mapping[str, str]]:
    """Labels of all namespaces that carry ``label`` and stay, by name."""
    found: dict[str, Mapping[str, str]] = {}
    async for page in pages(client, NAMESPACE, selector=label, metadata_only=True):
        for item in page:
            if "deletionTimestamp" not in item["metadata"]:
                found[item["metadata"]["name"]] = item["metadata"]["labels"]
    return found


async def namespace_labels(client: KubernetesClient, name: str) -> Mapping[str, str]:
    """Labels of one namespace; none when it isn't there or is about to go."""
    try:
        item = await client.read(Call("GET", f"{NAMESPACE.collection()}/{name}", NAMESPACE.plural))
    except Gone:
        return {}
    metadata = item["metadata"]
    return {} if "deletionTimestamp" in metadata else metadata.get("labels") or {}
