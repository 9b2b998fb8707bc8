"""The one place that knows which mode does what. Pure."""

from microapp_operator.desired.context import SecretsContext
from microapp_operator.desired.delivery.agent import add_agent, build_agent_config
from microapp_operator.desired.delivery.annotations import add_annotations
from microapp_operator.desired.delivery.copies import add_copies, build_external_secrets, build_vault_secrets
from microapp_operator.model import Manifest, MicroApp, Profile, RiskTier
from microapp_operator.model.tier import Injection


def build_delivery(app: MicroApp, tier: RiskTier, secrets: SecretsContext | None) -> tuple[Manifest, ...]:
    """The children besides the workload that the tier's mode needs."""
    if secrets is None:
        return ()
    match tier.spec.secrets.injection:
        case Injection.RENDERED:
            return (build_agent_config(app, secrets),)
        case Injection.VAULT_SECRETS_OPERATOR:
            return build_vault_secrets(app, secrets)
        case Injection.EXTERNAL_SECRETS:
            return build_external_secrets(app, tier, secrets)
        case Injection.VAULT_ANNOTATIONS | Injection.OPENBAO_ANNOTATIONS:
            return ()


def deliver(deployment: Manifest, app: MicroApp, tier: RiskTier, secrets: SecretsContext | None) -> Manifest:
    """``deployment`` whose pods get ``secrets``; itself when there are none.

    ValueError for a module's variable: deciding must have refused it.
    """
    if secrets is None:
        return deployment
    if app.spec.runtime.profile is Profile.WASM and any(s.env for s in secrets.sources):
        raise ValueError("a variable would become one of what runs the module")
    match tier.spec.secrets.injection:
        case Injection.RENDERED:
            return add_agent(deployment, app, tier, secrets)
        case Injection.VAULT_ANNOTATIONS | Injection.OPENBAO_ANNOTATIONS:
            return add_annotations(deployment, app, tier, secrets)
        case Injection.VAULT_SECRETS_OPERATOR:
            return add_copies(deployment, app, secrets, one=False)
        case Injection.EXTERNAL_SECRETS:
            return add_copies(deployment, app, secrets, one=True)
