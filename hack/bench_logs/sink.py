"""Where the records of the bench end: a process of its own that notes how old each was. It prints its port.

POST /v1/logs takes OTLP in JSON; GET / tells what came since the last GET: ``count``, and ``p50`` and ``p99`` in ms.
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

MARK: Final = "t="
"""Before the time a line was written at, in nanoseconds."""
DELAYS: Final[list[float]] = []


class Handler(BaseHTTPRequestHandler):
    """Takes records, and the question how they fared."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Records."""
        body, now = self.rfile.read(int(self.headers["Content-Length"])).decode(), time.time_ns()
        for piece in body.split(f'"{MARK}')[1:]:  # what JSON makes of it isn't the bench's business, nor its time
            DELAYS.append((now - int(piece.partition('"')[0])) / 1e6)
        self.answer("{}")

    def do_GET(self) -> None:
        """The question."""
        told, DELAYS[:] = sorted(DELAYS), []
        at = [told[min(int(len(told) * part), len(told) - 1)] if told else 0.0 for part in (0.5, 0.99)]
        self.answer(json.dumps({"count": len(told), "p50": at[0], "p99": at[1]}))

    def answer(self, text: str) -> None:
        """In JSON."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
