"""Which Approvals hold for one fingerprint, from how many people, and why the others don't. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from microapp_operator.gates.requester import Requesters, resolve_requesters
from microapp_operator.model import Approval, ApprovalDecision, MicroApp, ReviewerGroup, RiskTier, VoidingChange
from microapp_operator.policy.identity import SYSTEM, same_person
from microapp_operator.policy.settings import PolicySettings


@dataclass(frozen=True, slots=True)
class GateInput:
    """One app in one tier, and what its approvals are judged by.

    approvals: those of the app's namespace. policy_digest: of the bundle in force. production_secrets: patterns of
    secrets that need an approval in every tier and stage.
    """

    app: MicroApp
    tier: RiskTier
    approvals: Sequence[Approval]
    settings: PolicySettings
    policy_digest: str
    production_secrets: tuple[str, ...] = ()

    def own(self) -> tuple[Approval, ...]:
        """The approvals that are about this app."""
        name, namespace = self.app.metadata.name, self.app.metadata.namespace
        return tuple(a for a in self.approvals if a.spec.micro_app == name and a.metadata.namespace in ("", namespace))


@dataclass(frozen=True, slots=True)
class Voided:
    """An Approval that was given for this but doesn't hold, and why."""

    approval: str
    why: str

    def text(self) -> str:
        """One sentence."""
        return f"Approval {self.approval} does not count: {self.why}."


@dataclass(frozen=True, slots=True)
class Count:
    """What the Approvals of one subject amount to.

    used: those that hold, one a person. denials: valid denials. voided: those that don't hold.
    lacking: groups of which members are missing, with how many.
    """

    used: tuple[Approval, ...]
    denials: tuple[Approval, ...]
    voided: tuple[Voided, ...]
    lacking: tuple[tuple[ReviewerGroup, int], ...]
    requesters: Requesters


def parse_time(text: str) -> datetime:
    """A Timestamp of the model as a time with its zone."""
    return datetime.fromisoformat(text)


def count_approvals(gate: GateInput, approvals: Iterable[Approval], fingerprint: str, now: datetime) -> Count:
    """Judge ``approvals``, all about one subject of ``gate.app`` whose fingerprint is ``fingerprint``, at ``now``."""
    requesters = resolve_requesters(gate.app, gate.settings)
    used: list[tuple[frozenset[str], Approval]] = []
    denials: list[Approval] = []
    voided: list[Voided] = []
    for approval in sorted(approvals, key=_lasting, reverse=True):
        why = _outdated(gate, approval, fingerprint, now)
        if approval.spec.decision is ApprovalDecision.DENIED:
            denials += [approval] if not why else []
            continue
        person = same_person(approval.spec.approver_identities, gate.settings)
        why = why or _unfit(approval, person, requesters, gate.settings)
        if why:
            voided.append(Voided(approval.metadata.name, why))
        else:
            used.append((person, approval))
    people = _people(used)
    return Count(tuple(p[0] for p in people), tuple(denials), tuple(voided), _lacking(gate, people), requesters)


def _outdated(gate: GateInput, approval: Approval, fingerprint: str, now: datetime) -> str:
    """Why it isn't about what is asked now; empty when it is."""
    spec, void_on = approval.spec, gate.tier.spec.approvals.void_on
    if spec.expires_at is not None and parse_time(spec.expires_at) <= now:
        return f"it expired at {spec.expires_at}"
    if spec.tier != gate.tier.metadata.name:
        return f"it was given for tier {spec.tier}"
    if spec.fingerprint != fingerprint:
        return "what it was given for has changed since"
    if spec.replicas is not None and gate.app.spec.runtime.replicas > spec.replicas:
        return f"it was given for at most {spec.replicas} replicas"
    if VoidingChange.POLICY in void_on and spec.policy_digest != gate.policy_digest:
        return "it was given under another policy bundle, and the tier says that this voids it"
    if VoidingChange.TIER in void_on and spec.tier_generation != gate.tier.metadata.generation:
        return "the tier has changed since, and says that this voids it"
    return ""


def _unfit(approval: Approval, person: frozenset[str], requesters: Requesters, settings: PolicySettings) -> str:
    """Why this approver can't approve it; empty when they can."""
    spec = approval.spec
    if f"user:{spec.approver}".replace("\n", " ") not in spec.approver_identities:
        return "its approver isn't among the identities it carries"
    if any(name.startswith(SYSTEM) for name in spec.approver_identities) or spec.approver in settings.gitops:
        return f"{spec.approver} is no person"
    if requesters.unknown:
        return f"nobody can tell that {spec.approver} didn't ask for it: {requesters.unknown}"
    if person & requesters.identities:
        return f"{spec.approver} asked for this content or is the app's contact; nobody approves their own"
    return ""


def _people(used: Sequence[tuple[frozenset[str], Approval]]) -> list[tuple[Approval, ...]]:
    """The approvals, one group for each person, however many accounts they approved with."""
    people: list[tuple[frozenset[str], tuple[Approval, ...]]] = []
    for names, approval in used:
        same = [p for p in people if p[0] & names]
        others = [p for p in people if not p[0] & names]
        joined = frozenset().union(names, *(p[0] for p in same))
        people = [*others, (joined, (*(a for p in same for a in p[1]), approval))]
    return [approvals for _, approvals in people]


def _lacking(gate: GateInput, people: Sequence[tuple[Approval, ...]]) -> tuple[tuple[ReviewerGroup, int], ...]:
    missing = []
    for group in gate.tier.spec.approvals.groups:
        members = sum(any(set(a.spec.approver_groups) & set(group.groups) for a in person) for person in people)
        if members < group.reviewers:
            missing.append((group, group.reviewers - members))
    return tuple(missing)


def _lasting(approval: Approval) -> tuple[float, str]:
    """Sorts by how long an approval lasts, the endless ones last."""
    ends = approval.spec.expires_at
    return (parse_time(ends).timestamp() if ends else float("inf"), approval.metadata.name)
