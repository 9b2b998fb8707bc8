"""Stands for Datadog's intake of logs: POST /api/v2/logs, a list of objects in JSON, compressed with gzip."""

import gzip
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Intake:
    """answer: the status it gives to a request; 202 is yes. logs: what it has taken. keys: by whom."""

    answer: Callable[[], int] = lambda: 202
    port: int = 0
    logs: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def __enter__(self) -> "Intake":
        this = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                assert self.path == "/api/v2/logs"
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    sent = gzip.decompress(sent)
                status, logs = this.answer(), json.loads(sent)
                if status == 202 and isinstance(logs, list):  # not the empty object that asks whether anyone is there
                    this.logs += logs
                    this.keys.add(self.headers["DD-API-KEY"])
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fields(self) -> list[dict[str, Any]]:
        """What Datadog makes fields of: the JSON that each message is."""
        return [json.loads(log["message"]) for log in self.logs]
