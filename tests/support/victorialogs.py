"""VictoriaLogs: a real store of logs that takes the wire formats of Splunk, Elasticsearch and OTLP, and is asked."""

import json
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from hack.lab.build import binary, ensure_built
from hack.lab.components import VICTORIA_LOGS
from hack.lab.controlplane import free_ports

from tests.support.eventually import eventually


class VictoriaLogs:
    """One on this machine. folder: what it keeps; of another before it, if it is the same. port: where it is asked."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        ensure_built(VICTORIA_LOGS)
        self.port = port or free_ports(1)[0]
        self._folder = folder

    @property
    def url(self) -> str:
        """Of its root."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "victoria-logs.log"
        command = [
            str(binary(VICTORIA_LOGS)),
            f"-storageDataPath={self._folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            # It throws away what is older than this; the records of these tests say that they are of January.
            "-retentionPeriod=100y",
        ]
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        eventually(lambda: self._healthy() or self._process.poll() is not None, timeout=30)
        assert self._process.poll() is None, log.read_text()[-3000:]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def records(self, query: str = "*") -> list[dict[str, Any]]:
        """What it has kept, as far as ``query`` (LogsQL) asks for it."""
        said = urlencode({"query": query, "limit": 100_000})
        with urllib.request.urlopen(f"{self.url}/select/logsql/query?{said}", timeout=30) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
