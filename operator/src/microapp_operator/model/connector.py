"""Connector: an integration the admins have vetted, so that apps refer to it by name."""

from typing import Annotated

from pydantic import Field

from microapp_operator.model.common import (
    SET,
    Cidr,
    Classification,
    HostName,
    Label,
    Model,
    ObjectMeta,
    Port,
    Protocol,
    SecretEngine,
    SecretPath,
    cel,
    validations,
)


class ConnectorCredential(Model):
    """Where the platform keeps the integration's credential; apps that name the Connector get it, never a copy."""

    model_config = {
        "json_schema_extra": validations(
            cel("!self.path.contains('..')", "path must not contain ..", fieldPath=".path")
        )
    }

    engine: Annotated[SecretEngine, Field(description="Vault secrets engine: kv or database.")] = SecretEngine.KV
    path: Annotated[
        SecretPath,
        Field(
            description="kv: path below the platform's own part of the engine. database: <mount>/creds/<role> or "
            "<mount>/static-creds/<role>."
        ),
    ]


class ConnectorSpec(Model):
    """Where the integration is, and who may use it for what."""

    model_config = {
        "json_schema_extra": validations(
            cel(
                "has(self.hosts) && self.hosts.size() > 0 || has(self.cidrs) && self.cidrs.size() > 0",
                "at least one of hosts and cidrs must be set",
            )
        )
    }

    description: Annotated[str, Field(max_length=1024, description="What it connects to.")] = ""
    hosts: Annotated[
        tuple[HostName, ...],
        Field(max_length=16, description="Host names of the integration.", json_schema_extra=SET),
    ] = ()
    cidrs: Annotated[
        tuple[Cidr, ...],
        Field(max_length=16, description="Networks of the integration.", json_schema_extra=SET),
    ] = ()
    ports: Annotated[
        tuple[Port, ...],
        Field(min_length=1, max_length=8, description="Destination ports.", json_schema_extra=SET),
    ]
    protocol: Annotated[Protocol, Field(description="Transport protocol: TCP or UDP.")] = Protocol.TCP
    classifications: Annotated[
        tuple[Classification, ...],
        Field(min_length=1, max_length=4, description="Data that may be sent there.", json_schema_extra=SET),
    ]
    tiers: Annotated[
        tuple[Label, ...],
        Field(
            min_length=1,
            max_length=16,
            description="Risk tiers whose apps may use it.",
            json_schema_extra=SET,
        ),
    ]
    credential: Annotated[
        ConnectorCredential | None,
        Field(description="The credential the platform owns and rotates; none when the integration asks for none."),
    ] = None


class Connector(Model):
    """A vetted integration."""

    model_config = {"extra": "ignore"}

    metadata: ObjectMeta
    spec: ConnectorSpec
