"""One conversation with one registry about one repository: it logs in when asked to, and follows where content is.

Credentials go to the registry and to where it says tokens are, a token to the registry, and neither to where a redirect
leads. No error tells more of a registry's answer than its status and codes the specification knows, since an answer may
have in it what was sent; nor of a redirect more than its host, since its address may be a credential itself.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import orjson
from yarl import URL

from microapp_operator.adapters.registry.challenge import parse_challenges
from microapp_operator.adapters.registry.credentials import Login
from microapp_operator.adapters.registry.documents import ACCEPTED
from microapp_operator.errors import Blocked, OperatorError, Transient
from microapp_operator.model.image import DOCKER_HUB, ImageName
from microapp_operator.reasons import Finding, Reason

CONTENT_MAX: Final = 4 * 2**20
"""Bytes of one manifest or configuration; registries needn't keep larger manifests (distribution-spec)."""
_TOKEN_MAX: Final = 2**17
_SAID_MAX: Final = 2**14
_HOPS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CODES: Final = frozenset(
    {"BLOB_UNKNOWN", "DENIED", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "TOOMANYREQUESTS", "UNAUTHORIZED"}
    | {"UNSUPPORTED"}
)
"""Of the specification's codes for errors those that tell a reader."""
_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(slots=True)
class Line:
    """plain: hosts, with ports but 80, that are asked by plain HTTP, as an admin said; all others by TLS."""

    session: aiohttp.ClientSession
    image: ImageName
    login: Login | None
    plain: frozenset[str]
    _authorization: str = ""

    async def manifest(self, digest: str) -> bytes:
        """The manifest of that digest."""
        return await self._fetch("manifests", digest, {"Accept": ", ".join(ACCEPTED)})

    async def blob(self, digest: str) -> bytes:
        """The content of that digest."""
        return await self._fetch("blobs", digest, {})

    async def _fetch(self, kind: str, digest: str, headers: Mapping[str, str]) -> bytes:
        host = f"registry-1.{DOCKER_HUB}" if self.image.host == DOCKER_HUB else self.image.host
        scheme = "http" if host.lower().removesuffix(":80") in self.plain else "https"
        registry = url = URL(f"{scheme}://{host}/v2/{self.image.repository}/{kind}/{digest}")
        for _ in range(_HOPS):
            at_home = url.origin() == registry.origin()
            sent = {"Authorization": self._authorization} if self._authorization and at_home else {}
            async with self.session.get(url, headers={**headers, **sent}, allow_redirects=False) as answer:
                if answer.status in _REDIRECTS:
                    url = self._follow(url, answer.headers.get("Location", ""))
                elif answer.status == 401 and at_home and not self._authorization:
                    self._authorization = await self._log_in(answer.headers.getall("WWW-Authenticate", ()))
                elif answer.status == 200:
                    return _verified(await _read(answer, CONTENT_MAX, self._what()), digest, self._what())
                else:
                    raise await self._refusal(answer)
        raise self._fault("leads from one address to the next without an end")

    def _follow(self, url: URL, location: str) -> URL:
        try:
            target = url.join(URL(location, encoded=True))
        except ValueError:
            raise self._fault("leads to an address that is none") from None
        self._check(target, "leads to")
        return target

    def _check(self, url: URL, how: str) -> None:
        """Only TLS, but for hosts an admin named: clouds keep their credentials behind plain HTTP."""
        if url.host and (url.scheme == "https" or (url.scheme == "http" and _place(url) in self.plain)):
            return
        raise self._fault(f"{how} {url.host or 'nowhere'} without TLS")

    async def _log_in(self, challenges: Iterable[str]) -> str:
        """The header Authorization that the registry asks for."""
        offers = parse_challenges(challenges)
        if "bearer" in offers:
            return f"Bearer {await self._token(offers['bearer'])}"
        if "basic" in offers and self.login is not None:
            return self.login.basic()
        raise self._fault("asks for credentials (401), and the operator has none for it")

    async def _token(self, offer: Mapping[str, str]) -> str:
        """A token for what is read, from where the registry says (distribution, "Token Authentication")."""
        try:
            realm = URL(offer.get("realm", ""))
        except ValueError:
            raise self._fault("names no place to get tokens") from None
        self._check(realm, "has its tokens from")
        asked = {"service": offer["service"]} if "service" in offer else {}
        asked["scope"] = offer.get("scope", f"repository:{self.image.repository}:pull")
        sent = {"Authorization": self.login.basic()} if self.login is not None else {}
        async with self.session.get(realm.update_query(asked), headers=sent, allow_redirects=False) as answer:
            if answer.status != 200:
                raise await self._refusal(answer)
            body = await _read(answer, _TOKEN_MAX, "a token")
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            found = None
        token = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else None
        if not isinstance(token, str) or _SENDABLE.fullmatch(token) is None:
            raise self._fault(f"has its tokens from {realm.host}, which gave none")
        return token

    async def _refusal(self, answer: aiohttp.ClientResponse) -> OperatorError:
        said = f"{answer.status} {', '.join(await _codes(answer))}".strip()
        where = "" if answer.url.host == self.image.host.partition(":")[0] else f" at {answer.url.host}"
        if answer.status == 429 or answer.status >= 500:
            after = answer.headers.get("Retry-After", "")
            wait = float(after) if after.isascii() and after.isdecimal() and len(after) < 6 else None
            return Transient(f"{self._what()} is not to be had{where} now ({said})", retry_after=wait)
        if answer.status in (401, 403):
            how = "with the credentials it has for it" if self.login is not None else "without credentials"
            return _blocked(f"the operator may not read {self._what()} {how}{where} ({said})")
        return _blocked(f"{self._what()} is not to be had{where} ({said})")

    def _fault(self, what: str) -> Blocked:
        return _blocked(f"registry {self.image.host} {what}")

    def _what(self) -> str:
        return f"{self.image.host}/{self.image.repository}"


def _place(url: URL) -> str:
    return url.host or "" if url.is_default_port() else f"{url.host}:{url.port}"


async def _read(answer: aiohttp.ClientResponse, limit: int, what: str) -> bytes:
    content = bytearray()
    async for piece in answer.content.iter_any():
        content += piece
        if len(content) > limit:
            raise _blocked(f"{what} is longer than {limit} bytes at {answer.url.host}")
    return bytes(content)


def _verified(content: bytes, digest: str, what: str) -> bytes:
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise _blocked(f"{what} isn't what was asked for: what came hasn't digest {digest}")
    return content


async def _codes(answer: aiohttp.ClientResponse) -> list[str]:
    """What it says is wrong, in the specification's own words."""
    try:
        found = orjson.loads(await answer.content.read(_SAID_MAX))
        codes = [each["code"] for each in found["errors"]]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return []
    return sorted(_CODES & {code for code in codes if isinstance(code, str)})


def _blocked(message: str) -> Blocked:
    return Blocked(Finding(Reason.ENTRYPOINT_UNKNOWN, "", message))
