"""The cluster's own addresses, which no app may name as egress: services, pods, nodes, API server."""

import ipaddress
from collections.abc import Iterator

import structlog

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.errors import Blocked, Gone
from microapp_operator.model.common import Manifest
from microapp_operator.settings import Network

log = structlog.get_logger(__name__)


async def discover_networks(client: KubernetesClient) -> tuple[Network, ...]:
    """What the API tells of them: ServiceCIDRs (KEP-1880), Node pod ranges and addresses, the API server's endpoints.

    A resource that isn't served or not permitted is left out, with a warning: configure its range instead.
    """
    found: set[Network] = set()
    for path, read in (
        ("/apis/networking.k8s.io/v1/servicecidrs", _service_ranges),
        ("/api/v1/nodes", _node_ranges),
        ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", _api_server),
    ):
        try:
            items = (await client.read(Call("GET", path, path.rsplit("/", 1)[1])))["items"]
        except (Gone, Blocked) as error:
            log.warning("cluster_range_unknown", path=path, why=str(error))
            continue
        for item in items:
            found.update(ipaddress.ip_network(text) for text in read(item))
    return tuple(sorted(found, key=lambda n: (n.version, int(n.network_address), n.prefixlen)))


def _service_ranges(item: Manifest) -> Iterator[str]:
    yield from item["spec"].get("cidrs", ())


def _node_ranges(item: Manifest) -> Iterator[str]:
    yield from item.get("spec", {}).get("podCIDRs", ())
    for address in item.get("status", {}).get("addresses", ()):
        if address["type"] in ("InternalIP", "ExternalIP"):
            yield address["address"]


def _api_server(item: Manifest) -> Iterator[str]:
    if item["metadata"].get("labels", {}).get("kubernetes.io/service-name") == "kubernetes":
        for endpoint in item.get("endpoints") or ():
            yield from endpoint["addresses"]
