"""One decision per app: is it within its tier, approved, runnable here; and if so, what to render."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from microapp_operator.constants import RENDERER_VERSION
from microapp_operator.decide.egress import EgressDecision, resolve_egress
from microapp_operator.decide.entrypoint import NOT_NEEDED, Answer, EntrypointDecision, resolve_entrypoint
from microapp_operator.decide.forwarding import LogGateway, resolve_forwarding
from microapp_operator.decide.isolation import UNPROBED, Isolation
from microapp_operator.decide.limits import LimitInput, evaluate_limits
from microapp_operator.decide.runtime import resolve_runtime
from microapp_operator.decide.secrets import build_context, resolve_secrets
from microapp_operator.desired.context import LoggingContext, RenderContext, RuntimeChoice, SecretsContext
from microapp_operator.desired.sidecars import AGENT_MODES
from microapp_operator.gates import ApprovalVerdict, GateInput, compute_fingerprint, evaluate_approvals
from microapp_operator.model import Approval, Connector, MicroApp, Profile, RiskTier
from microapp_operator.model.canonical import digest
from microapp_operator.model.microapp import LogSource, MicroAppSpec
from microapp_operator.policy.settings import PolicySettings
from microapp_operator.reasons import Finding
from microapp_operator.settings import Capabilities, Images, Network, VaultSettings


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the cluster holds besides the app, and what the admins set.

    policy_digest: of the bundle in force. isolation: what the nodes' probes say. vault: the secret store, None when
    there is none. gateway: where records go, None when nowhere. entrypoints: what is known of what images run.
    """

    tiers: Mapping[str, RiskTier]
    connectors: Mapping[str, Connector]
    approvals: Sequence[Approval]
    capabilities: Capabilities
    reserved: tuple[Network, ...]
    settings: PolicySettings = field(default_factory=PolicySettings)
    policy_digest: str = ""
    images: Images = field(default_factory=Images)
    isolation: Isolation = UNPROBED
    vault: VaultSettings | None = None
    gateway: LogGateway | None = None
    entrypoints: Mapping[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one spec in one tier.

    blocked: nothing changes until a person edits the app, its tier or a Connector.
    runtime: how to run it; None when the profile can't be honoured, with ``runtime_finding``.
    secrets: what may be read now; None when nothing. store_configured: there is a secret store.
    logging: how records are forwarded; None when they can't be, with ``logging_finding``, or there is no gateway.
    entrypoint: what the image runs, where that has to be known. accepted: the declared spec may run.
    """

    app: MicroApp
    tier: RiskTier
    fingerprint: str
    policy_digest: str
    blocked: tuple[Finding, ...]
    verdict: ApprovalVerdict
    egress: tuple[EgressDecision, ...]
    runtime: RuntimeChoice | None
    runtime_finding: Finding | None
    images: Images
    isolation: Isolation
    secrets: SecretsContext | None = None
    store_configured: bool = False
    logging: LoggingContext | None = None
    logging_finding: Finding | None = None
    gateway_configured: bool = False
    entrypoint: EntrypointDecision = NOT_NEEDED

    @property
    def withheld(self) -> Finding | None:
        """Why the workload is neither started nor changed for now, though it may run: isolation isn't enforced."""
        return self.isolation.leak if self.tier.spec.isolation.required else None

    @property
    def held_back(self) -> bool:
        """Whether the workload is neither started nor changed for now: withheld, or it isn't known yet what it runs."""
        return self.withheld is not None or self.entrypoint.waits is not None

    @property
    def accepted(self) -> bool:
        """Within the tier, approved, and runnable here."""
        return not self.blocked and not self.verdict.production and self.runtime is not None

    def context(self) -> RenderContext:
        """What the builders need to know."""
        targets = tuple(d.target for d in self.egress if d.target is not None)
        runtime = None if self.held_back else self.runtime
        return RenderContext(targets, runtime, self.images, self.secrets, self.logging)

    def inputs_hash(self) -> str:
        """Digest of everything the rendering depends on."""
        context = self.context()
        runtime = context.runtime
        return digest(
            [
                RENDERER_VERSION,
                self.app.metadata.uid,
                self.app.spec,
                self.tier.metadata.name,
                self.tier.spec,
                [[t.name, *t.ports, t.protocol, *t.cidrs, *(t.peer or ())] for t in context.targets],
                _runtime_inputs(runtime) if runtime else None,
                self.images.gate,
                _secrets_hash(self.secrets),
                _logging_hash(self.logging),
            ]
        )


def _runtime_inputs(runtime: RuntimeChoice) -> list[Any]:
    said = [runtime.entrypoint.model_dump(mode="json")] if runtime.entrypoint is not None else []
    return [runtime.kind, runtime.runtime_class, runtime.wasm_runner, *said]


def _secrets_hash(secrets: SecretsContext | None) -> str | None:
    """Digest of what is rendered for secrets; what permits them isn't."""
    if secrets is None:
        return None
    sources = [[s.name, s.read_path, s.field, s.env, s.restart] for s in secrets.sources]
    return digest([sources, secrets.store.model_dump(mode="json"), [list(v) for v in secrets.versions]])


def _logging_hash(logging: LoggingContext | None) -> str | None:
    """Digest of what is rendered to forward records."""
    if logging is None:
        return None
    return digest([logging.settings.model_dump(mode="json"), logging.address, logging.source])


def evaluate(app: MicroApp, tier: RiskTier, around: Surroundings, now: datetime) -> Decision:
    """Decide for ``app`` in ``tier``."""
    given = LimitInput(app=app, tier=tier, connectors=around.connectors, reserved=around.reserved)
    production = around.vault.production if around.vault else ()
    gate = GateInput(app, tier, around.approvals, around.settings, around.policy_digest, production)
    verdict = evaluate_approvals(gate, now)
    runtime = resolve_runtime(app, tier, around.capabilities, around.images)
    choice = runtime if not isinstance(runtime, Finding) else None
    logging = resolve_forwarding(app, choice, around.gateway)
    entrypoint = _entrypoint(app, tier, around, logging)
    if choice is not None and entrypoint.known is not None:
        choice = replace(choice, entrypoint=entrypoint.known)
    if _tees(logging) and entrypoint.finding is not None:
        logging = entrypoint.finding
    secrets = resolve_secrets(given, verdict, around.vault, around.capabilities.apis, entrypoint.finding)
    return Decision(
        app=app,
        tier=tier,
        fingerprint=compute_fingerprint(app),
        policy_digest=around.policy_digest,
        blocked=(*evaluate_limits(given), *secrets.refused),
        verdict=verdict,
        egress=resolve_egress(given, verdict),
        runtime=choice,
        runtime_finding=runtime if isinstance(runtime, Finding) else None,
        images=around.images,
        isolation=around.isolation,
        secrets=build_context(given, secrets, around.vault),
        store_configured=around.vault is not None,
        logging=logging if isinstance(logging, LoggingContext) else None,
        logging_finding=logging if isinstance(logging, Finding) else None,
        gateway_configured=around.gateway is not None,
        entrypoint=entrypoint,
    )


def _entrypoint(
    app: MicroApp, tier: RiskTier, around: Surroundings, logging: LoggingContext | Finding | None
) -> EntrypointDecision:
    """What the image runs, where a launcher is put before it: for the records, or to set variables from secrets."""
    into_pods = around.vault is not None and tier.spec.secrets.injection in AGENT_MODES
    exports = into_pods and any(secret.env is not None for secret in app.spec.secrets)
    if app.spec.runtime.profile is not Profile.CONTAINER or not (exports or _tees(logging)):
        return NOT_NEEDED
    return resolve_entrypoint(app, around.settings.registries, around.entrypoints)


def _tees(logging: LoggingContext | Finding | None) -> bool:
    """Whether records are forwarded by a launcher."""
    return isinstance(logging, LoggingContext) and logging.source is not LogSource.OTLP


def suggest_tier(app: MicroApp, around: Surroundings) -> str | None:
    """The least risky tier the declaration fits into, or None when it fits none."""
    for tier in sorted(around.tiers.values(), key=lambda t: (t.spec.rank, t.metadata.name)):
        if not evaluate_limits(LimitInput(app, tier, around.connectors, around.reserved)):
            return tier.metadata.name
    return None


def with_spec(app: MicroApp, spec: MicroAppSpec) -> MicroApp:
    """``app`` as if it declared ``spec``."""
    return app.model_copy(update={"spec": spec})
