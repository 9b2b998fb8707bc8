"""What one pass has found out so far; becomes the ``View`` that conditions are computed from."""

from dataclasses import dataclass, field

from microapp_operator.decide.decision import Decision
from microapp_operator.decide.forwarding_view import ForwardingView
from microapp_operator.decide.secret_view import SecretsView
from microapp_operator.gates import Voided
from microapp_operator.model import MicroApp
from microapp_operator.model.status import Entrypoint, NamespaceStatus, SecretStoreStatus
from microapp_operator.reasons import Finding
from microapp_operator.view import Scan, View, Workload


@dataclass(slots=True)
class Draft:
    """Mutable by design: a pass that fails half-way still reports what it learned.

    effective: the decision that is rendered: the declared one, the last accepted one, or None.
    skipped: the pass found nothing to render.
    """

    app: MicroApp
    decision: Decision | None = None
    effective: Decision | None = None
    faults: list[Finding] = field(default_factory=list)
    progress: Finding | None = None
    namespace: NamespaceStatus | None = None
    guarded: bool = False
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
    skipped: bool = False
    scan: Scan | None = None

    def voided(self) -> tuple[Voided, ...]:
        """The approvals that don't hold for what is declared."""
        return self.decision.verdict.voided if self.decision else ()

    def view(self) -> View:
        """The draft, frozen."""
        return View(
            generation=self.app.metadata.generation,
            decision=self.decision,
            faults=tuple(self.faults),
            progress=self.progress,
            namespace=self.namespace,
            guarded=self.guarded,
            held=self.effective is not None and self.effective is not self.decision,
            workload=self.workload,
            approved_fingerprint=self.approved_fingerprint,
            reviewed_fingerprint=self.reviewed_fingerprint,
            rendered_hash=self.rendered_hash,
            children_hash=self.children_hash,
            suggested_tier=self.suggested_tier,
            secret_store=self.secret_store,
            secrets=self.secrets,
            forwarding=self.forwarding,
            entrypoint=self.entrypoint,
            scan=self.scan,
        )


def draft_from(app: MicroApp) -> Draft:
    """A draft that starts from what status says, so that a failed pass forgets nothing."""
    status = app.status
    return Draft(
        app=app,
        namespace=status.namespace,
        approved_fingerprint=status.approved_fingerprint,
        reviewed_fingerprint=status.reviewed_fingerprint,
        suggested_tier=status.suggested_tier,
        secret_store=status.secret_store,
        entrypoint=status.entrypoint,
        secrets=SecretsView(before=status.conditions),
    )
