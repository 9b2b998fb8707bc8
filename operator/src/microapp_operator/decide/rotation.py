"""Whether secrets are as young as the tier wants them, from when each was last rotated. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from microapp_operator.gates.counting import parse_time
from microapp_operator.model import RiskTier
from microapp_operator.model.status import SecretStatus
from microapp_operator.reasons import Finding, Reason

WARNING: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Rotation:
    """overdue, due: secrets past their date, and those within a week of it. next: when this judgement changes."""

    overdue: tuple[Finding, ...] = ()
    due: tuple[Finding, ...] = ()
    next: datetime | None = None


def allowed_age(tier: RiskTier) -> timedelta:
    """How old a secret of this tier may become."""
    return timedelta(days=tier.spec.rotation_days)


def evaluate_rotation(secrets: tuple[SecretStatus, ...], tier: RiskTier, now: datetime) -> Rotation:
    """Judge ``secrets`` at ``now``; those without a date are made on demand and never old."""
    overdue: list[Finding] = []
    due: list[Finding] = []
    turns: list[datetime] = []
    for secret in secrets:
        if secret.rotated_at is None:
            continue
        rotated = parse_time(secret.rotated_at)
        deadline = rotated + allowed_age(tier)
        told = f"secret {secret.name}, last rotated on {_day(rotated)}, is due by {_day(deadline)}."
        if now >= deadline:
            overdue.append(Finding(Reason.ROTATION_OVERDUE, "", told))
        elif now >= deadline - WARNING:
            due.append(Finding(Reason.ROTATION_DUE, "", told))
        turns += [t for t in (deadline - WARNING, deadline) if t > now]
    return Rotation(tuple(overdue), tuple(due), min(turns, default=None))


def _day(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d")
