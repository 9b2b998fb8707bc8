"""HTTP to the API server: the library's session and credentials, plain JSON, one error mapping.

Bounded: at most ``in_flight`` writes at once, and a pause for all of them when the server says 429
(API Priority and Fairness) with Retry-After.
"""

import asyncio
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
import yaml
from kubernetes.aio import client as library
from kubernetes.aio import config as library_config

from microapp_operator.adapters.kubernetes.gate import UrgencyGate
from microapp_operator.errors import Blocked, Conflict, Forbidden, Gone, OperatorError, Transient, Waiting
from microapp_operator.model.common import Manifest
from microapp_operator.reasons import Finding, Reason

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
OnRequest = Callable[[str, str, int, float], None]
"""(verb, resource, HTTP code or 0 when there was none, seconds)."""

_UNREADABLE = (library_config.ConfigException, OSError, yaml.YAMLError, UnicodeDecodeError, TypeError)
"""What the library raises for a kubeconfig that isn't there, is no YAML, or YAML of another shape."""
_TOTAL = 30.0
_TIMEOUT = aiohttp.ClientTimeout(total=_TOTAL, connect=5)
_QUOTA_BUSY = ("status unknown for quota", "exceeded quota")


@dataclass(frozen=True, slots=True)
class Call:
    """One request. resource: plural of the kind, for metrics."""

    verb: str
    path: str
    resource: str
    query: tuple[tuple[str, str], ...] = ()
    body: Manifest | None = None
    content_type: str = "application/json"
    accept: str = "application/json"


async def load_configuration(kubeconfig: str | None, context: str | None) -> library.Configuration:
    """Credentials from ``kubeconfig`` (and ``context``), or the pod's service account when None.

    OperatorError when there are none that can be read.
    """
    configuration = library.Configuration()
    try:
        if kubeconfig is not None:
            await library_config.load_kube_config(
                config_file=kubeconfig, context=context, client_configuration=configuration, persist_config=False
            )
        else:
            library_config.load_incluster_config(client_configuration=configuration)
    except _UNREADABLE as error:
        where = f"the kubeconfig {kubeconfig}" if kubeconfig else "the pod's service account"
        raise OperatorError(Finding(Reason.RETRYING, "", f"no credentials from {where}: {error}.")) from error
    configuration.retries = None
    _settle_proxy(configuration)
    return configuration


def _settle_proxy(configuration: library.Configuration) -> None:
    """Take the proxy from the environment once, instead of on every request in a thread of its own.

    That look-up would also offer the API server the passwords of a netrc file, which are none of its business.
    """
    configuration.client_session_kwargs = {"trust_env": False}
    host = urlsplit(configuration.host)
    if configuration.proxy is None and not proxy_bypass(host.hostname or ""):
        configuration.proxy = getproxies().get(host.scheme)


class KubernetesClient:
    """Requests with credentials, limits, metrics and typed errors."""

    def __init__(
        self, configuration: library.Configuration, *, in_flight: int, on_request: OnRequest = lambda *_: None
    ) -> None:
        configuration.connection_pool_maxsize = in_flight + 64  # watches hold connections of their own
        self._api = library.ApiClient(configuration)
        self.host: str = configuration.host.rstrip("/")
        """URL of the API server."""
        self._writes = UrgencyGate(in_flight)
        self._on_request = on_request
        self._calm_at = 0.0
        self.may_write: Callable[[], float] = lambda: math.inf
        """Seconds for which this process may still write; asked before each write, which then takes no longer."""

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def read(self, call: Call) -> Manifest:
        """The JSON answer to a GET, or to a question that is posted; errors as the module says."""
        return await self._send(call)

    async def write(self, call: Call) -> Manifest:
        """The JSON answer to a write, once its turn has come."""
        async with self._writes:
            pause = self._calm_at - asyncio.get_running_loop().time()
            if pause > 0:
                await asyncio.sleep(pause)
            left = self.may_write()
            if left <= 0:
                raise Transient(f"{call.verb} {call.path}: not sent, this process is not the leader.")
            return await self._send(call, within=left)

    async def write_now(self, call: Call) -> Manifest:
        """The JSON answer to a write that neither waits nor asks: of the Lease that allows all others."""
        return await self._send(call)

    async def stream(self, call: Call, *, total: float) -> aiohttp.ClientResponse:
        """An open answer, of a watch or a log, of at most ``total`` seconds; the caller reads and closes it."""
        limits = aiohttp.ClientTimeout(total=total, connect=5, sock_connect=5)
        response = await self._request(call, limits)
        if response.status != 200:
            text = await response.read()
            raise _error(call, response.status, response.headers, text)
        return response

    async def _send(self, call: Call, *, within: float = math.inf) -> Manifest:
        loop = asyncio.get_running_loop()
        limits = _TIMEOUT if within >= _TOTAL else aiohttp.ClientTimeout(total=within, connect=5)
        started, code = loop.time(), 0
        try:
            response = await self._request(call, limits)
            code = response.status
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Transient(f"{call.verb} {call.path}: {type(error).__name__} {error}".rstrip()) from error
        finally:
            self._on_request(call.verb, call.resource, code, loop.time() - started)
        if code >= 400:
            failure = _error(call, code, response.headers, text)
            if code == 429 and isinstance(failure, Transient):
                self._calm_at = max(self._calm_at, loop.time() + (failure.retry_after or 1.0))
            raise failure
        return orjson.loads(text)  # type: ignore[no-any-return]

    async def _request(self, call: Call, limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        headers = {"Accept": call.accept, "User-Agent": "microapp-operator"}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], call.path, call.verb, call.body)
        url = f"{self.host}{call.path}" + (f"?{urlencode(call.query)}" if call.query else "")
        answer = await self._api.rest_client.request(
            call.verb, url, headers=headers, body=call.body, _request_timeout=limits
        )
        return answer.response  # type: ignore[no-any-return]


def _error(call: Call, code: int, headers: Mapping[str, str], text: bytes) -> OperatorError:
    """The error that stands for an answer: its class is what to do about it."""
    message = f"{call.verb} {call.path}: {code} {_message(text)}"
    match code:
        case 404 | 410:
            return Gone(message)
        case 409:
            return Conflict(message)
        case 403 if "because it is being terminated" in message:
            return Waiting(Finding(Reason.NAMESPACE_TERMINATING, "", message), delay=5)
        case 403 if any(words in message for words in _QUOTA_BUSY):
            return Waiting(Finding(Reason.PROGRESSING, "", message), delay=1)
        case 403:
            return Forbidden(Finding(Reason.REJECTED_BY_API, "", message))
        case 400 | 405 | 413 | 415 | 422:
            return Blocked(Finding(Reason.REJECTED_BY_API, "", message))
        case _:
            return Transient(message, retry_after=_retry_after(headers))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of ``Retry-After`` (RFC 9110, 10.2.3); Kubernetes sends the number form only."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _message(text: bytes) -> str:
    """``message`` of the Status object, or the start of whatever came."""
    try:
        body: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text[:200].decode(errors="replace")
    return str(body.get("message", body))[:1024] if isinstance(body, dict) else str(body)[:200]


def kubeconfig_from_environment(environment: Mapping[str, str]) -> str | None:
    """KUBECONFIG, else ~/.kube/config when it exists and no service account is mounted, else None."""
    if environment.get("KUBECONFIG"):
        return environment["KUBECONFIG"]
    home = os.path.expanduser("~/.kube/config")
    mounted = "KUBERNETES_SERVICE_HOST" in environment
    return home if os.path.exists(home) and not mounted else None
