"""Orders the children of one MicroApp into waves."""

from dataclasses import dataclass

from microapp_operator.desired.accepted import build_accepted
from microapp_operator.desired.access import build_owner_binding
from microapp_operator.desired.context import RenderContext, RuntimeChoice, SecretsContext, WorkloadKind
from microapp_operator.desired.delivery import build_delivery, deliver
from microapp_operator.desired.disruption import build_budget, needs_budget
from microapp_operator.desired.forwarding import build_forwarder_config, forward
from microapp_operator.desired.identity import build_account
from microapp_operator.desired.limits import build_limits
from microapp_operator.desired.namespace import build_namespace
from microapp_operator.desired.network import build_default_deny, build_openings
from microapp_operator.desired.quota import build_quota
from microapp_operator.desired.serverless import build_knative_service, is_stopped
from microapp_operator.desired.service import build_service
from microapp_operator.desired.sidecars import AGENT_MODES
from microapp_operator.desired.storage import build_claims
from microapp_operator.desired.workload import build_deployment
from microapp_operator.model import Manifest, MicroApp, RiskTier
from microapp_operator.settings import VaultSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """All children, in the order in which they may exist.

    namespace first; then guardrails (quota, limits, default-deny, account, role binding); then openings
    (policies that allow something); last the workload (record, volumes, workload, service, disruption budget).
    ValueError when two children are the same object: the second would silently undo the first.
    """

    namespace: Manifest
    guardrails: tuple[Manifest, ...]
    openings: tuple[Manifest, ...]
    workload: tuple[Manifest, ...]

    def __post_init__(self) -> None:
        """Refuse duplicates."""
        seen = set()
        for manifest in self.all():
            ref = _ref(manifest)
            if ref in seen:
                raise ValueError(f"two children are {' '.join(ref)}")
            seen.add(ref)

    def all(self) -> tuple[Manifest, ...]:
        """Every child, in order."""
        return (self.namespace, *self.guardrails, *self.openings, *self.workload)


def build_plan(app: MicroApp, tier: RiskTier, context: RenderContext) -> Plan:
    """Every child of ``app`` as manifests, each labelled ours and carrying its applied-hash.

    Openings are ``context.targets`` and ``spec.ingress``; the workload is empty without ``context.runtime``.
    InvalidSpec when the MicroApp's own name can't become the name of a child.
    """
    return Plan(
        namespace=build_namespace(app, tier),
        guardrails=build_guardrails(app, tier),
        openings=build_openings(
            app,
            context.targets,
            _agents_store(tier, context.secrets),
            context.logging.settings if context.logging is not None else None,
        ),
        workload=_workload(app, tier, context, context.runtime) if context.runtime is not None else (),
    )


def build_guardrails(app: MicroApp, tier: RiskTier) -> tuple[Manifest, ...]:
    """What stands before anything opens or runs, and stays when nothing may run."""
    return (
        build_quota(app, tier),
        build_limits(app, tier),
        build_default_deny(app),
        build_account(app),
        build_owner_binding(app),
    )


def _agents_store(tier: RiskTier, secrets: SecretsContext | None) -> VaultSettings | None:
    """The store the pods themselves have to reach; None when something else fetches their secrets."""
    return secrets.store if secrets is not None and tier.spec.secrets.injection in AGENT_MODES else None


def _workload(app: MicroApp, tier: RiskTier, context: RenderContext, runtime: RuntimeChoice) -> tuple[Manifest, ...]:
    secrets, logging = context.secrets, context.logging
    forwarder = (build_forwarder_config(app, logging),) if logging is not None else ()
    kept = (build_accepted(app), *build_claims(app), *build_delivery(app, tier, secrets), *forwarder)
    match runtime.kind:
        case WorkloadKind.KNATIVE_SERVICE:
            return kept if is_stopped(app) else (*kept, build_knative_service(app, runtime))
        case WorkloadKind.DEPLOYMENT:
            budget = (build_budget(app),) if needs_budget(app) else ()
            deployment = deliver(build_deployment(app, tier, runtime, context.images), app, tier, secrets)
            if logging is not None:
                deployment = forward(deployment, tier, logging)
            return (*kept, deployment, build_service(app), *budget)


def _ref(manifest: Manifest) -> tuple[str, str, str, str]:
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"]
