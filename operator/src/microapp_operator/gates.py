"""Approvals: what a tier asks for, and which Approvals count. Pure; closed by default.

An Approval counts when it names this app, this tier and this fingerprint, has not expired, and wasn't
given by the app's own contact. Who may create one is admission's to prove; here it is checked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from microapp_operator.model import Approval, ApprovalScope, EgressEndpoint, MicroApp, RiskTier, Stage
from microapp_operator.model.canonical import digest
from microapp_operator.reasons import Finding, Reason


@dataclass(frozen=True, slots=True)
class ApprovalVerdict:
    """What the approvals amount to.

    required: the tier asks for something at all.
    production: findings that keep the whole app waiting.
    endpoints: findings that keep one endpoint waiting.
    granted: per egress endpoint that needed one, the Approval that permits it.
    expires: when the first of the approvals counted ends, None when none does.
    """

    required: bool
    production: tuple[Finding, ...] = ()
    endpoints: tuple[Finding, ...] = ()
    granted: tuple[tuple[str, Approval], ...] = ()
    expires: datetime | None = None


def compute_fingerprint(app: MicroApp) -> str:
    """SHA-256 of what of the spec carries risk; any change of it voids the approvals given for it."""
    spec = app.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    risk = {k: spec[k] for k in ("riskTier", "dataClassification", "stage", "ingress", "egress", "secrets")}
    runtime = {k: spec["runtime"][k] for k in ("profile", "image", "command", "port", "env")}
    return digest({"namespace": app.metadata.namespace, "name": app.metadata.name, **risk, "runtime": runtime})


def compute_endpoint_fingerprint(app: MicroApp, endpoint: EgressEndpoint) -> str:
    """SHA-256 of one egress endpoint of one app in one tier."""
    return digest(
        {
            "namespace": app.metadata.namespace,
            "name": app.metadata.name,
            "riskTier": app.spec.risk_tier,
            "endpoint": endpoint,
        }
    )


def evaluate_approvals(app: MicroApp, tier: RiskTier, approvals: Sequence[Approval], now: datetime) -> ApprovalVerdict:
    """Judge ``approvals`` (those of the app's namespace) at ``now`` (UTC)."""
    own = [a for a in approvals if _counts(a, app, now)]
    reviewers = tier.spec.approvals.reviewers if app.spec.stage is Stage.PRODUCTION else 0
    whole = [a for a in own if a.spec.scope is ApprovalScope.PRODUCTION]
    production, used = _judge_production(app, tier, whole, reviewers)
    gated = app.spec.egress if tier.spec.egress.approval_required else ()
    findings: list[Finding] = []
    granted: list[tuple[str, Approval]] = []
    for index, endpoint in enumerate(gated):
        approval = _endpoint_approval(app, tier, endpoint, own)
        if approval is None:
            findings.append(_endpoint_missing(app, tier, endpoint, index))
        else:
            granted.append((endpoint.name, approval))
    ends = [_time(a.spec.expires_at) for a in (*used, *(a for _, a in granted)) if a.spec.expires_at]
    return ApprovalVerdict(
        required=bool(reviewers or gated),
        production=production,
        endpoints=tuple(findings),
        granted=tuple(granted),
        expires=min(ends, default=None),
    )


def _counts(approval: Approval, app: MicroApp, now: datetime) -> bool:
    spec = approval.spec
    return (
        approval.metadata.namespace == app.metadata.namespace
        and spec.micro_app == app.metadata.name
        and spec.tier == app.spec.risk_tier
        and spec.approver != app.spec.owner.contact
        and (spec.expires_at is None or _time(spec.expires_at) > now)
    )


def _judge_production(
    app: MicroApp, tier: RiskTier, approvals: Sequence[Approval], reviewers: int
) -> tuple[tuple[Finding, ...], Sequence[Approval]]:
    fingerprint = compute_fingerprint(app)
    valid = [a for a in approvals if a.spec.fingerprint == fingerprint]
    void = len(approvals) - len(valid)
    people = {a.spec.approver for a in valid}
    roles = {a.spec.role for a in valid}
    missing = [role for role in tier.spec.approvals.required_roles if role not in roles]
    if reviewers == 0 or (len(people) >= reviewers and not missing):
        return (), valid if reviewers else ()
    lacking = f", one of them in role {' and '.join(missing)}" if missing else ""
    voided = f" {void} earlier approval(s) are void: the spec has changed since." if void else ""
    message = (
        f"tier {tier.metadata.name} asks for {reviewers} approval(s) before production{lacking}; "
        f"{len(people)} valid for fingerprint {fingerprint}.{voided}"
    )
    return (Finding(Reason.APPROVAL_PENDING, "spec.stage", message),), ()


def _endpoint_approval(
    app: MicroApp, tier: RiskTier, endpoint: EgressEndpoint, approvals: Sequence[Approval]
) -> Approval | None:
    fingerprint = compute_endpoint_fingerprint(app, endpoint)
    fitting = [
        a
        for a in approvals
        if a.spec.scope is ApprovalScope.EGRESS
        and a.spec.endpoint == endpoint.name
        and a.spec.fingerprint == fingerprint
        and (a.spec.expires_at is not None or not tier.spec.egress.expiry_required)
    ]
    return max(fitting, key=_lasting, default=None)


def _lasting(approval: Approval) -> tuple[float, str]:
    """Sorts by how long an approval lasts, the endless ones last."""
    ends = approval.spec.expires_at
    return (_time(ends).timestamp() if ends else float("inf"), approval.metadata.name)


def _endpoint_missing(app: MicroApp, tier: RiskTier, endpoint: EgressEndpoint, index: int) -> Finding:
    expiring = " with an expiry" if tier.spec.egress.expiry_required else ""
    return Finding(
        Reason.EGRESS_APPROVAL_PENDING,
        f"spec.egress[{index}]",
        f"endpoint {endpoint.name} needs an approval{expiring} for fingerprint "
        f"{compute_endpoint_fingerprint(app, endpoint)}.",
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
