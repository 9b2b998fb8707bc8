"""RiskTier: the only source of what an app of that tier may have, and what it must show."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from microapp_operator.model.common import (
    ATOMIC,
    SET,
    Classification,
    Duration,
    Label,
    Model,
    ObjectMeta,
    Quantity,
    list_map,
)


class TierQuota(Model):
    """ResourceQuota of the app's namespace; platform sidecars are counted in."""

    cpu: Annotated[Quantity, Field(description="Sum of CPU of all pods.")]
    memory: Annotated[Quantity, Field(description="Sum of memory of all pods.")]
    pods: Annotated[int, Field(ge=1, le=1000, description="Number of pods.")]
    storage: Annotated[Quantity, Field(description="Sum of all persistent volumes.")] = "1Gi"


class SidecarReserve(Model):
    """Part of the quota kept for the platform's sidecars, per pod."""

    cpu: Annotated[Quantity, Field(description="CPU per pod.")] = "50m"
    memory: Annotated[Quantity, Field(description="Memory per pod.")] = "96Mi"


class TierEgress(Model):
    """What apps of the tier may reach."""

    max_endpoints: Annotated[int, Field(ge=0, le=32, description="Number of endpoints an app may declare.")]
    connectors_only: Annotated[bool, Field(description="True: only connectorRef, and other MicroApps.")] = False
    approval_required: Annotated[bool, Field(description="True: each endpoint waits for an Approval.")] = False
    expiry_required: Annotated[bool, Field(description="True: that Approval must have an expiry.")] = False


class TierIsolation(Model):
    """What must be proven about isolation."""

    required: Annotated[
        bool,
        Field(
            description="True: while the isolation probe sees a leak, apps that don't run yet aren't started and "
            "changes wait."
        ),
    ] = False


class Injection(StrEnum):
    """How secrets reach the pods."""

    RENDERED = "Rendered"
    VAULT_ANNOTATIONS = "VaultAnnotations"
    OPENBAO_ANNOTATIONS = "OpenBaoAnnotations"
    VAULT_SECRETS_OPERATOR = "VaultSecretsOperator"
    EXTERNAL_SECRETS = "ExternalSecrets"


class AgentSize(Model):
    """What the agent that delivers secrets gets, in each pod of an app that has any."""

    cpu: Annotated[Quantity, Field(description="CPU per pod.")] = "25m"
    memory: Annotated[Quantity, Field(description="Memory per pod.")] = "96Mi"


class TierSecrets(Model):
    """What apps of the tier may read, and how they get it."""

    approval_required: Annotated[bool, Field(description="True: in production each secret waits for an Approval.")] = (
        False
    )
    overdue_blocks_releases: Annotated[
        bool, Field(description="True: while the rotation of a secret is overdue, no new revision is let in.")
    ] = False
    injection: Annotated[
        Injection,
        Field(
            description="Rendered: an agent in the pod, nothing in the cluster's store, no webhook. VaultAnnotations, "
            "OpenBaoAnnotations: for an installed injector. VaultSecretsOperator, ExternalSecrets: for those "
            "operators; they copy secrets into the cluster's store."
        ),
    ] = Injection.RENDERED
    external_store: Annotated[
        Label | None,
        Field(
            description="With injection ExternalSecrets: the ClusterSecretStore to read from (AWS, Azure, …); "
            "a SecretStore for Vault under the app's own account when absent."
        ),
    ] = None
    agent: Annotated[AgentSize, Field(description="Size of the agent, on top of sidecarReserve.")] = AgentSize()


class ReviewerGroup(Model):
    """A group of people of whom somebody must have approved."""

    name: Annotated[Label, Field(description="What the group is called in messages, for example security.")]
    groups: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253)], ...],
        Field(
            min_length=1,
            max_length=16,
            description="Groups as the API server knows them; a member of any of them counts.",
            json_schema_extra=SET,
        ),
    ]
    reviewers: Annotated[int, Field(ge=1, le=10, description="How many of its members are needed.")] = 1


class VoidingChange(StrEnum):
    """A change around the app after which its approvals no longer hold."""

    POLICY = "Policy"
    TIER = "Tier"


class TierApprovals(Model):
    """Approvals before production."""

    reviewers: Annotated[int, Field(ge=0, le=10, description="Number of different approvers.")] = 0
    groups: Annotated[
        tuple[ReviewerGroup, ...],
        Field(
            max_length=4,
            description="Groups of which some of these approvers must be members.",
            json_schema_extra=list_map("name"),
        ),
    ] = ()
    void_on: Annotated[
        tuple[VoidingChange, ...],
        Field(
            max_length=2,
            description="Policy: a new policy bundle voids approvals. Tier: a change of this RiskTier does. "
            "Neither when empty, so that a policy update doesn't stop a fleet.",
            json_schema_extra=SET,
        ),
    ] = ()


class TierRuntime(Model):
    """RuntimeClasses, in order of preference; the first that exists is used."""

    hardened_class_names: Annotated[
        tuple[Label, ...],
        Field(max_length=8, description="Hardened classes used where present.", json_schema_extra=ATOMIC),
    ] = ()
    wasm_class_names: Annotated[
        tuple[Label, ...],
        Field(
            max_length=8,
            description="Classes that run profile wasm; one must exist, unless wasmInContainer.",
            json_schema_extra=ATOMIC,
        ),
    ] = ("wasmtime", "spin", "wasmedge")
    wasm_in_container: Annotated[
        bool,
        Field(
            description="True: where none of wasmClassNames exists, a module runs in the platform's runner in a "
            "hardened container. RuntimeAvailable says so."
        ),
    ] = False


class TierCredentials(Model):
    """Lifetime of credentials."""

    ttl: Annotated[Duration, Field(description="Lifetime of a lease, for example 30m.")]
    max_ttl: Annotated[Duration, Field(alias="maxTTL", description="Lifetime a lease can be renewed to.")]


class TierBackup(Model):
    """Backup objectives."""

    rpo: Annotated[Duration, Field(description="Recovery point objective.")]
    rto: Annotated[Duration, Field(description="Recovery time objective.")]
    drill_days: Annotated[int, Field(ge=1, le=365, description="Days between restore drills.")]


class RiskTierSpec(Model):
    """Limits, gates and duties of the tier."""

    description: Annotated[str, Field(max_length=1024, description="For whom the tier is.")] = ""
    rank: Annotated[int, Field(ge=0, le=100, description="Order of the tiers; a higher rank means more risk.")]
    quota: Annotated[TierQuota, Field(description="Size of the app's namespace.")]
    sidecar_reserve: Annotated[SidecarReserve, Field(description="Part of it kept for sidecars.")] = SidecarReserve()
    replicas_max: Annotated[int, Field(ge=1, le=100, description="Most replicas an app may ask for.")]
    classifications: Annotated[
        tuple[Classification, ...],
        Field(min_length=1, max_length=4, description="Data classifications allowed.", json_schema_extra=SET),
    ]
    egress: Annotated[TierEgress, Field(description="What apps may reach.")]
    isolation: Annotated[TierIsolation, Field(description="What must be proven about isolation.")] = TierIsolation()
    secrets: Annotated[TierSecrets, Field(description="What apps may read.")] = TierSecrets()
    approvals: Annotated[TierApprovals, Field(description="Approvals before production.")] = TierApprovals()
    runtime: Annotated[TierRuntime, Field(description="RuntimeClasses.")] = TierRuntime()
    credentials: Annotated[TierCredentials, Field(description="Lifetime of credentials.")]
    rotation_days: Annotated[int, Field(ge=1, le=365, description="Days after which a secret must be rotated.")]
    log_retention_days: Annotated[int, Field(ge=1, le=3650, description="Days logs are kept.")]
    backup: Annotated[TierBackup | None, Field(description="Backup objectives; none when absent.")] = None


class RiskTier(Model):
    """A risk tier."""

    model_config = {"extra": "ignore"}

    metadata: ObjectMeta
    spec: RiskTierSpec
