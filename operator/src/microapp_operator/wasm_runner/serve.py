"""The HTTP server: a process per connection, one request each, everything bounded.

A process, because a run that sleeps in a call of WASI's can be ended in no other way, and because what breaks one
request must not break the next.
"""

import fcntl
import io
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from itertools import count
from socketserver import ForkingMixIn, TCPServer
from typing import Any, Final

from microapp_operator.wasm_runner import CHILDREN, INSTANCES
from microapp_operator.wasm_runner.cgi import Answer, MalformedError, Request, build_environment, parse_answer
from microapp_operator.wasm_runner.sandbox import LateError, ModuleError, Sandbox
from microapp_operator.wasm_runner.wire import ModuleConfig

MOST_BODY: Final = 2**19
"""Bytes of a request's body."""
_BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Server(ForkingMixIn, TCPServer):
    """Serves until it is stopped."""

    allow_reuse_address = True
    request_queue_size = 64
    max_children = CHILDREN

    def __init__(self, sandbox: Sandbox, config: ModuleConfig) -> None:
        """OSError when the port is taken."""
        self.sandbox, self.config = sandbox, config
        self.slot = 0
        self._numbers = count()
        self._slots = [os.memfd_create(f"slot-{number}") for number in range(INSTANCES)]
        dual = socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if dual else socket.AF_INET
        super().__init__(("", config.port), Handler)

    def server_bind(self) -> None:
        """For both families where there is IPv6."""
        if self.address_family is socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a process of its own, which takes its turn in one of the slots."""
        self.slot = next(self._numbers) % INSTANCES
        super().process_request(request, client_address)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until few enough instances run. The kernel ends the turn with the process, however that ends."""
        with open(f"/proc/self/fd/{self._slots[self.slot]}", "rb") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature is socketserver's
        """A caller that has gone is nobody's fault; anything else is said in one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            report(f"request failed: {type(error).__name__}: {error}")


class Handler(BaseHTTPRequestHandler):
    """One request, in a process of its own."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        """No phase takes longer than the module may; the last word is the kernel's."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 5 * self.server.config.seconds + 5)
        super().setup()
        self.rfile = io.BufferedReader(_Deadline(self.connection, self.server.config.seconds))

    def serve(self) -> None:
        """Read, run, answer."""
        self.close_connection = True
        config = self.server.config
        try:
            request = Request(self.command, self.path, tuple(self.headers.items()), self._body(), self._caller())
            environment = self._environment(request)
            self.connection.settimeout(config.seconds)
            with self.server.turn():
                output = self.server.sandbox.run(environment, request.body, self._stuck)
            answer = parse_answer(output)
        except _Refused as error:
            answer = _tell(error.status, str(error))
        except LateError as error:
            answer = self._fail(HTTPStatus.GATEWAY_TIMEOUT, error)
        except (ModuleError, MalformedError) as error:
            answer = self._fail(HTTPStatus.BAD_GATEWAY, error)
        self._answer(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve  # noqa: N815 - http.server's names

    def _caller(self) -> str:
        return str(self.client_address[0]).removeprefix("::ffff:")

    def _environment(self, request: Request) -> dict[str, str]:
        config = self.server.config
        try:
            return build_environment(request, config.port, config.environment)
        except MalformedError as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from error

    def _body(self) -> bytes:
        """All of it; _Refused."""
        lengths = self.headers.get_all("Content-Length", ["0"])
        if "Transfer-Encoding" in self.headers:
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "send Content-Length")
        if len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise _Refused(HTTPStatus.BAD_REQUEST, "Content-Length is no number")
        if len(lengths[0]) > 9 or int(lengths[0]) > MOST_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST_BODY} bytes")
        try:
            body = self.rfile.read(int(lengths[0]))
        except TimeoutError as error:
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT, str(error)) from error
        if len(body) != int(lengths[0]):
            raise _Refused(HTTPStatus.BAD_REQUEST, "the body ended early")
        return body

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        bodiless = answer.status in _BODILESS
        if not bodiless:
            self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and not bodiless:
            self.wfile.write(answer.body)

    def _fail(self, status: HTTPStatus, why: Exception) -> Answer:
        """The caller learns that the module failed, its owner from the log how."""
        report(f"{self.command} {self.path.partition('?')[0]!a}: {why}")
        return _tell(status, "the module gave no answer")

    def _stuck(self) -> None:
        """On the timer's thread: the module sleeps in a call, and only with its process it ends."""
        try:
            self._answer(self._fail(HTTPStatus.GATEWAY_TIMEOUT, LateError("it slept past its deadline")))
        finally:
            os._exit(1)

    def version_string(self) -> str:
        """Header Server."""
        return "microapp-wasm"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is http.server's
        """Nothing: only what fails is reported, by ``_fail``."""


class _Deadline(io.RawIOBase):
    """Reads a connection until the deadline for all of it, however often a byte arrives."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection, self._end = connection, time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request didn't arrive in time")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Refused(Exception):
    """A request the module isn't bothered with."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


def _tell(status: HTTPStatus, why: str) -> Answer:
    return Answer(status, (("Content-Type", "text/plain"),), f"{status.phrase}: {why}\n".encode())


def report(text: str) -> None:
    """To the container's log."""
    print(f"microapp-wasm: {text}", file=sys.stderr, flush=True)  # noqa: T201
