"""The hardened pod that every profile runs in: Pod Security Standards, level ``restricted``, and then some.

Imports model, metadata and sizes only.
"""

import posixpath
from typing import Any, Final

from microapp_operator.desired.metadata import shorten
from microapp_operator.desired.sizes import Size, parse_size
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.model.status import Entrypoint

CONTAINER: Final = "app"
"""Name of the app's container; sidecars have other names."""
_TMP: Final = "/tmp"  # noqa: S108 - a path in the container, on a volume of its own
_TMP_SIZE: Final = "64Mi"
_FS_GROUP: Final = 65532
"""Group that owns mounted volumes: an app that isn't root could write to none without it."""


def build_pod_spec(app: MicroApp, runtime_class: str, entrypoint: Entrypoint | None = None) -> Manifest:
    """Pod spec of ``app`` with what both Deployments and Knative accept; the container has no port yet.

    What Pod Security asks for stands at the container: Knative refuses it at the pod by default
    (knative/serving, fieldmask.go). No token is mounted, and no Service of the namespace gets into the
    environment. runtime_class is empty for the cluster's default. entrypoint: what the image runs, to be said here
    where the app doesn't.
    """
    spec: Manifest = {
        "serviceAccountName": app.metadata.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [_container(app, entrypoint)],
        "volumes": _volumes(app),
    }
    if runtime_class:
        spec["runtimeClassName"] = runtime_class
    if app.spec.storage:
        spec["securityContext"] = {"fsGroup": _FS_GROUP, "fsGroupChangePolicy": "OnRootMismatch"}
    return spec


def replica_size(app: MicroApp) -> Size:
    """What one replica of the app itself gets."""
    resources = app.spec.runtime.resources
    return parse_size(resources.cpu, resources.memory)


def build_security_context() -> Manifest:
    """Container security context that Pod Security ``restricted`` accepts, on a read-only root."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def literal(text: str) -> str:
    """``text`` so that the kubelet hands it on unchanged: it expands ``$(NAME)`` and turns ``$$`` into ``$``.

    Rule: core/v1 EnvVar.value and Container.command.
    """
    return text.replace("$", "$$")


def _container(app: MicroApp, entrypoint: Entrypoint | None) -> Manifest:
    runtime = app.spec.runtime
    size = replica_size(app).render()
    container: Manifest = {
        "name": CONTAINER,
        "image": runtime.image,
        "resources": {"requests": size, "limits": dict(size)},
        "securityContext": build_security_context(),
        "volumeMounts": _mounts(app),
    }
    if runtime.command:
        container["command"] = [literal(part) for part in runtime.command]
    elif entrypoint is not None:
        container["command"] = [literal(part) for part in entrypoint.command]
        if entrypoint.args:
            container["args"] = [literal(part) for part in entrypoint.args]
    if runtime.env:
        container["env"] = [{"name": e.name, "value": literal(e.value)} for e in runtime.env]
    return container


def storage_mounts(app: MicroApp) -> list[dict[str, Any]]:
    """Where the container sees the storage of ``app``."""
    return [{"name": _volume_name(v.name), "mountPath": clean_path(v.mount_path)} for v in app.spec.storage]


def storage_volumes(app: MicroApp) -> list[dict[str, Any]]:
    """The storage of ``app`` as volumes of its pod."""
    return [{"name": _volume_name(v.name), "persistentVolumeClaim": {"claimName": v.name}} for v in app.spec.storage]


def clean_path(path: str) -> str:
    """An absolute path without ``..``, ``.`` and doubled slashes."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _mounts(app: MicroApp) -> list[dict[str, Any]]:
    mounts = storage_mounts(app)
    return mounts if _has_own_tmp(app) else [{"name": "tmp", "mountPath": _TMP}, *mounts]


def _volumes(app: MicroApp) -> list[dict[str, Any]]:
    volumes = storage_volumes(app)
    tmp = {"name": "tmp", "emptyDir": {"sizeLimit": _TMP_SIZE}}
    return volumes if _has_own_tmp(app) else [tmp, *volumes]


def _has_own_tmp(app: MicroApp) -> bool:
    """Whether a volume of the app takes the place of ours: one path can be mounted once."""
    return any(clean_path(v.mount_path) == _TMP for v in app.spec.storage)


def _volume_name(name: str) -> str:
    """Prefixed, so that no volume of the app is named like one of ours."""
    return shorten(f"data-{name}", name)
