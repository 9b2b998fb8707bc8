"""``canary.flight.Wire``: the canary's way to the gateway, and its questions to the sinks' backends.

What a backend says is bounded, and told by its status alone: neither its words nor an address, which may hold a
credential, get into a log. Must not import reconcile.
"""

import os
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import aiohttp
import orjson

from microapp_operator.canary import Answer, Canary, CanarySettings, ReadBack, Why
from microapp_operator.canary.record import build_request
from microapp_operator.canary.settings import UID
from microapp_operator.errors import Transient

_LIMITS: Final = aiohttp.ClientTimeout(total=15, connect=5)
_MOST: Final = 2**20
"""Bytes of an answer that are read."""
_PIECE: Final = 2**16


class HttpWire:
    """gateway: address and port of the platform's receiver. environment: has the values of secret headers."""

    def __init__(self, settings: CanarySettings, gateway: tuple[str, int], environment: Mapping[str, str]) -> None:
        host, port = gateway
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1/logs"
        self._source = (host, 0)
        self._ca, self._environment = settings.ca, environment

    async def __aenter__(self) -> Self:
        trust = ssl.create_default_context()
        if self._ca:
            trust.load_verify_locations(cadata=self._ca)
        # The gateway tells senders by the address they come from, and has one itself.
        here = aiohttp.TCPConnector(local_addr=self._source, force_close=True)
        self._gateway = aiohttp.ClientSession(connector=here, timeout=_LIMITS, trust_env=False)
        self._backends = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust),
            timeout=_LIMITS,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._gateway.close()
        await self._backends.close()

    async def send(self, canary: Canary) -> None:
        """Give it to the gateway. Transient when that doesn't take it."""
        body, headers = orjson.dumps(build_request(canary)), {"Content-Type": "application/json"}
        try:
            async with self._gateway.post(self._url, data=body, headers=headers) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Transient(f"the log gateway gives no answer: {_explain(error)}") from error
        if status != HTTPStatus.OK:
            raise Transient(f"the log gateway doesn't take it: {_named(status)}")

    async def ask(self, read_back: ReadBack, canary: Canary) -> Answer:
        """Whether that backend has it; never raises for what a backend does."""
        headers = dict(read_back.headers)
        for name, variable in read_back.secret_headers.items():
            value = self._environment.get(variable, "").strip()
            if not value.isprintable() or not value:
                return Answer(Why.NO_CREDENTIAL, f"not asked: there is no usable value for header {name}")
            headers[name] = value
        url, body = (text.replace(UID, canary.uid) for text in (read_back.url, read_back.body))
        if body:
            headers["Content-Type"] = read_back.content_type
        try:
            async with self._backends.request(
                "POST" if body else "GET", url, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                found = 200 <= answer.status < 300 and await _has(answer, canary.proof.encode())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(Why.UNREACHABLE, f"no answer: {_explain(error)}")
        if found:
            return Answer(None, "has the record")
        if 200 <= answer.status < 300:
            return Answer(Why.ABSENT, f"{_named(answer.status)}, without the record")
        return Answer(Why.REFUSED, _named(answer.status))


async def _has(answer: aiohttp.ClientResponse, proof: bytes) -> bool:
    """Whether it is in what the first ``_MOST`` bytes say."""
    said = bytearray()
    while len(said) < _MOST and (piece := await answer.content.read(_PIECE)):
        said += piece
        if said.find(proof, max(len(said) - len(piece) - len(proof), 0)) >= 0:
            return True
    return False


def _named(status: int) -> str:
    known = {each.value: each.phrase for each in HTTPStatus}
    return f"{status} {known.get(status, '')}".rstrip()


def _explain(error: Exception) -> str:
    """In words of our own: others' may have the address."""
    match error:
        case TimeoutError():
            return "not within 15 s"
        case aiohttp.ClientConnectorCertificateError():
            return "a certificate that nobody vouches for"
        case aiohttp.ClientConnectorDNSError():
            return "its name isn't known"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))):
            return os.strerror(number)
        case _:
            return type(error).__name__
