"""Names of images as a container runtime reads them (github.com/distribution/reference)."""

import re
from dataclasses import dataclass
from typing import Final

DOCKER_HUB: Final = "docker.io"
_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?", re.ASCII)
_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[a-f0-9]{64}")


@dataclass(frozen=True, slots=True)
class ImageName:
    """host: of its registry, with the port if one is named. repository: its path there. digest: of its content."""

    host: str
    repository: str
    digest: str


def parse_image(image: str) -> ImageName | None:
    """What ``image`` names; None unless it is by digest, and well-formed. A name without a host is Docker Hub's."""
    name, _, digest = image.rpartition("@")
    before, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        if _TAG.fullmatch(tag) is None:
            return None
        name = before
    host, repository = _split(name)
    if not (_HOST.fullmatch(host) and _REPOSITORY.fullmatch(repository) and _DIGEST.fullmatch(digest)):
        return None
    return ImageName(host, repository, digest)


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    host, repository = (first, rest) if named else (DOCKER_HUB, name)
    if host == f"index.{DOCKER_HUB}":
        host = DOCKER_HUB
    if host == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return host, repository
