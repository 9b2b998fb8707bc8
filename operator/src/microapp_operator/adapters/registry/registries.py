"""The registries of an installation: one session per image, so that nothing is left of one when the next is read."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

import aiohttp

from microapp_operator.adapters.registry.credentials import find_login
from microapp_operator.adapters.registry.documents import (
    Manifest,
    Platform,
    parse_configuration,
    parse_manifest,
    select_images,
    unreadable,
)
from microapp_operator.adapters.registry.line import Line
from microapp_operator.decide.entrypoint import ImageProcess
from microapp_operator.errors import Blocked, InvalidSpec, OperatorError, Transient
from microapp_operator.model.image import ImageName
from microapp_operator.reasons import Finding, Reason
from microapp_operator.settings import RegistrySettings

WITHIN: Final = 30.0
"""Seconds for all requests about one image."""
_LIMITS: Final = aiohttp.ClientTimeout(total=10, connect=5)


class HttpRegistries:
    """``ports.ImageRegistries``. InvalidSpec when the certificates in ``settings`` are none."""

    def __init__(self, settings: RegistrySettings, within: float = WITHIN) -> None:
        self._settings, self._within = settings, within
        self._plain = frozenset(host.removesuffix(":80") for host in settings.plain_http)
        self._trust = ssl.create_default_context()
        if settings.ca:
            try:
                self._trust.load_verify_locations(cadata=settings.ca.encode("ascii", "ignore").decode())
            except ssl.SSLError as error:
                raise InvalidSpec(path="ca", message=f"holds no PEM certificates: {error}.") from error

    async def read(self, image: ImageName) -> Sequence[ImageProcess]:
        """What ``image`` runs on amd64 and arm64, or where it is for neither, on all it is for."""
        login = find_login(self._settings.credentials, image)
        headers = {"Accept-Encoding": "identity", "User-Agent": "microapp-operator"}
        try:
            async with (
                asyncio.timeout(self._within),
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self._trust),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    headers=headers,
                    timeout=_LIMITS,
                    trust_env=False,
                    auto_decompress=False,
                ) as session,
            ):
                return await _processes(Line(session, image, login, self._plain), image)
        except TimeoutError as error:
            raise Transient(f"registry {image.host} has not answered in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _explain(image.host, error) from error


async def _processes(line: Line, image: ImageName) -> list[ImageProcess]:
    whose = f"{image.host}/{image.repository}"
    found = parse_manifest(await line.manifest(image.digest), whose)
    if found.manifests is None:
        return await _of_image(line, found, None, whose)
    processes = []
    for child in select_images(found.manifests, whose):
        manifest = parse_manifest(await line.manifest(child.digest), whose)
        if manifest.config is None:
            raise unreadable(whose, "its index has an index in it")
        processes += await _of_image(line, manifest, child.platform, whose)
    return processes


async def _of_image(line: Line, manifest: Manifest, platform: Platform | None, whose: str) -> list[ImageProcess]:
    """Of one image, which the configuration says is for what, unless the index does."""
    assert manifest.config is not None  # it is no index
    said = parse_configuration(await line.blob(manifest.config.digest), whose)
    place = platform or Platform(os=said.os, architecture=said.architecture)
    if place.os != "linux" or said.config is None:
        return [ImageProcess(f"{place.os}/{place.architecture}", (), ())] if place.os == "linux" else []
    words = (said.config.entrypoint or (), said.config.cmd or ())
    return [ImageProcess(f"{place.os}/{place.architecture}", tuple(words[0]), tuple(words[1]))]


def _explain(host: str, error: aiohttp.ClientError | OSError) -> OperatorError:
    """In words of our own: those of the client may have an address in them that is a credential."""
    where = f"registry {host}" if getattr(error, "host", host) == host.partition(":")[0] else f"a host {host} leads to"
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "") or "it names another host"
            message = f"the certificate of {where} isn't trusted: {why}"
            return Blocked(Finding(Reason.ENTRYPOINT_UNKNOWN, "", message))
        case aiohttp.ClientConnectorDNSError():
            return Transient(f"the name of {where} can't be resolved")
        case aiohttp.ClientConnectorSSLError():
            return Transient(f"{where} doesn't speak TLS, or not as the operator does")
        case aiohttp.ClientConnectorError():
            return Transient(f"{where} can't be reached: {error.os_error.strerror or type(error.os_error).__name__}")
        case _:
            return Transient(f"{where} broke off: {type(error).__name__}")
