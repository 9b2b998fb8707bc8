"""Secrets as variables, for apps that can't read a file: a small program sets them and becomes the app.

It is copied into the pod by an init container, and knows what to run from ``runtime.command``. Pure.
"""

from typing import Final

from microapp_operator.desired.context import SecretsContext
from microapp_operator.desired.delivery.files import file_of
from microapp_operator.desired.pod import build_security_context
from microapp_operator.desired.sizes import parse_size
from microapp_operator.model import Manifest, RiskTier

LAUNCHER: Final = "secrets-launcher"
PLACE: Final = "/microapps.dev"
_PROGRAM: Final = f"{PLACE}/launcher"
_USER: Final = 65532


def add_launcher(spec: Manifest, app: Manifest, tier: RiskTier, secrets: SecretsContext) -> None:
    """Put the launcher before the command of container ``app`` in pod ``spec``, if a secret is to be a variable.

    ValueError without an image or a command: deciding must have refused that.
    """
    exported = [s for s in secrets.sources if s.env]
    if not exported:
        return
    if secrets.store.launcher_image is None or not app.get("command"):
        raise ValueError("a secret can't be exported without a launcher and a command")
    agent = tier.spec.secrets.agent
    size = parse_size(agent.cpu, agent.memory).render()
    install = {
        "name": LAUNCHER,
        "image": secrets.store.launcher_image,
        "command": ["/launcher", "install", _PROGRAM],
        "resources": {"requests": size, "limits": dict(size)},
        "securityContext": {**build_security_context(), "runAsUser": _USER},
        "volumeMounts": [{"name": LAUNCHER, "mountPath": PLACE}],
    }
    variables = [word for s in exported for word in ("--env", f"{s.env}={file_of(s)}")]
    app["command"] = [_PROGRAM, "run", *variables, "--", *app["command"]]
    app["volumeMounts"] = [*app["volumeMounts"], {"name": LAUNCHER, "mountPath": PLACE, "readOnly": True}]
    spec["volumes"] = [*spec["volumes"], {"name": LAUNCHER, "emptyDir": {"sizeLimit": "16Mi"}}]
    spec["initContainers"] = [install, *spec.get("initContainers", ())]
