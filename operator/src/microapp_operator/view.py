"""All that one pass learned about an app, and the seven onboarding steps read off it. Pure.

Must not import ports, adapters or reconcile.
"""

from dataclasses import dataclass, field, replace

from microapp_operator.decide.decision import Decision
from microapp_operator.decide.forwarding_view import ForwardingView
from microapp_operator.decide.secret_view import SecretsView
from microapp_operator.model import Stage
from microapp_operator.model.status import Entrypoint, NamespaceStatus, PolicyFinding, SecretStoreStatus, Step
from microapp_operator.reasons import Finding, Reason


@dataclass(frozen=True, slots=True)
class Workload:
    """What the workload reports: reason, message, and whether quota blocks its pods."""

    reason: Reason
    message: str = ""
    quota_message: str = ""

    def because(self, why: str) -> "Workload":
        """The same, with what the pods say of it."""
        return replace(self, message=f"{self.message} {why}".strip())


@dataclass(frozen=True, slots=True)
class Scan:
    """What the last scan found of an app and of everything in its namespace.

    generation: of the MicroApp as it was judged. findings: per rule, the worst first.
    examples: objects and what is said of them, the worst first. not_judged: objects the rules gave no answer about.
    """

    generation: int
    findings: tuple[PolicyFinding, ...] = ()
    examples: tuple[str, ...] = ()
    not_judged: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """All that is known at the end of a pass, complete or not.

    decision: None when the spec or its tier couldn't be read.
    faults: what keeps the app from its state until a person acts (spec, tier, foreign objects, API).
    progress: what is being waited for, retried or torn down; None when the pass is complete.
    namespace: the bound namespace, None while there is none.
    guarded: the guardrails are in place. held: the last accepted revision runs, not the declared one.
    workload: None while nothing was started.
    secret_store: the app's identity there. secrets: what is known of them. forwarding: what is known of its records.
    entrypoint: what its image runs, where that has to be known.
    scan: None while this process has not scanned the app; then status says what the last one found.
    """

    generation: int
    decision: Decision | None = None
    faults: tuple[Finding, ...] = ()
    progress: Finding | None = None
    namespace: NamespaceStatus | None = None
    guarded: bool = False
    held: bool = False
    workload: Workload | None = None
    approved_fingerprint: str | None = None
    reviewed_fingerprint: str | None = None
    rendered_hash: str | None = None
    children_hash: str | None = None
    suggested_tier: str | None = None
    secret_store: SecretStoreStatus | None = None
    secrets: SecretsView = field(default_factory=SecretsView)
    forwarding: ForwardingView = field(default_factory=ForwardingView)
    entrypoint: Entrypoint | None = None
    scan: Scan | None = None


def compute_steps(view: View, *, ready: bool) -> tuple[Step, ...]:
    """The seven steps from registration to production (R10.1), as far as each has come."""
    decision = view.decision
    production = decision is not None and decision.app.spec.stage is Stage.PRODUCTION
    within = decision is not None and not decision.blocked
    approved = decision is not None and not decision.verdict.pending
    connected = decision is not None and all(d.status.state == "Enforced" for d in decision.egress)
    running = view.workload is not None and view.workload.reason is Reason.AVAILABLE
    reached = (
        ("Registered", True),
        ("Classified", within),
        ("Confined", within and view.guarded),
        ("Connected", within and view.guarded and connected),
        ("Approved", within and approved),
        ("Deployed", running),
        ("InProduction", production and ready and running),
    )
    current = next((name for name, done in reached if not done), None)
    return tuple(
        Step(name=name, state="Done" if done else "Current" if name == current else "Pending") for name, done in reached
    )
