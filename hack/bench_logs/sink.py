"""Where the records of the bench end: a process of its own that notes how old each was. It prints its port.

POST /v1/logs takes OTLP in JSON; GET / tells what came since the last GET: ``count``, ``again``, and ``p50`` and
``p99`` in ms.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from hack.bench_admission.load import percentile

MARK: Final = "t="
"""Before the time a line was written at, in nanoseconds, by which it is known: no two are written at once."""


class Arrivals:
    """What came. Delivery is at least once: a line that comes again says nothing of one that doesn't come at all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[int] = set()
        self._delays: list[float] = []
        self._again = 0

    def take(self, body: str, now: int) -> None:
        """Note the lines in a request that came at ``now``; of one that came before, that it came again."""
        # What JSON makes of it isn't the bench's business, nor its time.
        times = [int(piece.partition('"')[0]) for piece in body.split(f'"{MARK}')[1:]]
        with self._lock:
            for written in times:
                if written in self._known:
                    self._again += 1
                else:
                    self._known.add(written)
                    self._delays.append((now - written) / 1e6)

    def tell(self) -> dict[str, float]:
        """Of what came since it told last: how many lines, how many that weren't new, and delays in milliseconds."""
        with self._lock:
            told, self._delays = sorted(self._delays), []
            again, self._again = self._again, 0
        parts = {f"p{part}": percentile(told, part) if told else 0.0 for part in (50, 99)}
        return {"count": len(told), "again": again, **parts}


class Handler(BaseHTTPRequestHandler):
    """Takes records, and the question how they fared."""

    protocol_version = "HTTP/1.1"
    arrivals: Final = Arrivals()

    def do_POST(self) -> None:
        """Records."""
        body, now = self.rfile.read(int(self.headers["Content-Length"])).decode(), time.time_ns()
        self.arrivals.take(body, now)
        self.answer("{}")

    def do_GET(self) -> None:
        """The question."""
        self.answer(json.dumps(self.arrivals.tell()))

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
