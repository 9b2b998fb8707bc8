"""The target: answers on each of its ports, over TCP and UDP, IPv4 and IPv6, and says nothing of interest."""

import selectors
import socket
from collections.abc import Iterable

_BACKLOG = 64
_DATAGRAM = 64


def listen(ports: Iterable[int], ready: "socket.socket | None" = None) -> None:
    """Serve until the process ends. OSError when a port is taken. ready: is written to once all ports are open."""
    with selectors.DefaultSelector() as selector:
        for port in ports:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                selector.register(_open(kind, port), selectors.EVENT_READ, kind)
        if ready is not None:
            ready.send(b".")
        while True:
            for key, _ in selector.select():
                _answer(key.fileobj, key.data)


def _open(kind: socket.SocketKind, port: int) -> socket.socket:
    """One socket for both families where there is IPv6."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    opened = socket.socket(family, kind)
    if family is socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setblocking(False)
    opened.bind(("", port))
    if kind is socket.SOCK_STREAM:
        opened.listen(_BACKLOG)
    return opened


def _answer(asked: object, kind: socket.SocketKind) -> None:
    """A handshake or an echo; a caller that has gone meanwhile is none of our business."""
    assert isinstance(asked, socket.socket)
    try:
        if kind is socket.SOCK_STREAM:
            asked.accept()[0].close()
        else:
            data, caller = asked.recvfrom(_DATAGRAM)
            asked.sendto(data, caller)
    except OSError:
        return
