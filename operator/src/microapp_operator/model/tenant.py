"""Tenant: who may create apps where, how many, and in which tiers."""

from typing import Annotated

from pydantic import Field

from microapp_operator.model.common import SET, Label, Model, ObjectMeta


class TenantSpec(Model):
    """Limits of the tenant, which admission enforces where it is installed."""

    display_name: Annotated[str, Field(max_length=128, description="Name people know it by.")] = ""
    namespaces: Annotated[
        tuple[Label, ...],
        Field(
            min_length=1,
            max_length=64,
            description="Namespaces its MicroApps live in.",
            json_schema_extra=SET,
        ),
    ]
    admin_groups: Annotated[
        tuple[Annotated[str, Field(max_length=253)], ...],
        Field(max_length=16, description="Groups that administer the tenant.", json_schema_extra=SET),
    ] = ()
    tiers: Annotated[
        tuple[Label, ...],
        Field(min_length=1, max_length=16, description="Risk tiers its apps may have.", json_schema_extra=SET),
    ]
    max_apps: Annotated[int, Field(ge=0, le=10000, description="Number of MicroApps it may have.")] = 100


class Tenant(Model):
    """A tenant."""

    model_config = {"extra": "ignore"}

    metadata: ObjectMeta
    spec: TenantSpec
