"""Logs without a library: one JSON line a request, and the caller's trace handed on (W3C Trace Context, level 1)."""

import json
import os
import re
import secrets
import sys
import urllib.request
from datetime import UTC, datetime
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DOWNSTREAM = os.environ.get("DOWNSTREAM")
TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")


def continue_trace(header: str) -> str:
    """The traceparent of a request's own span: in the caller's trace if ``header`` names one, else in a new one."""
    trace, flags = secrets.token_hex(16), 1
    found = TRACEPARENT.fullmatch(header)
    if found and not (found[1] == "00" and found[4]):
        trace, flags = found[2], int(found[3], 16) & 1
    return f"00-{trace}-{secrets.token_hex(8)}-{flags:02x}"


def call_downstream(traceparent: str) -> bool:
    """Whether the next app did its part; true when there is none."""
    if not DOWNSTREAM:
        return True
    try:
        request = urllib.request.Request(DOWNSTREAM, headers={"traceparent": traceparent})
        with urllib.request.urlopen(request, timeout=5):
            return True
    except (OSError, HTTPException):
        return False


class Handler(BaseHTTPRequestHandler):
    """Answers every GET, and writes down who did what to what, and how it went."""

    def do_GET(self) -> None:
        traceparent = continue_trace(", ".join(self.headers.get_all("traceparent", [])))
        done = call_downstream(traceparent)
        record = {
            "timestamp": datetime.now(UTC).isoformat(),
            "user_id": self.headers.get("x-user", "anonymous"),  # whom your app has authenticated
            "action": "read",
            "resource": self.path.partition("?")[0],
            "outcome": "success" if done else "failure",
            "traceparent": traceparent,
        }
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()
        self.send_response(200 if done else 502)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
