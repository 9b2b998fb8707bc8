"""Answers HTTP on loopback in a thread, as what derives from it says: for faults a real server has by chance alone."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Response = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body."""


class HttpServer(ABC):
    """Listens inside ``with``. port: 0 for a free one."""

    port: int

    @abstractmethod
    def respond(self, path: str, headers: Message, body: bytes) -> Response:
        """To one GET or POST."""

    def __enter__(self) -> Self:
        this = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, body = this.respond(self.path, self.headers, sent)
                self.send_response(status)
                for name, text in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the server's own name for it

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
