"""MicroApp: what a developer declares. Field descriptions are the text of ``kubectl explain``."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field

from microapp_operator.model.common import (
    ATOMIC,
    Classification,
    Label,
    Model,
    ObjectMeta,
    Port,
    Quantity,
    SecretEngine,
    SecretPath,
    Text,
    cel,
    list_map,
    validations,
)
from microapp_operator.model.status import MicroAppStatus
from microapp_operator.model.traffic import EgressEndpoint, Ingress


class Stage(StrEnum):
    """How far the app is on its way to users."""

    SANDBOX = "sandbox"
    STAGING = "staging"
    PRODUCTION = "production"


class Profile(StrEnum):
    """How the app is run."""

    CONTAINER = "container"
    WASM = "wasm"
    SERVERLESS = "serverless"


class LogSource(StrEnum):
    """Where the app writes its records."""

    STDOUT = "stdout"
    FILE = "file"
    OTLP = "otlp"


class Owner(Model):
    """Who answers for the app."""

    team: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$",
            max_length=63,
            description="Group of the owning team; its members may read the app's namespace and logs. "
            "A name without a colon, so that no system: group can be named.",
        ),
    ]
    contact: Annotated[
        str,
        Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254, description="Mail address people write to."),
    ]


class EnvVar(Model):
    """One environment variable. Never a secret: declare those in spec.secrets."""

    name: Annotated[
        str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128, description="Name of the variable.")
    ]
    value: Annotated[str, Field(max_length=4096, description="Literal value, readable by all who may read the app.")]


class Resources(Model):
    """What one replica gets; request and limit are the same."""

    cpu: Annotated[Quantity, Field(description="CPU in cores or millicores, for example 200m.")] = "100m"
    memory: Annotated[Quantity, Field(description="Memory in bytes, for example 256Mi.")] = "128Mi"


class Runtime(Model):
    """What runs, and how."""

    profile: Annotated[
        Profile,
        Field(
            description="container: a Deployment. wasm: a Deployment under a WebAssembly RuntimeClass or, where "
            "there is none and the tier allows it, in the platform's runner: RuntimeAvailable says which. "
            "serverless: a Knative Service. A profile the cluster can't honour shows as RuntimeAvailable=False; it "
            "never falls back to another."
        ),
    ] = Profile.CONTAINER
    image: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9]+([._:/-]+[a-zA-Z0-9_]+)*(@sha256:[a-f0-9]{64})?$",
            max_length=512,
            description="Image reference. Pin it as name@sha256:<digest>; production of a reviewed tier "
            "requires it. For wasm: the image that carries the module.",
        ),
    ]
    command: Annotated[
        tuple[Annotated[str, Field(max_length=1024)], ...],
        Field(
            max_length=32,
            description="Entrypoint and arguments; the image's own when empty. For wasm in the platform's runner: the "
            "module's path in the image, /app.wasm when empty, and its arguments.",
            json_schema_extra=ATOMIC,
        ),
    ] = ()
    port: Annotated[
        Port, Field(description="TCP port the app listens on; above 1024, since it isn't root.", ge=1025)
    ] = 8080
    replicas: Annotated[int, Field(ge=0, le=100, description="Number of pods; at most the tier's replicasMax.")] = 1
    env: Annotated[
        tuple[EnvVar, ...],
        Field(max_length=64, description="Environment variables.", json_schema_extra=list_map("name")),
    ] = ()
    resources: Annotated[Resources, Field(description="Size of one replica, within the tier's quota.")] = Resources()


class SecretUse(StrEnum):
    """What a long-lived secret is for."""

    OWN = "Own"
    INTEGRATION = "Integration"


class OnChange(StrEnum):
    """What becomes of running pods when a secret changes."""

    RELOAD = "Reload"
    RESTART = "Restart"


class SecretRequest(Model):
    """One secret the app reads at run time. The value never enters the cluster's store."""

    model_config = {
        "json_schema_extra": validations(
            cel("!has(self.path) || !self.path.contains('..')", "path must not contain ..", fieldPath=".path"),
            cel("has(self.path) != has(self.connectorRef)", "exactly one of path and connectorRef must be set"),
        )
    }

    name: Annotated[Label, Field(description="Name of the secret in the app: the file name below /secrets.")]
    engine: Annotated[SecretEngine, Field(description="Vault secrets engine: kv or database.")] = SecretEngine.KV
    path: Annotated[
        SecretPath | None,
        Field(
            description="kv: <name of the app>/<rest>, below the tenant's own part of the engine. database: "
            "<mount>/creds/<role> for a user of its own, made on demand, or <mount>/static-creds/<role>."
        ),
    ] = None
    connector_ref: Annotated[
        Label | None,
        Field(description="Name of a Connector whose credential, owned by the platform, is delivered."),
    ] = None
    field: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            max_length=64,
            description="Deliver the value of this field alone; the whole secret as a JSON object when absent.",
        ),
    ] = None
    on_change: Annotated[
        OnChange,
        Field(
            description="Reload: the file changes and the app reads it again. Restart: the pods are replaced, one "
            "after the other; always so with env."
        ),
    ] = OnChange.RELOAD
    use: Annotated[
        SecretUse | None,
        Field(
            description="Of a kv secret in an app that calls third parties: Own when none of them ever sees it. "
            "Integration, or nothing said, is refused: their tokens come from a Connector."
        ),
    ] = None
    env: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            max_length=128,
            description="Also export it under this variable.",
        ),
    ] = None
    classification: Annotated[
        Classification, Field(description="Classification of what it opens, as dataClassification.")
    ] = Classification.INTERNAL
    justification: Annotated[Text | None, Field(description="Why the app needs it.")] = None


class Logging(Model):
    """How the app's records are picked up."""

    source: Annotated[LogSource, Field(description="stdout, a file on a shared volume, or OTLP on localhost.")] = (
        LogSource.STDOUT
    )


class Volume(Model):
    """One persistent volume. Kept when the entry is removed, deleted with the app."""

    model_config = {
        "json_schema_extra": validations(
            cel("!self.mountPath.contains('..')", "mountPath must not contain ..", fieldPath=".mountPath")
        )
    }

    name: Annotated[Label, Field(description="Name of the volume.")]
    size: Annotated[Quantity, Field(description="Size in bytes, for example 1Gi; can grow, never shrink.")]
    mount_path: Annotated[
        str,
        Field(pattern=r"^/[A-Za-z0-9._/-]+$", max_length=256, description="Absolute path in the container."),
    ]


NOT_RISK: Final = ("description", "owner.contact", "runtime.replicas", "suspend")
"""Fields of the spec that stay out of its fingerprint: none of them changes what the app can do.

Replicas are bounded by each Approval instead, so that fewer need no new one and more do.
"""


def drop_harmless(spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A copy of ``spec`` (JSON names) without ``NOT_RISK``."""
    kept: dict[str, Any] = {}
    for key, value in spec.items():
        path = f"{prefix}{key}"
        if path in NOT_RISK:
            continue
        deeper = isinstance(value, Mapping) and any(each.startswith(f"{path}.") for each in NOT_RISK)
        kept[key] = drop_harmless(value, f"{path}.") if deeper else value
    return kept


class MicroAppSpec(Model):
    """What the app is, runs, reaches and needs."""

    description: Annotated[str, Field(max_length=1024, description="One sentence for the catalog.")] = ""
    owner: Annotated[Owner, Field(description="Who answers for the app.")]
    risk_tier: Annotated[Label, Field(description="Name of a RiskTier: low, medium and high ship with the product.")]
    data_classification: Annotated[
        Classification,
        Field(description="The most sensitive data the app handles: public, internal, confidential, restricted."),
    ]
    stage: Annotated[
        Stage,
        Field(description="sandbox, staging or production; a tier may ask for approvals before production."),
    ] = Stage.SANDBOX
    runtime: Annotated[Runtime, Field(description="What runs, and how.")]
    ingress: Annotated[Ingress, Field(description="Who may call the app. Nobody by default.")] = Ingress()
    egress: Annotated[
        tuple[EgressEndpoint, ...],
        Field(
            max_length=32,
            description="Everything the app may connect to. What isn't listed is denied. Each endpoint says "
            "where (host, cidr, microApp or connectorRef), why (justification) and what is sent "
            "(dataClassification); the risk tier limits how many there may be and which need an Approval.",
            json_schema_extra=list_map("name"),
        ),
    ] = ()
    secrets: Annotated[
        tuple[SecretRequest, ...],
        Field(
            max_length=16,
            description="Secrets from Vault, delivered at run time.",
            json_schema_extra=list_map("name"),
        ),
    ] = ()
    logging: Annotated[Logging, Field(description="How the app's records are picked up.")] = Logging()
    storage: Annotated[
        tuple[Volume, ...],
        Field(max_length=8, description="Persistent volumes.", json_schema_extra=list_map("name")),
    ] = ()
    suspend: Annotated[bool, Field(description="True stops the pods and keeps everything else.")] = False


class MicroApp(Model):
    """A small app, confined by its risk tier."""

    model_config = {
        "extra": "ignore",
        "json_schema_extra": validations(
            cel(
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && self.metadata.name.size() <= 52",
                "metadata.name must be a DNS label (RFC 1035) of at most 52 characters: lower case letters, "
                "digits and -, starting with a letter",
            )
        ),
    }

    metadata: ObjectMeta
    spec: MicroAppSpec
    status: MicroAppStatus = MicroAppStatus()
