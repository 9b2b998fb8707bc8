"""The launcher: a small program of the platform's that runs the app, with variables set or its output forwarded.

An init container copies it into the pod; what to run it knows from the container's command. Imports model, pod and
sizes only.
"""

from collections.abc import Sequence
from typing import Final

from microapp_operator.desired.pod import build_security_context
from microapp_operator.desired.sizes import Size
from microapp_operator.model import Manifest

CONTAINER: Final = "launcher"
PLACE: Final = "/microapps.dev"
PROGRAM: Final = f"{PLACE}/launcher"
_USER: Final = 65532


def launch(spec: Manifest, app: Manifest, image: str, size: Size, options: Sequence[str]) -> None:
    """Have container ``app`` of pod ``spec`` run by the launcher with ``options``, on top of those it has.

    image, size: of the init container that brings it, if none does yet. Its command has to be said, since the image's
    own isn't there any more then; what args it has stay what they are. ValueError without an image or a command:
    deciding must have refused that.
    """
    command = app.get("command")
    if not image or not command:
        raise ValueError("nothing can be launched without a launcher and a command")
    if command[:2] == [PROGRAM, "run"]:
        app["command"] = [*command[:2], *options, *command[2:]]
        return
    app["command"] = [PROGRAM, "run", *options, "--", *command]
    app["volumeMounts"] = [*app["volumeMounts"], {"name": CONTAINER, "mountPath": PLACE, "readOnly": True}]
    spec["volumes"] = [*spec["volumes"], {"name": CONTAINER, "emptyDir": {"sizeLimit": "16Mi"}}]
    spec["initContainers"] = [_install(image, size), *spec.get("initContainers", ())]


def _install(image: str, size: Size) -> Manifest:
    resources = size.render()
    return {
        "name": CONTAINER,
        "image": image,
        "command": ["/launcher", "install", PROGRAM],
        "resources": {"requests": resources, "limits": dict(resources)},
        "securityContext": {**build_security_context(), "runAsUser": _USER},
        "volumeMounts": [{"name": CONTAINER, "mountPath": PLACE}],
    }
