"""What is known of an app's secrets at the end of a pass, and the three conditions read off it. Pure.

An outage of the store changes nothing but these conditions: what runs keeps what it has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from microapp_operator.decide.decision import Decision
from microapp_operator.decide.rotation import Rotation
from microapp_operator.model import Condition
from microapp_operator.reasons import ConditionType, Finding, Reason

_SHOWN = 5
Judged = tuple[ConditionType, str, Reason, str]
"""Type, status, reason, message."""
_OF_SECRETS = frozenset(
    {Reason.SECRET_PATH_NOT_ALLOWED, Reason.SECRET_NOT_DELIVERABLE, Reason.LONG_LIVED_TOKEN, Reason.CONNECTOR_NOT_FOUND}
)


@dataclass(frozen=True, slots=True)
class SecretsView:
    """outage: why the store serves nobody, None while it does. observed: it was asked about this app as it is now.

    refusal: why it did not serve this app. missing: secrets that aren't there. before: conditions as status has them,
    which stand until something is known. asked: the store was heard of at all since this process started.
    """

    outage: Finding | None = None
    observed: bool = False
    asked: bool = False
    refusal: Finding | None = None
    missing: tuple[Finding, ...] = ()
    rotation: Rotation = field(default_factory=Rotation)
    before: tuple[Condition, ...] = ()

    def faults(self, decision: Decision) -> tuple[Finding, ...]:
        """What makes the app itself not ready: nothing that passes when the store is back."""
        if not decision.app.spec.secrets:
            return ()
        if not decision.store_configured:
            return (_unconfigured(decision),)
        return () if self.outage is not None else self.missing


def judge_secrets(view: SecretsView, decision: Decision | None) -> tuple[Judged, ...]:
    """SecretsReady, RotationCurrent and VaultReachable."""
    if decision is None:
        return tuple(_kept(view, kind) for kind in _TYPES)
    if not decision.app.spec.secrets:
        return tuple((kind, "True", Reason.NOT_REQUIRED, "The app declares no secrets.") for kind in _TYPES)
    if not decision.store_configured:
        text = _unconfigured(decision).text()
        reason = Reason.SECRET_STORE_NOT_CONFIGURED
        return tuple((kind, "False" if kind in _CERTAIN else "Unknown", reason, text) for kind in _TYPES)
    return (_ready(view, decision), _rotation(view), _reachable(view))


_TYPES = (ConditionType.SECRETS_READY, ConditionType.ROTATION_CURRENT, ConditionType.VAULT_REACHABLE)
_CERTAIN = frozenset({ConditionType.SECRETS_READY, ConditionType.VAULT_REACHABLE})


def _unconfigured(decision: Decision) -> Finding:
    message = f"{len(decision.app.spec.secrets)} declared, but no secret store is connected."
    return Finding(Reason.SECRET_STORE_NOT_CONFIGURED, "spec.secrets", message)


def _ready(view: SecretsView, decision: Decision) -> Judged:
    kind = ConditionType.SECRETS_READY
    findings = tuple(_obstacles(view, decision))
    if findings:
        return kind, "False", findings[0].reason, _join(findings)
    if not view.observed and decision.secrets is not None:
        return _kept(view, kind)
    names = ", ".join(s.name for s in decision.secrets.sources) if decision.secrets else "none"
    return kind, "True", Reason.SECRETS_DELIVERED, f"May be read, and are delivered: {names}."


def _obstacles(view: SecretsView, decision: Decision) -> Iterator[Finding]:
    """What stands between the app and a secret of it, most lasting first."""
    yield from (f for f in decision.blocked if f.reason in _OF_SECRETS)
    yield from decision.verdict.secrets
    if view.outage is not None:
        yield view.outage
    else:
        yield from (view.refusal,) if view.refusal is not None else ()
        yield from view.missing


def _rotation(view: SecretsView) -> Judged:
    kind, rotation = ConditionType.ROTATION_CURRENT, view.rotation
    if rotation.overdue:
        return kind, "False", Reason.ROTATION_OVERDUE, _join(rotation.overdue)
    if rotation.due:
        return kind, "True", Reason.ROTATION_DUE, _join(rotation.due)
    if not view.observed:
        return _kept(view, kind)
    return kind, "True", Reason.ROTATED, "No secret is older than the tier allows."


def _reachable(view: SecretsView) -> Judged:
    kind = ConditionType.VAULT_REACHABLE
    if view.outage is not None:
        return kind, "False", view.outage.reason, view.outage.text()
    if not view.asked:
        return _kept(view, kind)
    return kind, "True", Reason.REACHABLE, "Vault serves the operator."


def _kept(view: SecretsView, kind: ConditionType) -> Judged:
    """As status has it: a process that has just started knows no better."""
    old = next((c for c in view.before if c.type == kind), None)
    if old is None or old.reason == Reason.NOT_REQUIRED:
        return kind, "Unknown", Reason.PROGRESSING, "The secret store has not been asked yet."
    return kind, old.status, Reason(old.reason), old.message


def _join(findings: tuple[Finding, ...]) -> str:
    shown = " ".join(f.text() for f in findings[:_SHOWN])
    more = len(findings) - _SHOWN
    return f"{shown} And {more} more." if more > 0 else shown
