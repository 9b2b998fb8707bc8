"""The canary as a process of its own, beside a gateway, and a backend that answers what a test says."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hack.lab.context import Cluster
from hack.process import OperatorProcess

from tests.support.apppods import Pod
from tests.support.gateway import Gateway

PLATFORM_PORT = 4319
PAGE = "microapp_log_canary"


def at_its_address(pod: Pod) -> dict[str, Any]:
    """More of a gateway's configuration: what the platform sends is taken at the pod's own address."""
    return {"receivers": {"otlp/platform": {"protocols": {"http": {"endpoint": f"{pod.address}:{PLATFORM_PORT}"}}}}}


@dataclass
class CanaryProcess:
    """``log-canary`` in the gateway's pod. read_backs: as its file has them. variables: of its container."""

    folder: Path
    cluster: Cluster
    pod: Pod
    read_backs: list[dict[str, Any]]
    interval: float = 10
    deadline: float = 30
    variables: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[OperatorProcess]:
        """The process, once it listens."""
        config = self.folder / "canary.json"
        told = {"interval": self.interval, "deadline": self.deadline, "readBacks": self.read_backs}
        config.write_text(json.dumps(told))
        command = ("log-canary", f"--config={config}", f"--gateway={self.pod.address}:{PLATFORM_PORT}")
        with OperatorProcess(self.cluster.kubeconfig, self.log, command=command, variables=self.variables) as process:
            yield process

    @property
    def log(self) -> Path:
        """What it writes."""
        return self.folder / "canary.log"


@dataclass
class Backend:
    """Answers questions by what a test says: status, headers and body. asked: path, headers and body of each."""

    answer: Callable[[str, bytes], tuple[int, dict[str, str], bytes]]
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        this = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                this.asked.append((self.path, dict(self.headers), body))
                status, headers, said = this.answer(self.path, body)
                self.send_response(status)
                for name, text in {**headers, "Content-Length": str(len(said))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(said)

            do_POST = do_GET  # noqa: N815 - the server's own name for it

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def shown(process: OperatorProcess, name: str, **labels: str) -> float:
    """A number of its page; 0 while it isn't there."""
    return process.total(f"{PAGE}_{name}", **labels)


def made(folder: Path, cluster: Cluster, sinks: dict[str, Any], pod: Pod, *more: dict[str, Any]) -> Gateway:
    """A gateway that takes the canary's records."""
    return Gateway(folder, cluster, sinks, at_its_address(pod), *more, key="0123456789abcdef" * 2)
