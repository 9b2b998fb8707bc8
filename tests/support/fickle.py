"""Stands before a real receiver of logs over HTTP: hands on what is sent, or answers itself."""

import gzip
import urllib.request
from collections.abc import Callable
from email.message import Message

from tests.support.httpserver import HttpServer, Response
from tests.support.otlp import Answer

_KEPT = ("Content-Type", "Content-Encoding", "Authorization")
"""Headers that are handed on."""


class Fickle(HttpServer):
    """url: of what is behind it. answer: None to hand on a request; status and body of an answer without that.

    bodies: what was handed on, uncompressed. headers: of its answers; Elasticsearch's client looks who answers.
    """

    def __init__(self, url: str, answer: Callable[[], Answer | None] = lambda: None) -> None:
        self.url, self.answer, self.port = url, answer, 0
        self.headers = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}
        self.bodies: list[bytes] = []

    def respond(self, path: str, headers: Message, body: bytes) -> Response:
        status, said = self.answer() or self._hand_on(path, headers, body)
        return status, self.headers, said

    def _hand_on(self, path: str, headers: Message, body: bytes) -> Answer:
        self.bodies.append(gzip.decompress(body) if headers["Content-Encoding"] == "gzip" else body)
        kept = {name: headers[name] for name in _KEPT if name in headers}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body, kept), timeout=30) as answer:
            return answer.status, answer.read()
