"""Secrets as variables, for apps that can't read a file: the launcher sets them. Pure."""

from microapp_operator.desired.context import SecretsContext
from microapp_operator.desired.delivery.files import file_of
from microapp_operator.desired.launching import launch
from microapp_operator.desired.sizes import parse_size
from microapp_operator.model import Manifest, RiskTier


def add_launcher(spec: Manifest, app: Manifest, tier: RiskTier, secrets: SecretsContext) -> None:
    """Have the launcher run container ``app`` of pod ``spec``, if a secret is to be a variable.

    ValueError without an image or a command: deciding must have refused that.
    """
    exported = [s for s in secrets.sources if s.env]
    if exported:
        agent = tier.spec.secrets.agent
        options = [word for s in exported for word in ("--env", f"{s.env}={file_of(s)}")]
        launch(spec, app, secrets.store.launcher_image or "", parse_size(agent.cpu, agent.memory), options)
