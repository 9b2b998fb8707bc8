"""Modes VaultAnnotations and OpenBaoAnnotations: an installed injector adds the agent, as annotations tell it to.

Its webhook ships for all namespaces and failing open: a pod may then start without its secrets. Hence opt-in.
"""

from typing import Final

from microapp_operator.desired.context import SecretsContext
from microapp_operator.desired.delivery.files import (
    FOLDER,
    TOKEN_VOLUME,
    annotate,
    build_template,
    change_template,
    token_volume,
)
from microapp_operator.desired.delivery.launcher import add_launcher
from microapp_operator.desired.metadata import seal
from microapp_operator.desired.sizes import parse_size
from microapp_operator.desired.vault import identity_name
from microapp_operator.model import Manifest, MicroApp, RiskTier
from microapp_operator.model.tier import Injection

_PREFIXES: Final = {
    Injection.VAULT_ANNOTATIONS: "vault.hashicorp.com",
    Injection.OPENBAO_ANNOTATIONS: "openbao.openbao.org",
}


def add_annotations(deployment: Manifest, app: MicroApp, tier: RiskTier, secrets: SecretsContext) -> Manifest:
    """``deployment`` as the injector wants it; KeyError when the tier's mode is none of these."""
    prefix = _PREFIXES[tier.spec.secrets.injection]
    changed, template, container = change_template(deployment)
    spec = template["spec"]
    spec["volumes"] = [*spec["volumes"], token_volume(secrets)]
    add_launcher(spec, container, tier, secrets)
    told = {f"{prefix}/{key}": value for key, value in _told(app, tier, secrets).items()}
    template["metadata"] = {**template["metadata"], "annotations": told}
    annotate(template, secrets, [told])
    return seal(changed)


def _told(app: MicroApp, tier: RiskTier, secrets: SecretsContext) -> dict[str, str]:
    store, agent = secrets.store, tier.spec.secrets.agent
    size = parse_size(agent.cpu, agent.memory).render()
    told = {
        "agent-inject": "true",
        "agent-init-first": "true",
        "agent-service-account-token-volume-name": TOKEN_VOLUME,
        "agent-image": store.agent_image,
        "auth-path": f"auth/{store.auth_mount}",
        "role": identity_name(app),
        "secret-volume-path": FOLDER,
        "service": store.address,
        "agent-requests-cpu": size["cpu"],
        "agent-requests-mem": size["memory"],
        "agent-limits-cpu": size["cpu"],
        "agent-limits-mem": size["memory"],
        "error-on-missing-key": "true",
        "template-static-secret-render-interval": "30s",
    }
    if store.vault_namespace:
        told["namespace"] = store.vault_namespace
    for source in secrets.sources:
        told[f"agent-inject-secret-{source.name}"] = source.read_path
        told[f"agent-inject-file-{source.name}"] = source.name
        told[f"agent-inject-template-{source.name}"] = build_template(source)
        told[f"agent-inject-perms-{source.name}"] = "0440"
    return told
