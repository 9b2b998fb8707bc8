"""The truth about an app as conditions and status. Pure: (old, view, now) -> new.

One law holds them together: Ready=False exactly when Stalled=True, so kstatus, Argo CD and a person read
the same. Ready is Unknown while work is in progress and while a person has still to approve.
Must not import ports, adapters or reconcile.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from microapp_operator.compliance import FALSE, MESSAGE_MAX, TRUE, UNKNOWN, judge_compliance
from microapp_operator.decide.forwarding_view import judge_forwarding
from microapp_operator.decide.runtime import describe_runtime
from microapp_operator.decide.secret_view import judge_secrets
from microapp_operator.model import Condition, MicroAppStatus
from microapp_operator.reasons import ConditionType, Finding, Reason
from microapp_operator.view import View, compute_steps

_SHOWN = 5
_INFORMS = frozenset({ConditionType.POLICY_COMPLIANT})
"""Comes later than Ready, and speaks for itself."""


@dataclass(frozen=True, slots=True)
class _Judgement:
    type: ConditionType
    status: str
    reason: Reason
    message: str = ""
    generation: int | None = None
    """What it speaks of, where that isn't the generation of the pass."""


def compute_status(old: MicroAppStatus, view: View, now: datetime) -> MicroAppStatus:
    """The new status; equal to ``old`` when nothing changed, so that nothing is written."""
    guards = _guards(view)
    judgements = (*_summary(view, guards), *guards)
    before = {c.type: c for c in old.conditions}
    kept = {ConditionType.POLICY_COMPLIANT} & before.keys() if view.scan is None else frozenset()
    decision = view.decision
    return MicroAppStatus(
        observed_generation=view.generation,
        namespace=view.namespace,
        fingerprint=decision.fingerprint if decision else None,
        approved_fingerprint=view.approved_fingerprint,
        reviewed_fingerprint=view.reviewed_fingerprint,
        policy_digest=decision.policy_digest or None if decision else None,
        tier_generation=decision.tier.metadata.generation if decision else None,
        rendered_hash=view.rendered_hash,
        children_hash=view.children_hash,
        suggested_tier=view.suggested_tier,
        conditions=tuple(
            before[j.type] if j.type in kept else _condition(j, before.get(j.type), view.generation, now)
            for j in judgements
        ),
        egress=tuple(d.status for d in decision.egress) if decision else (),
        secret_store=view.secret_store,
        entrypoint=view.entrypoint,
        logging=view.forwarding.told() or old.logging,
        policy_findings=view.scan.findings if view.scan else old.policy_findings,
        steps=compute_steps(view, ready=judgements[0].status == TRUE),
    )


def _condition(judged: _Judgement, old: Condition | None, generation: int, now: datetime) -> Condition:
    kept = old is not None and old.status == judged.status
    return Condition(
        type=judged.type,
        status=judged.status,
        reason=judged.reason,
        message=judged.message[:MESSAGE_MAX],
        observed_generation=generation if judged.generation is None else judged.generation,
        last_transition_time=old.last_transition_time
        if old is not None and kept
        else now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _summary(view: View, guards: tuple[_Judgement, ...]) -> tuple[_Judgement, ...]:
    """Ready, Reconciling, Stalled."""
    faults = _faults(view)
    if faults:
        text = _join(faults)
        return (
            _Judgement(ConditionType.READY, FALSE, faults[0].reason, text),
            _Judgement(ConditionType.RECONCILING, FALSE, faults[0].reason, "Waits for a person."),
            _Judgement(ConditionType.STALLED, TRUE, faults[0].reason, text),
        )
    calm = _Judgement(ConditionType.STALLED, FALSE, Reason.NOT_REQUIRED, "Nothing waits for a person to repair it.")
    waiting = _in_progress(view)
    if waiting is not None:
        return (
            _Judgement(ConditionType.READY, UNKNOWN, waiting.reason, waiting.text()),
            _Judgement(ConditionType.RECONCILING, TRUE, waiting.reason, waiting.text()),
            calm,
        )
    done = _Judgement(ConditionType.RECONCILING, FALSE, Reason.RECONCILED, "Nothing is in progress.")
    pending = view.decision.verdict.production or view.decision.verdict.endpoints if view.decision else ()
    if pending:
        return (_Judgement(ConditionType.READY, UNKNOWN, pending[0].reason, _join(pending)), done, calm)
    suspended = view.decision is not None and view.decision.app.spec.suspend
    reason = Reason.SUSPENDED if suspended else Reason.RECONCILED
    return (_Judgement(ConditionType.READY, TRUE, reason, _ready_message(view, guards)), done, calm)


def _faults(view: View) -> tuple[Finding, ...]:
    """Everything that makes Ready False, worst first."""
    found = list(view.faults)
    decision = view.decision
    if decision is not None and view.progress is None:
        found += decision.blocked
        found += [decision.isolation.leak] if decision.isolation.leak else []
        found += [decision.runtime_finding] if decision.runtime_finding else []
        found += view.secrets.faults(decision)
    if view.workload is not None and view.progress is None:
        if view.workload.quota_message:
            found.append(Finding(Reason.QUOTA_EXCEEDED, "", view.workload.quota_message))
        elif view.workload.reason is Reason.WORKLOAD_UNAVAILABLE:
            found.append(Finding(Reason.WORKLOAD_UNAVAILABLE, "", view.workload.message))
    return tuple(found)


def _in_progress(view: View) -> Finding | None:
    if view.progress is not None:
        return view.progress
    if view.workload is not None and view.workload.reason is Reason.WORKLOAD_PROGRESSING:
        return Finding(Reason.WORKLOAD_PROGRESSING, "", view.workload.message)
    return None


def _ready_message(view: View, guards: tuple[_Judgement, ...]) -> str:
    unproven = [f"{g.type} ({g.reason})" for g in guards if g.status == UNKNOWN and g.type not in _INFORMS]
    pending = [d.status.name for d in view.decision.egress if d.status.state == "Pending"] if view.decision else []
    text = "All declared children are in place."
    if pending:
        text += f" Egress not open yet: {', '.join(pending)}."
    if unproven:
        text += f" Not proven here: {', '.join(unproven)}."
    return text


def _guards(view: View) -> tuple[_Judgement, ...]:
    return (
        _namespace_ready(view),
        _quota_healthy(view),
        _network_isolated(view),
        _isolation_enforced(view),
        _approved(view),
        _policy_compliant(view),
        *_secrets(view),
        _log_forwarding(view),
        _runtime_available(view),
        _workload_available(view),
    )


def _fault(view: View, *reasons: Reason) -> Finding | None:
    return next((f for f in view.faults if f.reason in reasons), None)


def _namespace_ready(view: View) -> _Judgement:
    kind = ConditionType.NAMESPACE_READY
    fault = _fault(view, Reason.NAMESPACE_NOT_OURS, Reason.FOREIGN_ROLE_BINDING)
    if fault is not None:
        return _Judgement(kind, FALSE, fault.reason, fault.text())
    if view.progress is not None and view.progress.reason in (
        Reason.TERMINATING,
        Reason.NAMESPACE_TERMINATING,
    ):
        return _Judgement(kind, FALSE, view.progress.reason, view.progress.text())
    if view.namespace is None:
        return _Judgement(kind, UNKNOWN, Reason.NAMESPACE_PENDING, Reason.NAMESPACE_PENDING.remedy)
    return _Judgement(kind, TRUE, Reason.BOUND, f"Namespace {view.namespace.name} belongs to this app.")


def _quota_healthy(view: View) -> _Judgement:
    kind = ConditionType.QUOTA_HEALTHY
    if view.workload is not None and view.workload.quota_message:
        finding = Finding(Reason.QUOTA_EXCEEDED, "", view.workload.quota_message)
        return _Judgement(kind, FALSE, finding.reason, finding.text())
    if not view.guarded:
        return _Judgement(kind, UNKNOWN, Reason.PROGRESSING, "The quota is not in place yet.")
    return _Judgement(kind, TRUE, Reason.WITHIN_QUOTA, "The quota blocks no pod.")


def _network_isolated(view: View) -> _Judgement:
    kind = ConditionType.NETWORK_ISOLATED
    fault = _fault(view, Reason.FOREIGN_NETWORK_POLICY)
    if fault is not None:
        return _Judgement(kind, FALSE, fault.reason, fault.text())
    if not view.guarded:
        return _Judgement(kind, UNKNOWN, Reason.PROGRESSING, "The policies are not in place yet.")
    return _Judgement(
        kind, TRUE, Reason.DENY_BY_DEFAULT, "Deny by default, both directions; only declared traffic is open."
    )


def _isolation_enforced(view: View) -> _Judgement:
    """What the probe measured, not what was declared: an accepted NetworkPolicy may have no effect at all."""
    kind = ConditionType.ISOLATION_ENFORCED
    if view.decision is None:
        return _Judgement(kind, UNKNOWN, Reason.PROGRESSING, "Not judged: the spec or its tier can't be read.")
    isolation = view.decision.isolation
    status = {Reason.PROBE_PASSED: TRUE, Reason.LEAK_DETECTED: FALSE}.get(isolation.reason, UNKNOWN)
    withheld = " Nothing is started or changed meanwhile." if view.decision.withheld else ""
    text = f"{Finding(isolation.reason, '', isolation.message).text()}{withheld}"
    return _Judgement(kind, status, isolation.reason, text)


def _approved(view: View) -> _Judgement:
    kind = ConditionType.APPROVED
    if view.decision is None:
        return _Judgement(kind, UNKNOWN, Reason.PROGRESSING, "Not judged: the spec or its tier can't be read.")
    verdict = view.decision.verdict
    pending = verdict.production or verdict.endpoints or verdict.secrets
    if pending:
        held = " The last accepted revision keeps running." if view.held else ""
        return _Judgement(kind, FALSE, pending[0].reason, _join(pending) + held)
    if not verdict.required:
        return _Judgement(kind, TRUE, Reason.AUTO_APPROVED, "The tier asks for no approval here.")
    return _Judgement(kind, TRUE, Reason.APPROVED, "Every approval the tier asks for is given.")


def _policy_compliant(view: View) -> _Judgement:
    said = judge_compliance(view.scan)
    generation = view.scan.generation if view.scan else None
    return _Judgement(ConditionType.POLICY_COMPLIANT, said.status, said.reason, said.message, generation)


def _secrets(view: View) -> tuple[_Judgement, ...]:
    return tuple(_Judgement(*judged) for judged in judge_secrets(view.secrets, view.decision))


def _log_forwarding(view: View) -> _Judgement:
    return _Judgement(ConditionType.LOG_FORWARDING, *judge_forwarding(view.forwarding, view.decision, runs=_runs(view)))


def _runs(view: View) -> bool:
    idle = (Reason.SUSPENDED, Reason.SCALED_TO_ZERO)
    return view.workload is not None and view.workload.reason not in idle


def _runtime_available(view: View) -> _Judgement:
    kind = ConditionType.RUNTIME_AVAILABLE
    if view.decision is None:
        return _Judgement(kind, UNKNOWN, Reason.PROGRESSING, "Not judged: the spec or its tier can't be read.")
    choice = view.decision.runtime
    found = view.decision.runtime_finding if choice is None else describe_runtime(view.decision.app, choice)
    assert found is not None, "what can't be run has a finding"
    return _Judgement(kind, FALSE if choice is None else TRUE, found.reason, found.text())


def _workload_available(view: View) -> _Judgement:
    kind = ConditionType.WORKLOAD_AVAILABLE
    if view.workload is None:
        return _Judgement(kind, FALSE, Reason.HELD, f"Nothing runs yet. {Reason.HELD.remedy}")
    reason = view.workload.reason
    good = reason in (Reason.AVAILABLE, Reason.SCALED_TO_ZERO, Reason.SUSPENDED)
    return _Judgement(kind, TRUE if good else FALSE, reason, view.workload.message or reason.remedy)


def _join(findings: tuple[Finding, ...]) -> str:
    shown = " ".join(f.text() for f in findings[:_SHOWN])
    more = len(findings) - _SHOWN
    return f"{shown} And {more} more." if more > 0 else shown
