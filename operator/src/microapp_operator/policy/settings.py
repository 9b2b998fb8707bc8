"""What the admins decide for the rules, from one file. Frozen; the same for webhook, operator and command line."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel as PydanticModel
from pydantic import ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from microapp_operator.errors import InvalidSpec
from microapp_operator.model.common import Manifest

_CONFIG = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class PodSecurity(PydanticModel):
    """Pod Security Standards: level, and version as the minor of Kubernetes 1.x."""

    model_config = _CONFIG

    level: Annotated[str, Field(pattern="^(baseline|restricted)$")] = "restricted"
    version: Annotated[int, Field(ge=0, le=99)] = 36


class PolicySettings(PydanticModel):
    """Settings of the rules.

    registries: prefixes of allowed images, each with a slash at its end; nothing is allowed without one.
    operators: user names the operator writes under. gitops: user names that may change production; empty
    for a platform without GitOps. break_glass_groups: groups whose members may do in an emergency what else
    only the operator does; the rules about content hold for them too. reserved_networks: ranges no app may
    reach, besides link-local and metadata addresses.
    """

    model_config = _CONFIG

    pod_security: PodSecurity = PodSecurity()
    registries: tuple[Annotated[str, Field(pattern=".+/$")], ...] = ()
    operators: tuple[str, ...] = ("system:serviceaccount:microapp-system:microapp-operator",)
    gitops: tuple[str, ...] = ("system:serviceaccount:argocd:argocd-application-controller",)
    break_glass_groups: tuple[str, ...] = ("system:masters",)
    reserved_networks: tuple[str, ...] = ()

    def document(self) -> Manifest:
        """As the rules read them: ``context.settings``."""
        return self.model_dump(mode="json", by_alias=True)


def read_settings(path: Path) -> PolicySettings:
    """The settings in the YAML file ``path``. InvalidSpec names the field at fault."""
    try:
        return PolicySettings.model_validate(yaml.safe_load(path.read_text()) or {})
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidSpec(path=str(path), message=f"can't be read: {error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidSpec(path=f"{path}: {where}", message=f"{first['msg']}.") from error
