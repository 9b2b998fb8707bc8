"""What a container wrote, by way of the API server with the caller's rights: every line with the time it came."""

from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import POD
from microapp_operator.errors import Transient

_TOTAL = 60.0
"""Seconds for all of one log: a node's kubelet gives no more than one file of it, 10 MiB unless told otherwise."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Which part of a log. since: seconds; tail: lines; None: all there is. previous: of the container before."""

    container: str
    since: int | None
    tail: int | None
    previous: bool

    def query(self) -> tuple[tuple[str, str], ...]:
        """PodLogOptions (core/v1)."""
        chosen = {
            "container": self.container,
            "timestamps": "true",
            "sinceSeconds": self.since,
            "tailLines": self.tail,
            "previous": "true" if self.previous else None,
        }
        return tuple((name, str(value)) for name, value in chosen.items() if value is not None)


async def read_pod_log(
    client: KubernetesClient, namespace: str, pod: str, request: LogRequest, take: Callable[[bytes], None]
) -> None:
    """Hand ``take`` the log piece by piece. Transient: it broke off, or the node can't be reached."""
    call = Call("GET", f"{POD.collection(namespace)}/{pod}/log", "pods/log", request.query(), accept="*/*")
    try:
        response = await client.stream(call, total=_TOTAL)
        try:
            async for piece in response.content.iter_any():
                take(piece)
        finally:
            response.close()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Transient(f"GET {call.path}: {type(error).__name__} {error}".rstrip()) from error
