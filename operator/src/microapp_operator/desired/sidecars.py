"""What a replica gets beyond the app itself. Imports model and sizes only."""

from microapp_operator.desired.sizes import Size, parse_size
from microapp_operator.model import MicroApp, RiskTier
from microapp_operator.model.tier import Injection

AGENT_MODES = frozenset({Injection.RENDERED, Injection.VAULT_ANNOTATIONS, Injection.OPENBAO_ANNOTATIONS})
"""Modes that put an agent into each pod."""


def sidecar_size(app: MicroApp, tier: RiskTier) -> Size:
    """CPU and memory per pod: the tier's reserve, and the agent's where the app has secrets."""
    reserve, secrets = tier.spec.sidecar_reserve, tier.spec.secrets
    size = parse_size(reserve.cpu, reserve.memory)
    if app.spec.secrets and secrets.injection in AGENT_MODES:
        return size.plus(parse_size(secrets.agent.cpu, secrets.agent.memory))
    return size
