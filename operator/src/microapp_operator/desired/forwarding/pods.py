"""The sidecar that forwards an app's records, and how they get to it. Pure.

It is a native sidecar (KEP-753): there before the app starts, and there until its last line is delivered. Nothing waits
for it, because the launcher keeps what it can't deliver yet.
"""

import copy
import json
from typing import Any, Final

from microapp_operator.constants import ANNOTATION_LOGGING
from microapp_operator.desired.context import LoggingContext
from microapp_operator.desired.forwarding.sidecar import HEALTH_PORT, PORT, build_sidecar_config
from microapp_operator.desired.launching import launch
from microapp_operator.desired.metadata import build_child, seal
from microapp_operator.desired.pod import CONTAINER as APP
from microapp_operator.desired.pod import build_security_context
from microapp_operator.desired.sizes import Size, parse_size
from microapp_operator.model import Manifest, MicroApp, RiskTier
from microapp_operator.model.canonical import digest
from microapp_operator.model.microapp import LogSource

CONTAINER: Final = "log-forwarder"
FOLDER: Final = "/logs"
"""Where an app of mode file writes."""
FILE: Final = f"{FOLDER}/app.log"
SPOOL: Final = "/var/spool/microapps.dev"
_SPOOL_VOLUME: Final = "log-spool"
_FILE_VOLUME: Final = "logs"
_CONFIG: Final = "/etc/log-forwarder"
_USER: Final = 65532
_ROOM: Final = 32 * 2**20
"""Bytes of records that may wait in a pod; what is more is dropped, oldest first, and counted."""
_SPOOL_SIZE: Final = "96Mi"
"""Of the volume they wait on: far more than they take, since a volume that is full costs the pod (core/v1 emptyDir)."""
_FILE_SIZE: Final = "256Mi"
"""What an app of mode file may be ahead of the launcher, which gives back the space of what it has read."""
_DRAIN: Final = 10
"""Seconds that records have to be delivered in once the app has ended."""
_GRACE: Final = 45
"""Seconds a pod has to end in: 30 for the app, as everywhere, the drain, and a rest for the sidecar."""
_OTLP: Final = (
    ("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{PORT}"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
)
_GO_SHARE: Final = 0.8
"""Part of the sidecar's memory that Go's runtime keeps its heap below."""


def build_forwarder_config(app: MicroApp, logging: LoggingContext) -> Manifest:
    """The ConfigMap ``log-forwarder``. No secret in it."""
    text = json.dumps(_configuration(logging), indent=1, sort_keys=True) + "\n"
    return build_child(app, "ConfigMap", name=CONTAINER, body={"data": {"config.json": text}})


def forward(deployment: Manifest, tier: RiskTier, logging: LoggingContext) -> Manifest:
    """``deployment`` whose pods forward what the app writes.

    ValueError where that is by a launcher and there is no command: deciding must have refused it.
    """
    changed = copy.deepcopy(deployment)
    template = changed["spec"]["template"]
    spec, reserve = template["spec"], tier.spec.sidecar_reserve
    size = parse_size(reserve.cpu, reserve.memory)
    config = {"name": CONTAINER, "configMap": {"name": CONTAINER}}
    spec["volumes"] = [*spec["volumes"], config]
    # Last: what a sidecar gets counts besides every init container that comes after it (KEP-753), the gate for one.
    spec["initContainers"] = [*spec.get("initContainers", ()), _forwarder(logging, size)]
    app = next(c for c in spec["containers"] if c["name"] == APP)
    if logging.source is LogSource.OTLP:
        _tell(app)
    else:
        _tee(spec, app, logging, size)
    metadata = template["metadata"]
    stamp = {ANNOTATION_LOGGING: digest(_configuration(logging))[:32]}
    metadata["annotations"] = {**metadata.get("annotations", {}), **stamp}
    return seal(changed)


def _tell(app: Manifest) -> None:
    """Tell the app's SDK where to send, as far as the app doesn't say so itself (OpenTelemetry, OTLP exporter)."""
    given = app.get("env", [])
    told = [{"name": name, "value": value} for name, value in _OTLP if name not in {each["name"] for each in given}]
    app["env"] = [*given, *told]


def _tee(spec: Manifest, app: Manifest, logging: LoggingContext, size: Size) -> None:
    """Have the launcher pass on what the app writes to its standard output, or to ``FILE``."""
    options = ["--forward", f"http://127.0.0.1:{PORT}/v1/logs", "--spool", SPOOL]
    options += ["--room", str(_ROOM), "--drain", str(_DRAIN)]
    volumes = [(_SPOOL_VOLUME, SPOOL, _SPOOL_SIZE)]
    if logging.source is LogSource.FILE:
        options += ["--follow", FILE]
        volumes.append((_FILE_VOLUME, FOLDER, _FILE_SIZE))
    launch(spec, app, logging.settings.launcher_image, size, options)
    app["volumeMounts"] = [*app["volumeMounts"], *({"name": name, "mountPath": path} for name, path, _ in volumes)]
    spec["volumes"] = [*spec["volumes"], *({"name": n, "emptyDir": {"sizeLimit": limit}} for n, _, limit in volumes)]
    spec["terminationGracePeriodSeconds"] = _GRACE


def _forwarder(logging: LoggingContext, size: Size) -> Manifest:
    """Its health is the pod's: a pod whose records go nowhere shouldn't be one that is sent work."""
    healthy = {"httpGet": {"path": "/", "port": HEALTH_PORT}, "periodSeconds": 5, "timeoutSeconds": 3}
    resources = size.render()
    return {
        "name": CONTAINER,
        "image": logging.settings.forwarder_image,
        "args": [f"--config={_CONFIG}/config.json"],
        "restartPolicy": "Always",
        "env": [
            {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
            {"name": "GOMEMLIMIT", "value": str(int(float(size.memory) * _GO_SHARE))},
        ],
        "resources": {"requests": resources, "limits": dict(resources)},
        "securityContext": {**build_security_context(), "runAsUser": _USER},
        "readinessProbe": {**healthy, "failureThreshold": 3},
        "livenessProbe": {**healthy, "periodSeconds": 10, "failureThreshold": 6},
        "volumeMounts": [{"name": CONTAINER, "mountPath": _CONFIG, "readOnly": True}],
    }


def _configuration(logging: LoggingContext) -> dict[str, Any]:
    return build_sidecar_config(f"http://{logging.address}", logging.source)
