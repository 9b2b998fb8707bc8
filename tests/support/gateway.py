"""The real Collector with the configuration of the gateway as the chart ships it, beside a cluster."""

import http.client
import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hack.lab.build import binary, ensure_built
from hack.lab.components import GATEWAY
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports
from hack.loggateway import TARGET

from tests.support.eventually import eventually

NAMESPACE = "default"
"""Where the platform's pods are in these tests."""
DATADOG_KEY = "0" * 32
READABLE = {"exporters": {"otlp_http": {"encoding": "json", "compression": "none"}}}
"""For a sink that is a Receiver."""


class Gateway:
    """A Collector that does what the gateway does. apps, platform, forwarding, telemetry: its ports."""

    def __init__(self, folder: Path, cluster: Cluster, sinks: dict[str, Any], *more: dict[str, Any], key: str) -> None:
        """more: configuration that goes on top. key: of the HMAC."""
        ensure_built(GATEWAY)
        self.apps, self.platform, self.telemetry, self.forwarding, self._health = free_ports(5)
        self.log = folder / "gateway.log"
        files = [TARGET]
        for number, content in enumerate((sinks, self._here(folder / "queue", cluster), *more)):
            files.append(folder / f"{number}.json")
            files[-1].write_text(json.dumps(content))
        self._command = [str(binary(GATEWAY)), *(f"--config={file}" for file in files)]
        told = {"KUBECONFIG": str(cluster.kubeconfig), "POD_NAMESPACE": NAMESPACE, "REDACTION_KEY": key}
        self._environment = {**os.environ, **told, "DATADOG_API_KEY": DATADOG_KEY}

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        """The process, once it is healthy."""
        with (
            self.log.open("ab") as log,
            subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log) as process,
        ):
            try:
                eventually(lambda: self._healthy() or process.poll() is not None, timeout=60)
                assert process.poll() is None, self.log.read_text()[-3000:]
                yield process
            finally:
                process.kill()

    def post(self, source: str, request: dict[str, Any] | bytes, path: str = "/v1/logs", *, port: int = 0) -> int:
        """Send an OTLP request from the address ``source``; returns the status of the answer."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        connection = http.client.HTTPConnection("127.0.0.1", port or self.apps, timeout=30, source_address=(source, 0))
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()

    def measured(self, port: int) -> dict[str, float]:
        """{"name{labels}": value} of one of its pages of metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            rows = [_row(line) for line in answer.read().decode().splitlines() if line[:1] not in ("", "#")]
        return dict(rows)

    def total(self, port: int, name: str, **labels: str) -> float:
        """The sum of all series of ``name`` with those labels."""
        found = 0.0
        for series, value in self.measured(port).items():
            head, _, tail = series.partition("{")
            have = dict(re.findall(r'(\w+)="([^"]*)"', tail))
            if head == name and labels.items() <= have.items():
                found += value
        return found

    def _here(self, queue: Path, cluster: Cluster) -> dict[str, Any]:
        """What a process on this machine needs: ports, a folder, and the user's way to the API server."""
        pods = {"auth_type": "kubeConfig", "context": cluster.context}
        shipped = yaml.safe_load(TARGET.read_text())["service"]["telemetry"]["metrics"]["readers"]
        page = shipped[0]["pull"]["exporter"]["prometheus"] | {"host": "127.0.0.1", "port": self.telemetry}
        reader = {"pull": {"exporter": {"prometheus": page}}}
        storage = {"directory": str(queue), "compaction": {"directory": str(queue)}}
        return {
            "receivers": {
                "otlp/apps": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.apps}"}}},
                "otlp/platform": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.platform}"}}},
            },
            "processors": {"k8s_attributes/apps": pods, "k8s_attributes/platform": pods},
            "exporters": {"prometheus": {"endpoint": f"127.0.0.1:{self.forwarding}"}},
            "extensions": {
                "health_check": {"endpoint": f"127.0.0.1:{self._health}"},
                "file_storage/queue": storage,
            },
            "service": {"telemetry": {"metrics": {"readers": [reader]}}},
        }

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _row(line: str) -> tuple[str, float]:
    """Series and value of a line of Prometheus text, which may end in a time."""
    head, brace, tail = line.rpartition("}")
    name, value, *_ = [head + brace, *tail.split()] if brace else line.split()
    return name, float(value)
