"""Building blocks shared by the kinds: strict frozen base, bounded scalars, schema hints.

``x-kubernetes-*`` hints travel in ``json_schema_extra`` and reach the CRD unchanged, so a rule stands
beside the field it guards.
"""

import ipaddress
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from microapp_operator.constants import METADATA_RANGES

Manifest = dict[str, Any]
"""A Kubernetes object as plain JSON types."""

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
HOST_NAME = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
QUANTITY = r"^[0-9]+(\.[0-9]{1,3})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"
# Narrower than format date-time, which takes offsets of a day and more, the year 0 and lower case.
TIMESTAMP = (
    r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)


class Model(BaseModel):
    """Base of every API type: camelCase on the wire, frozen, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid", use_enum_values=False
    )


def cel(rule: str, message: str, **more: str) -> dict[str, str]:
    """One ``x-kubernetes-validations`` entry (KEP-2876): CEL rule and the message shown when it fails."""
    return {"rule": rule, "message": message, **more}


def validations(*rules: dict[str, str]) -> dict[str, Any]:
    """``json_schema_extra`` that carries CEL rules to the CRD."""
    return {"x-kubernetes-validations": list(rules)}


def list_map(*keys: str) -> dict[str, Any]:
    """``json_schema_extra`` of a list merged by ``keys`` in server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _canonical_cidr(value: object) -> object:
    if isinstance(value, str):
        ipaddress.ip_network(value)
    return value


def _existing_time(value: str) -> str:
    datetime.fromisoformat(value)
    return value


def _overlaps(reserved: str) -> str:
    family = ipaddress.ip_network(reserved).version
    return (
        f"cidr(self).ip().family() == {family} && "
        f"(cidr('{reserved}').containsCIDR(self) || cidr(self).containsCIDR('{reserved}'))"
    )


_CIDR_RULES = validations(
    cel(
        "isCIDR(self) && cidr(self) == cidr(self).masked()",
        "cidr must be a network in CIDR notation with no host bits set, for example 203.0.113.0/24",
    ),
    cel(
        "!isCIDR(self) || !(" + " || ".join(map(_overlaps, METADATA_RANGES)) + ")",
        f"cidr overlaps link-local or cloud metadata addresses ({', '.join(METADATA_RANGES).removesuffix('/128')}), "
        "which no app may reach",
    ),
)

Label = Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=63)]
HostName = Annotated[str, Field(pattern=HOST_NAME, max_length=253)]
Port = Annotated[int, Field(ge=1, le=65535)]
Cidr = Annotated[
    str,
    BeforeValidator(_canonical_cidr),
    Field(min_length=4, max_length=43, json_schema_extra=_CIDR_RULES),
]
Text = Annotated[str, Field(min_length=1, max_length=1024)]
SecretPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=256)]
Duration = Annotated[str, Field(pattern=r"^([0-9]{1,6}(s|m|h))+$", max_length=20)]
Quantity = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(pattern=QUANTITY, max_length=20),
    # The pattern judges strings only, the minimum integers only.
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": QUANTITY, "maxLength": 20, "minimum": 0}),
]
Timestamp = Annotated[
    str,
    Field(pattern=TIMESTAMP, max_length=35),
    AfterValidator(_existing_time),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": TIMESTAMP, "maxLength": 35}),
]


class Classification(StrEnum):
    """Data classification, least to most sensitive."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class SecretEngine(StrEnum):
    """Vault secrets engine."""

    KV = "kv"
    DATABASE = "database"


class Protocol(StrEnum):
    """Transport protocol, as NetworkPolicy names it."""

    TCP = "TCP"
    UDP = "UDP"


class ObjectMeta(BaseModel):
    """The part of ``metadata`` the operator reads; the rest is ignored, never copied to a child."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    annotations: Annotated[Mapping[str, str], BeforeValidator(lambda value: value or {})] = Field(default_factory=dict)
