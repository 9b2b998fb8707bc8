"""Who the operator is at which registry: a Docker configuration file, as the kubelet reads it.

https://kubernetes.io/docs/concepts/containers/images/#config-json: names of hosts may have wildcards, and a path
narrows an entry down to the images below it. The file is read anew for each image, since a mounted Secret changes.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import orjson

from microapp_operator.errors import Blocked
from microapp_operator.model.image import DOCKER_HUB, ImageName
from microapp_operator.reasons import Finding, Reason

_SIZE_MAX: Final = 2**20
_HUB_HOSTS: Final = frozenset({DOCKER_HUB, f"index.{DOCKER_HUB}", f"registry-1.{DOCKER_HUB}"})


@dataclass(frozen=True, slots=True)
class Login:
    """User and password of one registry; never shown."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    def basic(self) -> str:
        """As a value of the header Authorization (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


def find_login(path: Path | None, image: ImageName) -> Login | None:
    """What ``path`` has for ``image``: of several entries the narrowest. Blocked when the file is no good."""
    if path is None:
        return None
    found: dict[tuple[bool, int], tuple[str, Any]] = {}
    for name, entry in _entries(path):
        host, _, folder = _normalize(name).partition("/")
        if _is_host(host, image.host) and f"{image.repository}/".startswith(f"{folder}/" if folder else ""):
            found["*" not in host, len(folder)] = (name, entry)
    if not found:
        return None
    name, entry = found[max(found)]
    login = _read(entry)
    if login is None:
        raise _fault(f"the entry for {name} in the operator's credentials has no user name and password")
    return login


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with path.open("rb") as file:
            document = orjson.loads(file.read(_SIZE_MAX))
    except (OSError, orjson.JSONDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no JSON"
        raise _fault(f"the operator's credentials for registries can't be read: {why}") from None
    auths = document.get("auths") if isinstance(document, dict) else None
    if not isinstance(auths, dict):
        raise _fault("the operator's credentials for registries have no object auths")
    yield from auths.items()


def _normalize(name: str) -> str:
    """Without what ``docker login`` puts around it: https://index.docker.io/v1/."""
    bare = name.partition("://")[2] or name
    bare = bare.rstrip("/")
    for version in ("/v1", "/v2"):
        bare = bare.removesuffix(version)
    host, slash, folder = bare.partition("/")
    return f"{DOCKER_HUB if host in _HUB_HOSTS else host}{slash}{folder}"


def _is_host(pattern: str, host: str) -> bool:
    """A wildcard stands for one label, or a part of it."""
    wanted, has = pattern.split("."), host.split(".")
    return len(wanted) == len(has) and all(fnmatchcase(h, w) for w, h in zip(wanted, has, strict=True))


def _read(entry: Any) -> Login | None:
    if not isinstance(entry, dict):
        return None
    user, password = entry.get("username"), entry.get("password")
    if isinstance(entry.get("auth"), str) and entry["auth"]:
        try:
            user, colon, password = base64.b64decode(entry["auth"]).decode().rstrip("\0").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if not colon:
            return None
    if not (isinstance(user, str) and isinstance(password, str) and user and password):
        return None
    return Login(user, password)


def _fault(message: str) -> Blocked:
    return Blocked(Finding(Reason.ENTRYPOINT_UNKNOWN, "", message))
