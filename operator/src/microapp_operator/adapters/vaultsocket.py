"""Takes the audit log from Vault's socket device, which connects, writes lines, and connects anew when it has to.

There is no place to go on from: what Vault writes while nobody listens is lost. Blocks: run it in a thread.
"""

import os
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from microapp_operator.adapters.http import ListenError
from microapp_operator.adapters.vaultlog import Lines, Reader

log = structlog.get_logger(__name__)
Address = Path | tuple[str, int]
"""A socket of this machine by its path, or address and port; port 0 takes a free one."""

_CHUNK: Final = 2**20
_CONNECTIONS: Final = 16
"""At once, as each may hold a long line that hasn't ended; more wait until one ends."""
_LAST_LOOK: Final = 8
"""Chunks of each connection that are still read when stopped: more than a kernel keeps."""
_LOOK_EVERY: Final = 0.5
"""Seconds between two looks at whether to stop."""


@contextmanager
def listening(address: Address) -> Iterator[socket.socket]:
    """Where Vault can connect to; ListenError when that can't be had. A socket's file is gone afterwards."""
    try:
        server = _local(address) if isinstance(address, Path) else _bound(address)
    except OSError as error:
        where = str(address) if isinstance(address, Path) else f"{address[0]}:{address[1]}"
        raise ListenError(f"can't listen on {where}: {error.strerror}; give --listen another address") from error
    try:
        log.info("listening", address=server.getsockname())
        yield server
    finally:
        server.close()
        if isinstance(address, Path):
            address.unlink(missing_ok=True)


def _bound(address: tuple[str, int]) -> socket.socket:
    return socket.create_server(address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET)


def _local(path: Path) -> socket.socket:
    """Writable for owner and group alone: whoever can write to it can make events up."""
    _clear(path)
    server = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o117)
    try:
        server.bind(str(path))
        server.listen()
    except OSError:
        server.close()
        raise
    finally:
        os.umask(mask)
    return server


def _clear(path: Path) -> None:
    """Remove the socket of a process that ended without doing so; one that answers stays, and is in the way."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)


def serve(reader: Reader, server: socket.socket) -> None:
    """Feed ``reader`` what comes over connections to ``server`` until it is stopped, then tell of what still waits."""
    server.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        lines: dict[socket.socket, Lines] = {}
        while not reader.stop.is_set():
            for key, _ in selector.select(_LOOK_EVERY):
                if key.fileobj is server:
                    _accept(server, selector, lines)
                elif isinstance(key.fileobj, socket.socket) and not _receive(key.fileobj, reader, lines):
                    _end(key.fileobj, reader, lines, selector)
                    _watch(server, selector)
        for connection in tuple(lines):
            for _ in range(_LAST_LOOK):
                if not _receive(connection, reader, lines, patient=False):
                    break
            _end(connection, reader, lines, selector)
    reader.finish()


def _accept(server: socket.socket, selector: selectors.BaseSelector, lines: dict[socket.socket, Lines]) -> None:
    try:
        connection, _ = server.accept()
    except OSError:
        return  # it went before it was answered
    connection.setblocking(False)
    lines[connection] = Lines()
    selector.register(connection, selectors.EVENT_READ)
    log.info("vault_connected", connections=len(lines))
    if len(lines) >= _CONNECTIONS:
        selector.unregister(server)


def _watch(server: socket.socket, selector: selectors.BaseSelector) -> None:
    """There is room for another connection."""
    with suppress(KeyError):  # it was watched all the time
        selector.register(server, selectors.EVENT_READ)


def _receive(
    connection: socket.socket, reader: Reader, lines: dict[socket.socket, Lines], *, patient: bool = True
) -> bool:
    """Feed what has arrived; False when no more comes, or not ``patient`` and nothing is there."""
    try:
        chunk = connection.recv(_CHUNK)
    except BlockingIOError:
        return patient
    except OSError:
        return False
    reader.feed(lines[connection].cut(chunk))
    return bool(chunk)


def _end(
    connection: socket.socket, reader: Reader, lines: dict[socket.socket, Lines], selector: selectors.BaseSelector
) -> None:
    """A line that was cut off is counted, never glued to another: Vault writes it again, whole, when it is back."""
    selector.unregister(connection)
    connection.close()
    rest = lines.pop(connection).end()
    log.info("vault_disconnected", connections=len(lines), in_the_middle_of_a_line=bool(rest))
    reader.feed(rest)
