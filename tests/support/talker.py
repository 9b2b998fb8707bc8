"""An app that writes numbered lines as it is told, and measures how long its writes take. Runs in a pod.

``python3 talker.py [FILE]``: GET /start?rate=500&seconds=120&size=50, /say?text=…, /rotate and /stats. Writes to FILE,
else to standard output. Numbers go on from where the last start ended.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO
from urllib.parse import parse_qs, urlsplit


class Talker:
    """Writes, and remembers the slowest write."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out, self.lock = out, threading.Lock()
        self.written, self.slowest, self.busy = 0, 0.0, False

    def write(self, data: bytes) -> None:
        """At once, one write after the other."""
        with self.lock:
            began = time.monotonic()
            self.out.write(data)
            self.out.flush()
            self.slowest = max(self.slowest, time.monotonic() - began)

    def rotate(self, path: str) -> None:
        """Go on in a new file, as loggers do."""
        with self.lock:
            os.rename(path, f"{path}.1")
            self.out = open(path, "ab")  # noqa: SIM115 - for as long as it runs

    def start(self, rate: float, seconds: float, size: int) -> None:
        """Lines of so many bytes more than their number, in the background."""
        self.busy, self.slowest = True, 0.0
        threading.Thread(target=self.run, args=(rate, seconds, size), daemon=True).start()

    def run(self, rate: float, seconds: float, size: int) -> None:
        """Until the time is over; as many as were due, however slow the writes."""
        began, first = time.monotonic(), self.written
        padding = "x" * size
        while time.monotonic() - began < seconds:
            due = first + int((time.monotonic() - began) * rate)
            while self.written < due:
                self.write(f"line {self.written} {padding}\n".encode())
                self.written += 1
            time.sleep(0.002)
        self.busy = False


OUT = open(sys.argv[1], "ab") if len(sys.argv) > 1 else sys.stdout.buffer  # noqa: SIM115 - for as long as it runs
TALKER = Talker(OUT)


class Handler(BaseHTTPRequestHandler):
    """Takes orders."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        given = {key: values[0] for key, values in parse_qs(asked.query).items()}
        if asked.path == "/start":
            TALKER.start(float(given["rate"]), float(given["seconds"]), int(given.get("size", 50)))
        elif asked.path == "/rotate":
            TALKER.rotate(sys.argv[1])
        elif asked.path == "/say":
            TALKER.write(given["text"].encode() + b"\n")
        stats = {"written": TALKER.written, "slowest": TALKER.slowest, "busy": TALKER.busy}
        text = json.dumps(stats).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
