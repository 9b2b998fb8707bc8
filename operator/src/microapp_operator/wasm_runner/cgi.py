"""Request to environment, output to answer: the Common Gateway Interface (RFC 3875), of which a WASI command has all.

Pure: no socket, no module.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

_MOST_HEADERS: Final = 64
_STATUS: Final = re.compile(r"([2-5][0-9]{2})( .*)?")
_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
"""Of a header that becomes a variable; with underscores two headers would be one."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TEXT: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS: Final = frozenset(
    {"connection", "content-length", "date", "keep-alive", "proxy-connection", "server", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
"""Headers about the connection: the server's own."""
_NOT_HANDED_ON: Final = frozenset({"content-length", "content-type", "proxy", "proxy-authorization", "connection"})
"""The first two have variables of their own; HTTP_PROXY means something else to many programs (CVE-2016-5385)."""


class MalformedError(Exception):
    """A request or an answer that isn't one; the text says why."""


@dataclass(frozen=True)
class Request:
    """One request. headers: as they came, in Latin-1. caller: its address."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    caller: str


@dataclass(frozen=True)
class Answer:
    """What goes back. headers: without those about the connection, which are the server's."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def build_environment(request: Request, port: int, declared: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The module's environment; what the app declares wins over what a caller sends.

    MalformedError for a target that no variable can hold.
    """
    try:
        split = urlsplit(request.target)
    except ValueError as error:
        raise MalformedError(f"the target is no URL: {error}") from error
    path = unquote(split.path, errors="replace")
    if "\0" in path:
        raise MalformedError("a NUL in the path")
    found = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": request.method,
        "REQUEST_URI": request.target,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": split.query,
        "REMOTE_ADDR": request.caller,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "microapp-wasm",
        "CONTENT_LENGTH": str(len(request.body)),
    }
    for name, value in request.headers:
        lower = name.lower()
        if lower == "content-type":
            found["CONTENT_TYPE"] = value
        elif lower not in _NOT_HANDED_ON and _NAME.fullmatch(name) and "\0" not in value:
            key = f"HTTP_{name.upper().replace('-', '_')}"
            found[key] = f"{found[key]}, {value}" if key in found else value
    return {**found, **dict(declared)}


def parse_answer(output: bytes) -> Answer:
    """What the module wrote: headers, an empty line, the body. MalformedError says what is wrong with it."""
    head, found, body = _split(output)
    if not found:
        raise MalformedError("no empty line after its headers")
    lines = [line for line in head.decode("latin-1").replace("\r\n", "\n").split("\n") if line]
    if len(lines) > _MOST_HEADERS:
        raise MalformedError(f"more than {_MOST_HEADERS} headers")
    status, headers = 200, []
    for line in lines:
        name, colon, value = line.partition(":")
        value = value.strip()
        if not colon or not _TOKEN.fullmatch(name) or not _TEXT.fullmatch(value):
            raise MalformedError(f"{line[:80]!r} is no header")
        if name.lower() == "status":
            status = _status(value)
        elif name.lower() not in _OURS:
            headers.append((name, value))
    return Answer(status, tuple(headers), body)


def _split(output: bytes) -> tuple[bytes, bool, bytes]:
    match = re.search(rb"\r?\n\r?\n", output)
    return (output[: match.start()], True, output[match.end() :]) if match else (output, False, b"")


def _status(value: str) -> int:
    found = _STATUS.fullmatch(value)
    if not found:
        raise MalformedError(f"{value[:80]!r} is no status")
    return int(found[1])
