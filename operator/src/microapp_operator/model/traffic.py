"""Who may call a MicroApp, and what it may connect to."""

from typing import Annotated

from pydantic import Field

from microapp_operator.model.common import (
    ATOMIC,
    Cidr,
    Classification,
    HostName,
    Label,
    Model,
    Port,
    Protocol,
    Text,
    cel,
    validations,
)


class AppRef(Model):
    """Another MicroApp, by the namespace and name of its MicroApp resource."""

    namespace: Annotated[Label, Field(description="Namespace of the other MicroApp (its tenant).")]
    name: Annotated[Label, Field(description="Name of the other MicroApp.")]


class IngressPeer(Model):
    """One caller that is let in."""

    micro_app: Annotated[AppRef, Field(description="The MicroApp that may call this one.")]


class Ingress(Model):
    """Who may call the app."""

    from_: Annotated[
        tuple[IngressPeer, ...],
        Field(
            alias="from",
            max_length=32,
            description="Callers let in on runtime.port. Nobody by default.",
            json_schema_extra=ATOMIC,
        ),
    ] = ()


class EgressEndpoint(Model):
    """One destination the app may connect to. Exactly one of host, cidr, microApp, connectorRef."""

    model_config = {
        "json_schema_extra": validations(
            cel(
                "[has(self.host), has(self.cidr), has(self.microApp), has(self.connectorRef)].filter(x, x).size() == 1",
                "exactly one of host, cidr, microApp or connectorRef must be set",
            ),
            cel(
                "has(self.connectorRef) ? !has(self.port) : has(self.port)",
                "port is required for host, cidr and microApp, and comes from the Connector for connectorRef",
            ),
        )
    }

    name: Annotated[Label, Field(description="Name of the endpoint, unique in the app.")]
    host: Annotated[HostName | None, Field(description="Fully qualified host name, lower case, no wildcard.")] = None
    cidr: Annotated[
        Cidr | None, Field(description="Network in CIDR notation; never cluster or metadata addresses.")
    ] = None
    micro_app: Annotated[AppRef | None, Field(description="Another MicroApp; it must let this one in.")] = None
    connector_ref: Annotated[
        Label | None, Field(description="Name of a Connector: an integration the admins have vetted.")
    ] = None
    port: Annotated[
        Port | None, Field(description="Destination port; for a MicroApp its runtime.port. Not with connectorRef.")
    ] = None
    protocol: Annotated[Protocol, Field(description="Transport protocol: TCP or UDP.")] = Protocol.TCP
    data_classification: Annotated[
        Classification,
        Field(description="The most sensitive data sent there: public, internal, confidential, restricted."),
    ]
    justification: Annotated[Text, Field(description="Why the app needs it, for reviewers and auditors.")]
