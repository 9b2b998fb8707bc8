"""NetworkPolicies: everything is closed, then one policy for each thing that is allowed.

Policies add up and can only open (networking.k8s.io/v1), so the denial is one object and stays when an
opening goes. Each selects all pods of the namespace, whatever runs them (Deployment, Knative), since a pod no
policy selects is open. Ports are those of pods: a policy is matched after the Service's address was
translated. Imports model, constants, context, metadata and settings only.
"""

import ipaddress
from typing import Any, Final

from microapp_operator.constants import METADATA_RANGES
from microapp_operator.desired.context import AddressTarget
from microapp_operator.desired.metadata import (
    LABEL_NAMESPACE_NAME,
    build_child,
    peer_labels,
    pod_selector,
)
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.settings import LoggingSettings, VaultSettings

_EVERY_POD: Final[dict[str, Any]] = {}
_DNS_PORT: Final = 53


def build_default_deny(app: MicroApp) -> Manifest:
    """The policy ``default-deny``: no rule, both directions.

    Both policyTypes are written out, since Egress is implied by egress rules only. The empty lists of rules
    are not: the API server drops them, and each server-side apply of an empty list is a write (seen with
    Kubernetes 1.36: the generation grows).
    """
    spec = {"podSelector": _EVERY_POD, "policyTypes": ["Ingress", "Egress"]}
    return build_child(app, "NetworkPolicy", name="default-deny", body={"spec": spec})


def build_openings(
    app: MicroApp,
    targets: tuple[AddressTarget, ...],
    store: VaultSettings | None = None,
    logs: LoggingSettings | None = None,
) -> tuple[Manifest, ...]:
    """What opens: callers first, then names when they are needed, then each of ``targets``, the secret store and the
    log gateway."""
    callers = (build_ingress(app),) if app.spec.ingress.from_ else ()
    named = store is not None and not _is_address(store.host)
    names = (build_dns(app),) if named or any(t.peer is not None for t in targets) else ()
    secrets = (build_store_egress(app, store),) if store is not None else ()
    gateway = (build_log_egress(app, logs),) if logs is not None else ()
    return (*callers, *names, *(build_egress(app, t) for t in targets), *secrets, *gateway)


def build_store_egress(app: MicroApp, store: VaultSettings) -> Manifest:
    """The policy ``allow-secret-store``: the agent's way to the store. The app has it too, and no token to use it."""
    to = [_network(str(network)) for network in store.networks]
    if store.cluster_namespace:
        to.append({"namespaceSelector": {"matchLabels": {LABEL_NAMESPACE_NAME: store.cluster_namespace}}})
    return _egress(app, name="allow-secret-store", to=to, ports=[{"protocol": "TCP", "port": store.port}])


def build_log_egress(app: MicroApp, logs: LoggingSettings) -> Manifest:
    """The policy ``allow-log-gateway``: one port of the gateway's pods. The app has it too, and is known there."""
    to = {
        "namespaceSelector": {"matchLabels": {LABEL_NAMESPACE_NAME: logs.namespace}},
        "podSelector": {"matchLabels": dict(logs.pod_labels)},
    }
    return _egress(app, name="allow-log-gateway", to=[to], ports=[{"protocol": "TCP", "port": logs.port}])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def build_ingress(app: MicroApp) -> Manifest:
    """The policy ``allow-ingress``: each MicroApp of ``spec.ingress.from`` on ``runtime.port``.

    Holds for Knative too: its activator is not let in, since it stands in front of every caller of the
    cluster and hides who calls (knative/serving #12466).
    """
    peers = sorted({(p.micro_app.namespace, p.micro_app.name) for p in app.spec.ingress.from_})
    port = {"protocol": "TCP", "port": app.spec.runtime.port}
    rule = {"from": [_peer(*peer) for peer in peers], "ports": [port]}
    spec = {"podSelector": _EVERY_POD, "policyTypes": ["Ingress"], "ingress": [rule]}
    return build_child(app, "NetworkPolicy", name="allow-ingress", body={"spec": spec})


def build_dns(app: MicroApp) -> Manifest:
    """The policy ``allow-dns``: the cluster's DNS pods.

    Rendered only when another MicroApp is a target: that one is called by a name of the cluster. Networks
    need no name, and an open resolver is a way out for data. DNS pods on the host's network (NodeLocal
    DNSCache) can't be selected by label and stay closed.
    """
    to = {
        "namespaceSelector": {"matchLabels": {LABEL_NAMESPACE_NAME: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    ports = [{"protocol": protocol, "port": _DNS_PORT} for protocol in ("UDP", "TCP")]
    return _egress(app, name="allow-dns", to=[to], ports=ports)


def build_egress(app: MicroApp, target: AddressTarget) -> Manifest:
    """The policy ``allow-egress-<endpoint>``: the networks or the MicroApp of ``target`` on its ports.

    ValueError for a target without any: an empty list of peers would mean everywhere.
    """
    to = [_network(cidr) for cidr in target.cidrs]
    if target.peer is not None:
        to.append(_peer(*target.peer))
    if not to or not target.ports:
        raise ValueError(f"target {target.name} names no destination or no port")
    ports = [{"protocol": target.protocol.value, "port": port} for port in target.ports]
    return _egress(app, name=f"allow-egress-{target.name}", to=to, ports=ports)


def _egress(app: MicroApp, *, name: str, to: list[Any], ports: list[Any]) -> Manifest:
    rule = {"to": to, "ports": ports}
    spec = {"podSelector": _EVERY_POD, "policyTypes": ["Egress"], "egress": [rule]}
    return build_child(app, "NetworkPolicy", name=name, body={"spec": spec})


def _peer(tenant: str, name: str) -> Manifest:
    """One MicroApp: both selectors in one element, so that both must match."""
    return {
        "namespaceSelector": {"matchLabels": peer_labels(tenant, name)},
        "podSelector": {"matchLabels": pod_selector(tenant, name)},
    }


def _network(cidr: str) -> Manifest:
    """One ipBlock in canonical form, without the metadata ranges should it hold any.

    ValueError when it lies within one of them: deciding must have refused it.
    """
    network = ipaddress.ip_network(cidr)
    holes = []
    for text in METADATA_RANGES:
        reserved = ipaddress.ip_network(text)
        if _within(network, reserved):
            raise ValueError(f"{cidr} lies within the reserved range {text}")
        if _within(reserved, network):
            holes.append(text)
    return {"ipBlock": {"cidr": str(network), **({"except": holes} if holes else {})}}


def _within(
    inner: ipaddress.IPv4Network | ipaddress.IPv6Network, outer: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False
