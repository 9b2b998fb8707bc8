"""A proxy in front of a real Vault that can be told to misbehave, and counts what passes. Plain HTTP on loopback."""

import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import requests
from hack.lab.vault import LocalVault

_SKIPPED = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}


class VaultProxy:
    """``with VaultProxy(vault) as proxy``: ``proxy.address`` is what clients use."""

    def __init__(self, vault: LocalVault) -> None:
        self._vault = vault
        self._status, self._delay, self._path = 0, 0.0, re.compile("")
        self.counts: Counter[str] = Counter()

    def fail(self, status: int, path: str = "") -> None:
        """Answer requests whose path matches with ``status``; 0 passes them on."""
        self._status, self._path = status, re.compile(path)

    def delay(self, seconds: float) -> None:
        """Let every answer take so long."""
        self._delay = seconds

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self) -> None:
                proxy.answer(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_LIST = do_any  # noqa: N815 - the names http.server calls

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._delay = 0.0
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        until = time.monotonic() + self._delay
        while self._delay and time.monotonic() < until:
            time.sleep(0.05)
        if self._status and self._path.search(handler.path):
            self._send(handler, self._status, b'{"errors":["injected fault"]}', "application/json")
            return
        self.counts[f"{handler.command} {handler.path.partition('?')[0]}"] += 1
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in _SKIPPED}
        url = f"{self._vault.address}{handler.path}"
        answer = requests.request(
            handler.command, url, headers=headers, data=body, verify=str(self._vault.ca), timeout=30
        )
        kind = answer.headers.get("Content-Type", "application/json")
        self._send(handler, answer.status_code, answer.content, kind)

    def _send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str) -> None:
        try:
            handler.send_response(status)
            if status != 204:
                handler.send_header("Content-Type", kind)
                handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(b"" if status == 204 else body)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True
