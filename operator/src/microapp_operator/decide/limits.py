"""What a tier allows: pure checks, each naming field, value and limit.

The tuple ``CHECKS`` reads as the specification. Imports model, reasons, desired.context and desired.sidecars at most;
no I/O, no clock.
"""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from microapp_operator.constants import METADATA_RANGES
from microapp_operator.desired.sidecars import sidecar_size
from microapp_operator.model import Connector, EgressEndpoint, MicroApp, RiskTier, Stage
from microapp_operator.model.quantity import format_cpu, format_memory, parse_quantity
from microapp_operator.reasons import Finding, Reason
from microapp_operator.settings import Network


@dataclass(frozen=True, slots=True)
class LimitInput:
    """One app against one tier: the connectors by name, and the ranges no app may reach."""

    app: MicroApp
    tier: RiskTier
    connectors: Mapping[str, Connector]
    reserved: tuple[Network, ...]


Check = Callable[[LimitInput], Iterator[Finding]]


def evaluate_limits(given: LimitInput) -> tuple[Finding, ...]:
    """All findings, in the order of ``CHECKS``; empty when the app fits its tier."""
    return tuple(finding for check in CHECKS for finding in check(given))


def evaluate_endpoint(given: LimitInput, endpoint: EgressEndpoint, path: str) -> Finding | None:
    """The first thing that forbids ``endpoint`` in this tier, or None."""
    tier = given.tier
    if endpoint.connector_ref is not None:
        return _connector(given, endpoint, path)
    if endpoint.cidr is not None:
        clash = overlapping(endpoint.cidr, given.reserved)
        if clash is not None:
            return Finding(
                Reason.RESERVED_ADDRESS,
                f"{path}.cidr",
                f"{endpoint.cidr} overlaps {clash}, which is reserved.",
            )
    if tier.spec.egress.connectors_only and endpoint.micro_app is None:
        return Finding(
            Reason.EGRESS_NOT_ALLOWED,
            path,
            f"tier {tier.metadata.name} reaches the outside through Connectors only.",
        )
    return None


def overlapping(cidr: str, reserved: tuple[Network, ...]) -> Network | None:
    """The first reserved or metadata range that ``cidr`` overlaps, or None."""
    network = ipaddress.ip_network(cidr, strict=False)
    inner = getattr(network.network_address, "ipv4_mapped", None)
    if inner is not None and network.prefixlen >= 96:
        network = ipaddress.ip_network((inner, network.prefixlen - 96), strict=False)  # RFC 4291, 2.5.5.2
    ranges = (*map(ipaddress.ip_network, METADATA_RANGES), *reserved)
    return next((r for r in ranges if r.version == network.version and network.overlaps(r)), None)


def _replicas(given: LimitInput) -> Iterator[Finding]:
    asked, limit = given.app.spec.runtime.replicas, given.tier.spec.replicas_max
    if asked > limit:
        yield _exceeds(given, "spec.runtime.replicas", str(asked), f"at most {limit} replicas")


def _resources(given: LimitInput) -> Iterator[Finding]:
    runtime, tier = given.app.spec.runtime, given.tier.spec
    pods, sidecars = max(runtime.replicas, 1), sidecar_size(given.app, given.tier)
    for field, reserve, quota, show in (
        ("cpu", sidecars.cpu, tier.quota.cpu, format_cpu),
        ("memory", sidecars.memory, tier.quota.memory, format_memory),
    ):
        asked = parse_quantity(getattr(runtime.resources, field))
        room = parse_quantity(quota) / pods - reserve
        if asked <= 0:
            yield Finding(
                Reason.INVALID_SPEC,
                f"spec.runtime.resources.{field}",
                f"{asked} is no size; it must be more than 0.",
            )
        elif asked > room:
            yield _exceeds(
                given,
                f"spec.runtime.resources.{field}",
                f"{show(asked)} for each of {pods} pods",
                f"at most {show(_floor(room, show is format_cpu))} each, sidecars counted in",
            )


def _floor(room: Decimal, millis: bool) -> Decimal:
    """``room`` rounded down to what a person would write: millicores, or whole Mi."""
    step = Decimal("0.001") if millis else Decimal(2**20)
    return max(Decimal(0), (room // step) * step)


def _storage(given: LimitInput) -> Iterator[Finding]:
    asked = sum((parse_quantity(v.size) for v in given.app.spec.storage), Decimal(0))
    limit = parse_quantity(given.tier.spec.quota.storage)
    if asked > limit:
        yield _exceeds(given, "spec.storage", format_memory(asked), f"at most {format_memory(limit)} in all")


def _classifications(given: LimitInput) -> Iterator[Finding]:
    spec, allowed = given.app.spec, given.tier.spec.classifications
    fields = [("spec.dataClassification", spec.data_classification)]
    fields += [(f"spec.egress[{i}].dataClassification", e.data_classification) for i, e in enumerate(spec.egress)]
    fields += [(f"spec.secrets[{i}].classification", s.classification) for i, s in enumerate(spec.secrets)]
    for path, value in fields:
        if value not in allowed:
            yield Finding(
                Reason.CLASSIFICATION_NOT_ALLOWED,
                path,
                f"{value} data is not allowed in tier {given.tier.metadata.name} (allowed: {', '.join(allowed)}).",
            )


def _egress_count(given: LimitInput) -> Iterator[Finding]:
    asked, limit = len(given.app.spec.egress), given.tier.spec.egress.max_endpoints
    if asked > limit:
        yield _exceeds(given, "spec.egress", f"{asked} endpoints", f"at most {limit}")


def _endpoints(given: LimitInput) -> Iterator[Finding]:
    for index, endpoint in enumerate(given.app.spec.egress):
        finding = evaluate_endpoint(given, endpoint, f"spec.egress[{index}]")
        if finding is not None:
            yield finding


def _image_pinned(given: LimitInput) -> Iterator[Finding]:
    spec = given.app.spec
    reviewed = spec.stage is Stage.PRODUCTION and given.tier.spec.approvals.reviewers > 0
    if reviewed and "@sha256:" not in spec.runtime.image:
        yield Finding(
            Reason.IMAGE_NOT_PINNED,
            "spec.runtime.image",
            f"production of tier {given.tier.metadata.name} is reviewed, so the image must be pinned by digest.",
        )


CHECKS: tuple[Check, ...] = (
    _replicas,
    _resources,
    _storage,
    _classifications,
    _egress_count,
    _endpoints,
    _image_pinned,
)


def _connector(given: LimitInput, endpoint: EgressEndpoint, path: str) -> Finding | None:
    connector = given.connectors.get(endpoint.connector_ref or "")
    where, tier = f"{path}.connectorRef", given.tier.metadata.name
    if connector is None:
        return Finding(Reason.CONNECTOR_NOT_FOUND, where, f"there is no Connector {endpoint.connector_ref}.")
    if tier not in connector.spec.tiers:
        return Finding(
            Reason.EGRESS_NOT_ALLOWED,
            where,
            f"Connector {endpoint.connector_ref} is not open to tier {tier}.",
        )
    if endpoint.data_classification not in connector.spec.classifications:
        return Finding(
            Reason.EGRESS_NOT_ALLOWED,
            f"{path}.dataClassification",
            f"Connector {endpoint.connector_ref} may not receive {endpoint.data_classification} data.",
        )
    clash = next((c for c in connector.spec.cidrs if overlapping(c, given.reserved)), None)
    if clash is not None:
        return Finding(
            Reason.RESERVED_ADDRESS,
            where,
            f"range {clash} of Connector {endpoint.connector_ref} is reserved.",
        )
    return None


def _exceeds(given: LimitInput, path: str, asked: str, limit: str) -> Finding:
    return Finding(Reason.EXCEEDS_TIER, path, f"{asked} asked, tier {given.tier.metadata.name} allows {limit}.")
