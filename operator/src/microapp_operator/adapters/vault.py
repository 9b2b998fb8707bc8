"""``ports.SecretStore`` on Vault or OpenBao, by hvac, which blocks: everything happens in a few threads of its own.

One login, cached and renewed; who is refused asks whether the token still lives before it logs in again, so that a
refusal costs no login. Must not import reconcile.
"""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import hvac
import requests
import structlog
from hvac import exceptions as failures

from microapp_operator.adapters.vault_faults import explain, words_of
from microapp_operator.errors import StoreDown
from microapp_operator.reasons import Finding, Reason
from microapp_operator.settings import VaultSettings

log = structlog.get_logger(__name__)
T = TypeVar("T")
OnRequest = Callable[[str, int, float], None]
"""(operation, HTTP code or 0 when there was none, seconds)."""

_SELF: Final = "auth/token/lookup-self"
_HEALTH: Final = "sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200"
_THREADS: Final = 8
_TIMEOUT: Final = (3.05, 10.0)
"""Seconds to connect, and to wait for the next byte."""
_PATIENCE: Final = 20.0
"""Seconds for one operation, a login included."""


class VaultStore:
    """Requests to Vault under the operator's own role. on_request is told of each one, on_login of each login."""

    def __init__(
        self,
        settings: VaultSettings,
        *,
        on_request: OnRequest = lambda *_: None,
        on_login: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings, self._on_request, self._on_login = settings, on_request, on_login
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")
        self._local = threading.local()
        self._session = _Session(self)
        self._ca = _ca_file(settings.ca)
        self._accessor = ""

    async def close(self) -> None:
        """Start nothing more; what runs ends by its own time-outs."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._ca is not None:
            self._ca.unlink(missing_ok=True)

    async def ping(self) -> None:
        """Whether it serves, and lets the operator in; StoreDown when not."""
        await self._run(self._ping)

    async def read(self, path: str) -> Mapping[str, Any] | None:
        """What is at ``path``; None when nothing is."""
        answer = await self._run(lambda: self._asked("read", path, lambda client: client.adapter.get(f"/v1/{path}")))
        return answer["data"] if answer else None

    async def list(self, path: str) -> Sequence[str]:
        """Names below ``path``."""
        url = f"/v1/{path}?list=true"
        answer = await self._run(lambda: self._asked("list", path, lambda client: client.adapter.get(url)))
        return answer["data"]["keys"] if answer else ()

    async def write(self, path: str, body: Mapping[str, Any]) -> None:
        """Create or replace what is at ``path``."""
        await self._run(lambda: self._asked("write", path, lambda client: client.write_data(path, data=dict(body))))

    async def delete(self, path: str) -> None:
        """Delete it; an absent one is fine."""
        await self._run(lambda: self._asked("delete", path, lambda client: client.delete(path)))

    async def delete_entity(self, account_uid: str) -> None:
        """Delete the identity of that ServiceAccount; an absent one is fine."""
        await self._run(lambda: self._delete_entity(account_uid))

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError as error:
            raise StoreDown(_unreachable(f"no answer within {_PATIENCE:.0f} s.")) from error

    def _ping(self) -> None:
        """Sealed or not is read off the answer, whose code is that of an active server then (Vault, /sys/health)."""
        try:
            health = self.asked_with("", "health", _HEALTH, lambda client: client.adapter.get(f"/v1/{_HEALTH}"))
        except failures.Forbidden as error:
            raise explain("health", _HEALTH, error) from error
        if not isinstance(health, dict) or not health.get("initialized"):
            raise StoreDown(_unreachable("what answers /sys/health is no Vault that was initialised."))
        if health.get("sealed"):
            raise StoreDown(Finding(Reason.SECRET_STORE_SEALED, "", "Vault is sealed."))
        self._asked("read", _SELF, lambda each: each.adapter.get(f"/v1/{_SELF}"))

    def _delete_entity(self, account_uid: str) -> None:
        mount = f"sys/internal/ui/mounts/auth/{self._settings.auth_mount}"
        if not self._accessor:
            found = self._asked("read", mount, lambda client: client.adapter.get(f"/v1/{mount}"))
            self._accessor = found["data"]["accessor"]
        query = {"alias_name": account_uid, "alias_mount_accessor": self._accessor}
        lookup = "identity/lookup/entity"
        entity = self._asked("lookup", lookup, lambda client: client.write_data(lookup, data=query))
        if isinstance(entity, dict) and entity.get("data"):
            path = f"identity/entity/id/{entity['data']['id']}"
            self._asked("delete", path, lambda client: client.delete(path))

    def _asked(self, what: str, path: str, ask: Callable[[hvac.Client], Any]) -> Any:
        """One request with the cached login; made once more when the token turns out to be dead."""
        token = self._session.token()
        try:
            return self.asked_with(token, what, path, ask)
        except failures.Forbidden as error:
            if self._session.lives(token):
                raise explain(what, path, error) from error
            return self._again(what, path, ask)

    def _again(self, what: str, path: str, ask: Callable[[hvac.Client], Any]) -> Any:
        try:
            return self.asked_with(self._session.token(), what, path, ask)
        except failures.Forbidden as error:
            raise explain(what, path, error) from error

    def asked_with(self, token: str, what: str, path: str, ask: Callable[[hvac.Client], Any]) -> Any:
        """One request with ``token``; Forbidden is the caller's to explain, all else is an error of ours."""
        client = self.client()
        client.token = token
        try:
            return self._timed(what, lambda: ask(client))
        except failures.Forbidden:
            raise
        except failures.InvalidPath as error:
            if "no handler for route" in str(error):
                raise explain(what, path, error) from error
            return None
        except (failures.VaultError, requests.RequestException) as error:
            raise explain(what, path, error) from error

    def client(self) -> hvac.Client:
        """The hvac client of this thread: its sessions aren't made to be shared."""
        if not hasattr(self._local, "client"):
            session = requests.Session()
            session.trust_env = False  # a netrc file's passwords are none of Vault's business
            session.verify = str(self._ca) if self._ca is not None else True
            session.proxies = requests.utils.get_environ_proxies(self._settings.address)
            self._local.client = hvac.Client(
                self._settings.address,
                token="",
                timeout=_TIMEOUT,
                session=session,
                namespace=self._settings.vault_namespace or None,
            )
        client: hvac.Client = self._local.client
        return client

    def login(self) -> Mapping[str, Any]:
        """Log in with the operator's own token of the cluster; StoreDown when that isn't let in."""
        settings = self._settings
        try:
            jwt = settings.token_file.read_text().strip()
        except OSError as error:
            message = f"the operator's token {settings.token_file} can't be read: {error.strerror}."
            raise StoreDown(Finding(Reason.SECRET_STORE_DENIED, "", message)) from error
        path = f"auth/{settings.auth_mount}/login"
        body = {"role": settings.role, "jwt": jwt}
        try:
            answer = self.asked_with("", "login", path, lambda client: client.write_data(path, data=body))
        except failures.Forbidden as error:
            message = f"Vault refuses the operator's login with role {settings.role}: {words_of(error)}."
            raise StoreDown(Finding(Reason.SECRET_STORE_DENIED, "", message)) from error
        if answer is None:
            message = f"Vault has no auth method {settings.auth_mount}."
            raise StoreDown(Finding(Reason.SECRET_STORE_DENIED, "", message))
        self._on_login()
        log.info("vault_login", role=settings.role, seconds=answer["auth"]["lease_duration"])
        found: Mapping[str, Any] = answer["auth"]
        return found

    def _timed(self, what: str, ask: Callable[[], Any]) -> Any:
        started, code = time.monotonic(), 0
        try:
            answer = ask()
            code = 200
        except failures.VaultError as error:
            code = _CODES.get(type(error), 500)
            raise
        finally:
            self._on_request(what, code, time.monotonic() - started)
        return answer


_CODES: Final = {
    failures.InvalidRequest: 400,
    failures.Unauthorized: 401,
    failures.Forbidden: 403,
    failures.InvalidPath: 404,
    failures.RateLimitExceeded: 429,
    failures.BadGateway: 502,
    failures.VaultDown: 503,
}


class _Session:
    """The operator's login: made once, renewed when two thirds of its time are over, made anew when that fails."""

    def __init__(self, store: VaultStore) -> None:
        self._store, self._lock = store, threading.Lock()
        self._token, self._renew_at, self._ttl = "", 0.0, 0.0

    def token(self) -> str:
        """A token that lives as far as we know."""
        with self._lock:
            if self._token and time.monotonic() >= self._renew_at:
                self._renew()
            if not self._token:
                self._keep(self._store.login())
            return self._token

    def lives(self, token: str) -> bool:
        """Whether ``token`` is good, so that a refusal was meant; a dead one is forgotten."""
        with self._lock:
            if token != self._token:
                return False  # another thread has seen to it
            try:
                self._store.asked_with(token, "lookup", _SELF, lambda client: client.adapter.get(f"/v1/{_SELF}"))
            except failures.Forbidden:
                self._token = ""
                return False
            return True

    def _renew(self) -> None:
        path, first = "auth/token/renew-self", self._ttl
        try:
            answer = self._store.asked_with(self._token, "renew", path, lambda client: client.write_data(path, data={}))
        except failures.Forbidden:
            self._token = ""
            return
        if not answer or answer["auth"]["lease_duration"] < first / 2:
            self._token = ""  # near the end of what it can be renewed to
        else:
            self._keep(answer["auth"])

    def _keep(self, auth: Mapping[str, Any]) -> None:
        ttl = float(auth["lease_duration"])
        self._token, self._ttl = str(auth["client_token"]), ttl
        self._renew_at = time.monotonic() + ttl * 2 / 3 if ttl else float("inf")


def _ca_file(pem: str) -> Path | None:
    """A file for what vouches for Vault: requests takes no text."""
    if not pem:
        return None
    with tempfile.NamedTemporaryFile("w", prefix="microapp-vault-ca-", suffix=".pem", delete=False) as file:
        file.write(pem)
    return Path(file.name)


def _unreachable(message: str) -> Finding:
    return Finding(Reason.SECRET_STORE_UNREACHABLE, "", message)
