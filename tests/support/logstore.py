"""A log store on a node that tells what it keeps, and one in its place that says yes and keeps nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from hack.kubectl import Kubectl

NAMESPACE = "log-store"
PORT = 9428
_LIAR = f"""
import http.server
class Liar(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    do_GET = do_POST
http.server.ThreadingHTTPServer(("", {PORT}), Liar).serve_forever()
"""


@dataclass(frozen=True)
class LogStore:
    """VictoriaLogs in a namespace of its own. image: of it. python: of something with a Python."""

    kubectl: Kubectl
    image: str
    python: str

    @property
    def url(self) -> str:
        """As the gateway's pods reach it."""
        return f"http://store.{NAMESPACE}.svc:{PORT}"

    def keep(self) -> None:
        """From now on what is sent is kept, in an empty store."""
        arguments = ["-storageDataPath=/data", f"-httpListenAddr=:{PORT}"]
        store = {"name": "store", "image": self.image, "args": arguments, "volumeMounts": [_mount()]}
        asker = {"name": "asker", "image": self.python, "command": ["python3", "-c", "import signal; signal.pause()"]}
        self._replace({**store, "readinessProbe": _listens()}, asker)

    def forget(self) -> None:
        """From now on it says yes to all, with what it was asked, and keeps nothing."""
        self._replace(
            {"name": "liar", "image": self.python, "command": ["python3", "-c", _LIAR], "readinessProbe": _listens()}
        )

    def records(self, query: str) -> list[dict[str, Any]]:
        """What it has kept that ``query`` (LogsQL) finds."""
        url = f"http://127.0.0.1:{PORT}/select/logsql/query?{urlencode({'query': query})}"
        code = f"import urllib.request as u; print(u.urlopen({url!r}).read().decode())"
        said = self.kubectl("exec", "store", "-n", NAMESPACE, "-c", "asker", "--", "python3", "-c", code)
        return [json.loads(line) for line in said.splitlines() if line]

    def _replace(self, *containers: dict[str, Any]) -> None:
        self.kubectl("delete", "pod", "store", "-n", NAMESPACE, "--ignore-not-found", "--timeout=60s")
        spec = {
            "containers": list(containers),
            "volumes": [{"name": "data", "emptyDir": {}}],
            "terminationGracePeriodSeconds": 0,
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "store", "labels": {"app": "store"}},
            "spec": spec,
        }
        self.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(pod))
        self.kubectl("wait", "pod/store", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=120s")


@contextmanager
def log_store(kubectl: Kubectl, image: str, python: str) -> Iterator[LogStore]:
    """It keeps what it is sent, inside."""
    kubectl("create", "namespace", NAMESPACE)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "store"},
        "spec": {"selector": {"app": "store"}, "ports": [{"port": PORT}]},
    }
    try:
        kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(service))
        store = LogStore(kubectl, image, python)
        store.keep()
        yield store
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _mount() -> dict[str, str]:
    return {"name": "data", "mountPath": "/data"}


def _listens() -> dict[str, Any]:
    return {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
