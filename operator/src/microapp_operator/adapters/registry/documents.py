"""What registries keep: manifests, indexes and configurations (github.com/opencontainers/image-spec), and Docker's."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from microapp_operator.errors import Blocked
from microapp_operator.reasons import Finding, Reason

ACCEPTED: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""Kinds of manifests."""
_CONFIGS: Final = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
_USUAL: Final = ("amd64", "arm64")
_CHILDREN_MAX: Final = 16
"""Images of one index that are looked at."""
D = TypeVar("D", bound=BaseModel)


class _Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore", strict=True)


class Platform(_Document):
    """What an image runs on."""

    os: str = ""
    architecture: str = ""


class Descriptor(_Document):
    """Where content is: by its digest."""

    media_type: str = ""
    digest: Annotated[str, Field(pattern=r"^sha256:[a-f0-9]{64}$")]
    platform: Platform | None = None


class Manifest(_Document):
    """One image (config, layers), or an index of several (manifests)."""

    schema_version: Literal[2]
    manifests: list[Descriptor] | None = None
    config: Descriptor | None = None
    layers: list[Any] | None = None


class _Process(BaseModel):
    """The names have capitals, as in the specification."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    entrypoint: Annotated[list[str] | None, Field(alias="Entrypoint")] = None
    cmd: Annotated[list[str] | None, Field(alias="Cmd")] = None


class Configuration(_Document):
    """What one image runs."""

    os: str = ""
    architecture: str = ""
    config: _Process | None = None


def parse_manifest(content: bytes, whose: str) -> Manifest:
    """An index or the manifest of an image, and nothing that could be read as both (CVE-2021-41190)."""
    found = _parse(Manifest, content, whose)
    if (found.manifests is None) == (found.config is None) or (
        found.manifests is not None and found.layers is not None
    ):
        raise unreadable(whose, "it is neither an image nor an index of images")
    if found.config is not None and found.config.media_type not in _CONFIGS:
        raise unreadable(whose, "it is no container image")
    return found


def parse_configuration(content: bytes, whose: str) -> Configuration:
    """The configuration of an image."""
    return _parse(Configuration, content, whose)


def select_images(manifests: Sequence[Descriptor], whose: str) -> list[Descriptor]:
    """Those of an index for Linux, by digest once: on amd64 and arm64, and on others where there are none of these.

    Whatever doesn't say what it is for is looked at, too; attestations say that they are for nothing.
    """
    linux = [m for m in manifests if m.platform is None or m.platform.os == "linux"]
    usual = [m for m in linux if m.platform is not None and m.platform.architecture in _USUAL]
    chosen = list({m.digest: m for m in usual or linux}.values())
    if len(chosen) > _CHILDREN_MAX:
        raise unreadable(whose, f"its index has {len(chosen)} images; {_CHILDREN_MAX} are looked at")
    return chosen


def unreadable(whose: str, why: str) -> Blocked:
    """What is said of an image that can't be made sense of."""
    return Blocked(Finding(Reason.ENTRYPOINT_UNKNOWN, "", f"{whose} can't be read: {why}"))


def _parse(kind: type[D], content: bytes, whose: str) -> D:
    try:
        return kind.model_validate(orjson.loads(content))
    except orjson.JSONDecodeError:
        raise unreadable(whose, "the registry keeps something for it that is no JSON") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise unreadable(whose, f"{kind.__name__.lower()} {where}: {first['msg']}"[:300]) from None
