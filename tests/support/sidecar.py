"""The real Collector with the sidecar's configuration, in front of a receiver."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hack.lab.build import binary, ensure_built
from hack.lab.components import FORWARDER
from hack.lab.controlplane import free_ports

from microapp_operator.desired.forwarding import build_sidecar_config
from tests.support.eventually import eventually
from tests.support.otlp import Receiver

POD_UID = "0a1b2c3d-0000-4000-8000-0000000000f0"
READ_AT = "2026-01-18T15:00:00Z"
"""When a launcher read the records that are sent here."""
_READ_AT = 1_768_748_400 * 10**9


class Sidecar:
    """A Collector that does what the sidecar does. port: where it takes records."""

    def __init__(self, folder: Path, gateway: Receiver | str, uid: str = POD_UID) -> None:
        """gateway: what stands for it, or the URL of the real one. uid: of the pod it is in."""
        ensure_built(FORWARDER)
        self._uid = uid
        self.port, health = free_ports(2)
        url = gateway if isinstance(gateway, str) else f"http://127.0.0.1:{gateway.port}"
        config = build_sidecar_config(url, port=self.port)
        config["extensions"]["health_check"]["endpoint"] = f"127.0.0.1:{health}"
        config["exporters"]["otlp_http"] |= {"encoding": "json", "compression": "none"}  # what the test can read
        self._config = folder / "sidecar.json"
        self._config.write_text(json.dumps(config))

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        """The process, once it takes records."""
        command = [str(binary(FORWARDER)), f"--config={self._config}"]
        with subprocess.Popen(command, env={**os.environ, "POD_UID": self._uid}) as process:
            try:
                eventually(self._answers, timeout=60)
                yield process
            finally:
                process.kill()

    def send(self, *bodies: str) -> None:
        """Records as a launcher sends them."""
        records = [{"observedTimeUnixNano": str(_READ_AT), "body": {"stringValue": body}} for body in bodies]
        self.post({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})

    def post(self, request: dict[str, Any]) -> None:
        """An ExportLogsServiceRequest."""
        url, kind = f"http://127.0.0.1:{self.port}/v1/logs", {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(request).encode(), kind), timeout=30):
            pass

    def _answers(self) -> bool:
        try:
            self.post({"resourceLogs": []})
        except OSError:
            return False
        return True
