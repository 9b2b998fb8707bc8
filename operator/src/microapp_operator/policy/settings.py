"""What the admins decide for the rules, from one file. Frozen; the same for webhook, operator and command line."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any

import jwt
import yaml
from pydantic import AfterValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic import BaseModel as PydanticModel
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticSerializationError

from microapp_operator.errors import InvalidSpec
from microapp_operator.model.common import Manifest

_CONFIG = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class PodSecurity(PydanticModel):
    """Pod Security Standards: level, and version as the minor of Kubernetes 1.x."""

    model_config = _CONFIG

    level: Annotated[str, Field(pattern="^(baseline|restricted)$")] = "restricted"
    version: Annotated[int, Field(ge=0, le=99)] = 36


class Person(PydanticModel):
    """One person's accounts, where the API server can't see that they belong together.

    identities: as in an Approval: user:<name>, uid:<uid> or person:<name>.
    """

    model_config = _CONFIG

    identities: Annotated[tuple[Annotated[str, Field(pattern="^(user|uid|person):.+$")], ...], Field(min_length=2)]


class Attestor(PydanticModel):
    """An issuer of tokens that say who asked for what GitOps applies.

    keys: its JSON Web Key Set (RFC 7517), public keys only. claim: the claim that names the person.
    prefix: put before that name, so that it matches what the cluster's authentication calls the person.
    """

    model_config = _CONFIG

    issuer: Annotated[str, Field(min_length=1)]
    keys: dict[str, Any]
    claim: Annotated[str, Field(min_length=1)] = "email"
    prefix: str = ""

    @field_validator("keys")
    @classmethod
    def _public(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            jwt.PyJWKSet.from_dict(value)
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"is no JSON Web Key Set: {error}") from error
        if any("d" in key or key.get("kty") == "oct" for key in value["keys"]):
            raise ValueError("holds a private or symmetric key; give public keys only")
        return value

    def key_set(self) -> jwt.PyJWKSet:
        """The keys, parsed."""
        return jwt.PyJWKSet.from_dict(self.keys)


def _network(value: str) -> str:
    """In CIDR notation: the rules would compare a range that is none with nothing, and so guard nothing."""
    return str(ipaddress.ip_network(value))


class PolicySettings(PydanticModel):
    """Settings of the rules.

    registries: prefixes of allowed images, each with a slash at its end; nothing is allowed without one.
    operators: user names the operator writes under. gitops: user names that may change production; empty
    for a platform without GitOps. break_glass_groups: groups whose members may do in an emergency what else
    only the operator does; the rules about content hold for them too. reserved_networks: ranges no app may
    reach, besides link-local and metadata addresses. people: accounts that belong together.
    attestors: who may say for whom GitOps writes. exception_days: the longest an exception may last.
    """

    model_config = _CONFIG

    pod_security: PodSecurity = PodSecurity()
    registries: tuple[Annotated[str, Field(pattern=".+/$")], ...] = ()
    operators: tuple[str, ...] = ("system:serviceaccount:microapp-system:microapp-operator",)
    gitops: tuple[str, ...] = ("system:serviceaccount:argocd:argocd-application-controller",)
    break_glass_groups: tuple[str, ...] = ("system:masters",)
    reserved_networks: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    people: tuple[Person, ...] = ()
    attestors: tuple[Attestor, ...] = ()
    exception_days: Annotated[int, Field(ge=1, le=365)] = 90

    def document(self) -> Manifest:
        """As the rules read them: ``context.settings``."""
        return self.model_dump(mode="json", by_alias=True, exclude={"people", "attestors"})


def read_settings(path: Path) -> PolicySettings:
    """The settings in the YAML file ``path``. InvalidSpec names the field at fault."""
    try:
        loaded = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no such date, no text
        raise InvalidSpec(path=str(path), message=f"can't be read: {error}.") from error
    try:
        settings = PolicySettings.model_validate({} if loaded is None else loaded)
        settings.model_dump_json()
    except PydanticSerializationError as error:  # YAML can write half a surrogate pair, JSON can't
        raise InvalidSpec(path=str(path), message=f"can't be given to the rules: {error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidSpec(path=f"{path}: {where}", message=f"{first['msg']}.") from error
    return settings
