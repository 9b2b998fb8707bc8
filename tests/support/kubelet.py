"""A node that has logs, and nothing else: it writes what a test wants to be there, hostile bytes included.

The API server asks it as it asks a kubelet: ``GET /containerLogs/<namespace>/<pod>/<container>`` over TLS.
"""

import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import trustme


@dataclass
class Kubelet:
    """``with Kubelet(folder) as node``. logs: what ``namespace/pod/container`` has written. asked: by path, as what."""

    folder: Path
    logs: dict[str, bytes] = field(default_factory=dict)
    asked: dict[str, dict[str, str]] = field(default_factory=dict)

    def __enter__(self) -> "Kubelet":
        this = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                name = asked.path.removeprefix("/containerLogs/")
                this.asked[name] = {key: values[0] for key, values in parse_qs(asked.query).items()}
                body = this.logs[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        certificate = self.folder / "kubelet.pem"
        trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens on loopback."""
        return int(self._server.server_address[1])


def build_node(name: str, port: int) -> str:
    """The Node whose kubelet is at ``port`` of loopback, as JSON; the API server must be there too."""
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    return json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status})
