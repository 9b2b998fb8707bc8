"""The pod that runs a WebAssembly module in a hardened container, for clusters without a RuntimeClass for it.

Imports model, wasm_runner, pod and delivery.files only.
"""

from typing import Any, Final

from microapp_operator.desired.delivery.files import FOLDER
from microapp_operator.desired.pod import (
    build_pod_spec,
    clean_path,
    literal,
    replica_size,
    storage_mounts,
    storage_volumes,
)
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.wasm_runner import DEFAULT_MODULE, GUEST_ROOT, INSTANCES, MODULE_ROOT, RESERVE, VARIABLE
from microapp_operator.wasm_runner.wire import ModuleConfig, write_config

COMMAND: Final = ("python3", "-P", "-m", "microapp_operator.wasm_runner")
VOLUME: Final = "module"


def build_module_pod(app: MicroApp, runtime_class: str, runner: str) -> Manifest:
    """Pod spec whose container is of the image ``runner``; the app's image is data, mounted read-only (KEP-4639).

    Nothing the app declares reaches the runner itself: its variables travel in one of ours, and its storage is mounted
    below a folder that the runner has no file in.
    """
    spec = build_pod_spec(app, runtime_class)
    container: dict[str, Any] = spec["containers"][0]
    container |= {
        "image": runner,
        "command": list(COMMAND),
        "env": [{"name": VARIABLE, "value": literal(write_config(build_config(app)))}],
        "volumeMounts": [
            {"name": VOLUME, "mountPath": MODULE_ROOT, "readOnly": True},
            *({**mount, "mountPath": GUEST_ROOT + mount["mountPath"]} for mount in storage_mounts(app)),
        ],
    }
    spec["volumes"] = [{"name": VOLUME, "image": {"reference": app.spec.runtime.image}}, *storage_volumes(app)]
    return spec


def build_config(app: MicroApp) -> ModuleConfig:
    """What the runner is told."""
    runtime = app.spec.runtime
    module, *arguments = runtime.command or (DEFAULT_MODULE,)
    return ModuleConfig(
        module=clean_path(module),
        port=runtime.port,
        memory=(int(replica_size(app).memory) - RESERVE) // INSTANCES,
        arguments=tuple(arguments),
        environment=tuple((e.name, e.value) for e in runtime.env),
        folders=tuple(mount["mountPath"] for mount in storage_mounts(app)),
        secrets=FOLDER if app.spec.secrets else "",
    )
