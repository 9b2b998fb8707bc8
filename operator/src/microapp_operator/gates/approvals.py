"""What a tier asks for, and whether it is given: for the release, each endpoint and each secret."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from microapp_operator.gates.counting import Count, GateInput, Voided, count_approvals, parse_time
from microapp_operator.gates.fingerprint import (
    compute_endpoint_fingerprint,
    compute_fingerprint,
    compute_secret_fingerprint,
)
from microapp_operator.model import Approval, ApprovalScope, EgressEndpoint, SecretRequest, Stage
from microapp_operator.model.common import SecretEngine
from microapp_operator.reasons import Finding, Reason

_TOLD = 3
"""Voided approvals named in one message."""


@dataclass(frozen=True, slots=True)
class ApprovalVerdict:
    """What the approvals amount to.

    required: the tier asks for something at all. reviewed: people approved the release, as the tier asks them to.
    production, endpoints, secrets: findings that keep the whole app, an endpoint, a secret waiting.
    granted, delivered: per egress endpoint and per secret that needed one, the Approval that permits it.
    voided: approvals that were given but don't hold.
    expires: when the first of the approvals counted ends, None when none does.
    """

    required: bool
    reviewed: bool = False
    production: tuple[Finding, ...] = ()
    endpoints: tuple[Finding, ...] = ()
    secrets: tuple[Finding, ...] = ()
    granted: tuple[tuple[str, Approval], ...] = ()
    delivered: tuple[tuple[str, Approval], ...] = ()
    voided: tuple[Voided, ...] = ()
    expires: datetime | None = None

    @property
    def pending(self) -> tuple[Finding, ...]:
        """Everything that waits."""
        return (*self.production, *self.endpoints, *self.secrets)


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing a tier wants approved: its name in messages, field, fingerprint, approvals, and how many it takes."""

    what: str
    path: str
    reason: Reason
    fingerprint: str
    approvals: tuple[Approval, ...]
    reviewers: int = 1


def evaluate_approvals(gate: GateInput, now: datetime) -> ApprovalVerdict:
    """Judge ``gate.approvals`` at ``now`` (UTC)."""
    release = [_judge(gate, item, now) for item in _release(gate)]
    endpoints = [(e, *_judge(gate, item, now)) for e, item in _endpoints(gate)]
    secrets = [(s, *_judge(gate, item, now)) for s, item in _secrets(gate)]
    counts = [c for _, c in release] + [c for _, _, c in endpoints] + [c for _, _, c in secrets]
    ends = [parse_time(a.spec.expires_at) for c in counts for a in c.used if a.spec.expires_at]
    return ApprovalVerdict(
        required=bool(counts),
        reviewed=bool(release) and all(f is None for f, _ in release),
        production=_found(f for f, _ in release),
        endpoints=_found(f for _, f, _ in endpoints),
        secrets=_found(f for _, f, _ in secrets),
        granted=tuple((e.name, c.used[0]) for e, f, c in endpoints if f is None),
        delivered=tuple((s.name, c.used[0]) for s, f, c in secrets if f is None),
        voided=tuple(v for c in counts for v in c.voided),
        expires=min(ends, default=None),
    )


def _release(gate: GateInput) -> Iterator[_Item]:
    reviewers = gate.tier.spec.approvals.reviewers
    if gate.app.spec.stage is Stage.PRODUCTION and reviewers:
        given = _given(gate, ApprovalScope.RELEASE)
        what = f"tier {gate.tier.metadata.name} asks for {reviewers} approval(s) before production"
        yield _Item(what, "spec.stage", Reason.APPROVAL_PENDING, compute_fingerprint(gate.app), tuple(given), reviewers)


def _endpoints(gate: GateInput) -> Iterator[tuple[EgressEndpoint, _Item]]:
    wanted = gate.tier.spec.egress
    for index, endpoint in enumerate(gate.app.spec.egress if wanted.approval_required else ()):
        given = [a for a in _given(gate, ApprovalScope.EGRESS) if a.spec.endpoint == endpoint.name]
        if wanted.expiry_required:
            given = [a for a in given if a.spec.expires_at is not None]
        what = f"endpoint {endpoint.name} needs an approval{' with an expiry' if wanted.expiry_required else ''}"
        fingerprint = compute_endpoint_fingerprint(gate.app, endpoint)
        path = f"spec.egress[{index}]"
        yield endpoint, _Item(what, path, Reason.EGRESS_APPROVAL_PENDING, fingerprint, tuple(given))


def _secrets(gate: GateInput) -> Iterator[tuple[SecretRequest, _Item]]:
    wanted = gate.tier.spec.secrets.approval_required and gate.app.spec.stage is Stage.PRODUCTION
    for index, secret in enumerate(gate.app.spec.secrets):
        opens = opens_production(secret, gate.production_secrets)
        if not wanted and not opens:
            continue
        given = tuple(a for a in _given(gate, ApprovalScope.SECRET) if a.spec.secret == secret.name)
        fingerprint = compute_secret_fingerprint(gate.app, secret)
        what = f"secret {secret.name} needs an approval {'to open production data' if opens else 'in production'}"
        yield secret, _Item(what, f"spec.secrets[{index}]", Reason.SECRET_APPROVAL_PENDING, fingerprint, given)


def opens_production(secret: SecretRequest, patterns: Iterable[str]) -> bool:
    """Whether the platform counts ``secret`` among production data: ``<engine>/<path>`` matches one of ``patterns``.

    A database path begins with its mount, which takes the engine's place.
    """
    path = secret.path or ""
    names = (
        (f"{secret.engine}/{path}", path) if secret.engine is SecretEngine.DATABASE else (f"{secret.engine}/{path}",)
    )
    return bool(path) and any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _given(gate: GateInput, scope: ApprovalScope) -> Iterator[Approval]:
    return (a for a in gate.own() if a.spec.scope is scope)


def _judge(gate: GateInput, item: _Item, now: datetime) -> tuple[Finding | None, Count]:
    count = count_approvals(gate, item.approvals, item.fingerprint, now)
    if count.denials:
        first = count.denials[0]
        message = f"{item.what.split(' needs ')[0]}: denied by {first.spec.approver}: {first.spec.justification}"
        return Finding(Reason.APPROVAL_DENIED, item.path, message), count
    lacking = count.lacking if item.reason is Reason.APPROVAL_PENDING else ()
    if len(count.used) >= item.reviewers and not lacking:
        return None, count
    return Finding(item.reason, item.path, _waiting(item, count)), count


def _waiting(item: _Item, count: Count) -> str:
    groups = ", ".join(f"{n} of {g.name} ({' or '.join(g.groups)})" for g, n in count.lacking)
    missing = f"; still missing {groups}" if groups and item.reason is Reason.APPROVAL_PENDING else ""
    text = f"{item.what}; {len(count.used)} valid for fingerprint {item.fingerprint}{missing}."
    unknown = count.requesters.unknown
    if unknown and not count.voided:
        text += f" Nobody can approve it yet: {unknown}."
    return " ".join([text, *_told(count.voided)])


def _told(voided: Sequence[Voided]) -> list[str]:
    more = len(voided) - _TOLD
    return [v.text() for v in voided[:_TOLD]] + ([f"And {more} more don't count."] if more > 0 else [])


def _found(findings: Iterable[Finding | None]) -> tuple[Finding, ...]:
    return tuple(f for f in findings if f is not None)
