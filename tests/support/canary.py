"""The canary as a process of its own, beside a gateway, and a backend that answers what a test says."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

from hack.lab.context import Cluster
from hack.process import OperatorProcess

from tests.support.apppods import Pod
from tests.support.gateway import Gateway
from tests.support.httpserver import HttpServer, Response

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
class Backend(HttpServer):
    """Answers questions by what a test says. asked: path, headers and body of each."""

    answer: Callable[[str, bytes], Response]
    asked: list[tuple[str, Message, bytes]] = field(default_factory=list)
    port: int = 0

    def respond(self, path: str, headers: Message, body: bytes) -> Response:
        self.asked.append((path, headers, body))
        return self.answer(path, body)


def shown(process: OperatorProcess, name: str, **labels: str) -> float:
    """A number of its page; 0 while it isn't there."""
    return process.total(f"{PAGE}_{name}", **labels)


def made(folder: Path, cluster: Cluster, sinks: dict[str, Any], pod: Pod, *more: dict[str, Any]) -> Gateway:
    """A gateway that takes the canary's records."""
    return Gateway(folder, cluster, sinks, at_its_address(pod), *more, key="0123456789abcdef" * 2)
