"""Secrets as apps declare them, also such as the model would refuse, to be decided on."""

from ipaddress import ip_network
from typing import Any

from microapp_operator.decide.limits import LimitInput
from microapp_operator.decide.secrets import SecretsDecision, resolve_secrets
from microapp_operator.gates import ApprovalVerdict
from microapp_operator.model import Connector, MicroApp, RiskTier, SecretRequest
from microapp_operator.model.common import SecretEngine
from microapp_operator.model.connector import ConnectorCredential
from microapp_operator.reasons import Finding, Reason
from microapp_operator.settings import VaultSettings
from tests.support.samples import make_app, make_connector

VAULT = VaultSettings(
    address="https://vault.example.com:8200",
    networks=(ip_network("192.0.2.10/32"),),
    agent_image="registry.example.com/platform/vault@sha256:" + "c" * 64,
    launcher_image="registry.example.com/platform/launcher@sha256:" + "d" * 64,
)
SERVED = frozenset({"secrets.hashicorp.com/v1beta1", "external-secrets.io/v1"})


def request(name: str = "api", path: str | None = None, **fields: Any) -> SecretRequest:
    """An entry of spec.secrets of which nothing was validated: rules on the way in may be gone."""
    engine = SecretEngine(fields.pop("engine", "kv"))
    return SecretRequest.model_construct(name=name, path=path, engine=engine, **fields)


def declaring(*secrets: SecretRequest, name: str = "expenses", namespace: str = "finance", **spec: Any) -> MicroApp:
    """An app that declares ``secrets``."""
    app = make_app(name, namespace, **spec)
    return app.model_copy(update={"spec": app.spec.model_copy(update={"secrets": secrets})})


def connector_with(path: str, engine: str = "kv", **spec: Any) -> Connector:
    """A Connector whose credential is at ``path``, of which nothing was validated."""
    made = make_connector(**spec)
    credential = ConnectorCredential.model_construct(path=path, engine=SecretEngine(engine))
    return made.model_copy(update={"spec": made.spec.model_copy(update={"credential": credential})})


def decide(
    app: MicroApp,
    tier: RiskTier,
    *,
    connectors: dict[str, Connector] | None = None,
    vault: VaultSettings | None = VAULT,
    waiting: tuple[str, ...] = (),
    served: frozenset[str] = SERVED,
) -> SecretsDecision:
    """What is decided; ``waiting``: paths of secrets that lack an Approval."""
    verdict = ApprovalVerdict(
        True, secrets=tuple(Finding(Reason.SECRET_APPROVAL_PENDING, p, "waits.") for p in waiting)
    )
    return resolve_secrets(LimitInput(app, tier, connectors or {}, ()), verdict, vault, served)
