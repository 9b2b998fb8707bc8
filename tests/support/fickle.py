"""Stands before a real receiver of logs over HTTP: hands on what is sent, or answers itself."""

import gzip
import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.support.otlp import Answer


class Fickle:
    """url: of what is behind it. answer: None to hand on a request; status and body of an answer without that.

    bodies: what was handed on, uncompressed. headers: of its answers; Elasticsearch's client looks who answers.
    """

    def __init__(self, url: str, answer: Callable[[], Answer | None] = lambda: None) -> None:
        self.url, self.answer, self.port = url, answer, 0
        self.headers = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}
        self.bodies: list[bytes] = []

    def __enter__(self) -> Self:
        this = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                status, body = this.answer() or this._hand_on(self, sent)
                self.send_response(status)
                for name, text in {**this.headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _hand_on(self, request: BaseHTTPRequestHandler, sent: bytes) -> Answer:
        kept = {"content-type", "content-encoding", "authorization"}
        headers = {name: text for name, text in request.headers.items() if name.lower() in kept}
        self.bodies.append(gzip.decompress(sent) if headers.get("Content-Encoding") == "gzip" else sent)
        with urllib.request.urlopen(
            urllib.request.Request(self.url + request.path, sent, headers), timeout=30
        ) as answer:
            return answer.status, answer.read()
