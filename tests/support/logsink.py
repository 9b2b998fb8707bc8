"""Where the gateway delivers to in tests on nodes: a real Collector, and beside it who counts what it hands on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.kubectl import Kubectl

NAMESPACE = "log-sink"
PORT = 4318
_RECORDER = Path(__file__).with_name("recorder.py")
_CONFIG: dict[str, Any] = {
    "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"0.0.0.0:{PORT}"}}}},
    "exporters": {
        "otlp_http": {
            "endpoint": "http://127.0.0.1:8081",
            "encoding": "json",
            "compression": "none",
            "sending_queue": {"enabled": False},
            "retry_on_failure": {"enabled": False},
        }
    },
    "service": {
        "telemetry": {"metrics": {"level": "none"}},
        "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
    },
}


@dataclass(frozen=True)
class LogSink:
    """The pod ``sink`` in a namespace of its own."""

    kubectl: Kubectl

    @property
    def endpoint(self) -> str:
        """Of the OTLP receiver, as the gateway is told."""
        return f"http://sink.{NAMESPACE}.svc:{PORT}"

    def told(self, app: str) -> dict[str, Any]:
        """What has arrived of ``app``: ``records``, ``lines`` (of those that count), ``repeated``, ``last``."""
        found: dict[str, Any] = json.loads(self._ask(f"/app?id={app}"))
        return found

    def bodies(self, app: str) -> list[dict[str, Any]]:
        """The bodies of the latest records of ``app``."""
        return [record["body"] for record in self.told(app)["last"]]

    def apps(self) -> list[str]:
        """Everybody of whom something has arrived."""
        found: list[str] = json.loads(self._ask("/apps"))
        return found

    def refuse(self, seconds: float) -> None:
        """Take nothing for so long."""
        self._ask(f"/down?seconds={seconds}", b"")

    def _ask(self, path: str, body: bytes | None = None) -> str:
        url = f"http://127.0.0.1:8081{path}"
        code = f"import urllib.request as u; print(u.urlopen({url!r}, data={body!r}).read().decode())"
        return self.kubectl("exec", "sink", "-n", NAMESPACE, "-c", "recorder", "--", "python3", "-c", code)


@contextmanager
def log_sink(kubectl: Kubectl, collector: str, python: str) -> Iterator[LogSink]:
    """It takes records inside. collector, python: images of the Collector and of something with a Python."""
    manifests = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        _config_map(),
        _pod(collector, python),
        _service(),
    ]
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
    try:
        kubectl("wait", "pod/sink", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=120s")
        yield LogSink(kubectl)
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _config_map() -> dict[str, Any]:
    data = {"config.json": json.dumps(_CONFIG), "recorder.py": _RECORDER.read_text()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sink", "namespace": NAMESPACE}, "data": data}


def _pod(collector: str, python: str) -> dict[str, Any]:
    mounts = [{"name": "config", "mountPath": "/etc/sink"}]
    listens = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    containers = [
        {
            "name": "collector",
            "image": collector,
            "args": ["--config=/etc/sink/config.json"],
            "readinessProbe": listens,
            "volumeMounts": mounts,
        },
        {"name": "recorder", "image": python, "command": ["python3", "/etc/sink/recorder.py"], "volumeMounts": mounts},
    ]
    spec = {
        "containers": containers,
        "volumes": [{"name": "config", "configMap": {"name": "sink"}}],
        "terminationGracePeriodSeconds": 1,
    }
    metadata = {"name": "sink", "namespace": NAMESPACE, "labels": {"app": "sink"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _service() -> dict[str, Any]:
    spec = {"selector": {"app": "sink"}, "ports": [{"name": "otlp", "port": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "sink", "namespace": NAMESPACE}, "spec": spec}
