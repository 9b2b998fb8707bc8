"""Whether something answers at an address: a TCP handshake, or a datagram that comes back."""

import socket

_PING = b"microapp-probe"


def answers(address: str, port: int, protocol: str, seconds: float) -> bool:
    """True when it does within ``seconds``; a refusal, silence and no route are all no."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
    try:
        with socket.socket(family, kind) as tried:
            tried.settimeout(seconds)
            tried.connect((address, port))
            return kind is socket.SOCK_STREAM or _echoes(tried)
    except OSError:
        return False


def _echoes(tried: socket.socket) -> bool:
    tried.send(_PING)
    return tried.recv(len(_PING)) == _PING
