"""What becomes of each declared endpoint: enforced by a NetworkPolicy, or pending with a reason.

Host names are never frozen into addresses: until something enforces names, they wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from microapp_operator.decide.limits import LimitInput, evaluate_endpoint
from microapp_operator.desired.context import AddressTarget
from microapp_operator.gates import ApprovalVerdict
from microapp_operator.model import Approval, EgressEndpoint, EgressStatus
from microapp_operator.reasons import Finding, Reason

NETWORK_POLICY = "NetworkPolicy"
NONE = "None"


@dataclass(frozen=True, slots=True)
class EgressDecision:
    """Status of one endpoint, and the target to open, None while nothing may be opened."""

    status: EgressStatus
    target: AddressTarget | None


def resolve_egress(given: LimitInput, verdict: ApprovalVerdict) -> tuple[EgressDecision, ...]:
    """One decision per endpoint of ``given.app``, in its order."""
    granted = dict(verdict.granted)
    waiting = {f.path: f for f in verdict.endpoints}
    return tuple(
        _resolve(given, endpoint, f"spec.egress[{index}]", granted, waiting)
        for index, endpoint in enumerate(given.app.spec.egress)
    )


def _resolve(
    given: LimitInput,
    endpoint: EgressEndpoint,
    path: str,
    granted: Mapping[str, Approval],
    waiting: Mapping[str, Finding],
) -> EgressDecision:
    forbidden = evaluate_endpoint(given, endpoint, path) or waiting.get(path)
    if forbidden is not None:
        return EgressDecision(_pending(endpoint, forbidden), None)
    target, names = _target(given, endpoint)
    approval = granted.get(endpoint.name)
    unenforced = Reason.HOST_NAMES_NOT_ENFORCED if names else None
    status = EgressStatus(
        name=endpoint.name,
        state="Pending" if unenforced else "Enforced",
        mechanism=NETWORK_POLICY if target else NONE,
        reason=unenforced or Reason.ENFORCED,
        message=f"host {', '.join(names)} stays closed. {unenforced.remedy}"[:1024] if unenforced else "",
        approval=approval.metadata.name if approval else None,
        expires_at=approval.spec.expires_at if approval else None,
    )
    return EgressDecision(status, target)


def _target(given: LimitInput, endpoint: EgressEndpoint) -> tuple[AddressTarget | None, tuple[str, ...]]:
    """What a NetworkPolicy can open of ``endpoint``, and the host names it can't."""
    if endpoint.connector_ref is not None:
        spec = given.connectors[endpoint.connector_ref].spec
        if not spec.cidrs:
            return None, spec.hosts
        target = AddressTarget(endpoint.name, spec.ports, spec.protocol, cidrs=spec.cidrs)
        return target, spec.hosts
    if endpoint.host is not None or endpoint.port is None:
        return None, (endpoint.host or "",)
    ports = (endpoint.port,)
    if endpoint.micro_app is not None:
        peer = (endpoint.micro_app.namespace, endpoint.micro_app.name)
        return AddressTarget(endpoint.name, ports, endpoint.protocol, peer=peer), ()
    return AddressTarget(endpoint.name, ports, endpoint.protocol, cidrs=(endpoint.cidr or "",)), ()


def _pending(endpoint: EgressEndpoint, finding: Finding) -> EgressStatus:
    return EgressStatus(
        name=endpoint.name,
        state="Pending",
        mechanism=NONE,
        reason=finding.reason,
        message=finding.text()[:1024],
    )
