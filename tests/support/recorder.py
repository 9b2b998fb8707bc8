"""Runs in a pod: keeps the records that a Collector beside it hands on, refuses them when told to, answers questions.

``python3 recorder.py`` listens on 8081: POST /v1/logs (OTLP in JSON) and /down?seconds=N, GET /apps and /app?id=NAME.
"""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LATEST = 200
"""Records that are kept whole, for each app."""


@dataclass
class App:
    """What has arrived of one app. says: the numbers of its lines."""

    ids: set[str] = field(default_factory=set)
    says: set[int] = field(default_factory=set)
    repeated: int = 0
    last: list[dict[str, Any]] = field(default_factory=list)


class Book:
    """What has arrived, by app."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.down_until = 0.0
        self.apps: dict[str, App] = {}

    def take(self, request: dict[str, Any]) -> None:
        """Keep the records of an ExportLogsServiceRequest."""
        now = time.time()
        with self.lock:
            for logs in request["resourceLogs"]:
                resource = plain(logs["resource"].get("attributes", []))
                app = self.apps.setdefault(resource.get("app_id", ""), App())
                for record in (r for scope in logs["scopeLogs"] for r in scope["logRecords"]):
                    self.note(app, resource, record, now)

    def note(self, app: App, resource: dict[str, Any], record: dict[str, Any], now: float) -> None:
        """Keep one record, if it hasn't come before."""
        attributes = plain(record.get("attributes", []))
        uid = attributes.get("log.record.uid", "")
        if uid in app.ids:
            app.repeated += 1
            return
        app.ids.add(uid)
        body = value(record.get("body", {}))
        message = body.get("message", "") if isinstance(body, dict) else ""
        if message.startswith("line "):
            app.says.add(int(message.split()[1]))
        late = now - int(record.get("observedTimeUnixNano", 0)) / 1e9
        whole = {"resource": resource, "attributes": attributes, "body": body, "late": late}
        app.last = [*app.last[1 - LATEST :], {**whole, "severity": record.get("severityText", "")}]

    def tell(self, name: str) -> dict[str, Any]:
        """What is known of one app."""
        with self.lock:
            app = self.apps.get(name, App())
            counts = {"records": len(app.ids), "lines": len(app.says), "repeated": app.repeated}
            return {**counts, "highest": max(app.says, default=-1), "last": app.last}


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """KeyValues as a dict. Not shared with otlp.py: this file runs alone."""
    return {each["key"]: value(each["value"]) for each in attributes}


def value(held: dict[str, Any]) -> Any:
    """What an AnyValue holds."""
    for kind, content in held.items():
        if kind == "kvlistValue":
            return plain(content["values"])
        return [value(each) for each in content.get("values", ())] if kind == "arrayValue" else content
    return None


BOOK = Book()


class Handler(BaseHTTPRequestHandler):
    """Takes records and questions."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path.startswith("/down"):
            BOOK.down_until = time.monotonic() + float(parse_qs(urlsplit(self.path).query)["seconds"][0])
            self.answer(200, {})
            return
        if time.monotonic() < BOOK.down_until:
            self.answer(503, {})
            return
        BOOK.take(json.loads(body))
        self.answer(200, {})

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/apps":
            self.answer(200, sorted(BOOK.apps))
        else:
            self.answer(200, BOOK.tell(parse_qs(asked.query)["id"][0]))

    def answer(self, status: int, content: object) -> None:
        """In JSON."""
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 8081), Handler).serve_forever()
