"""``MicroApp.status``: what is so, written by the operator alone (server-side apply on ``/status``)."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from microapp_operator.model.common import ATOMIC, Label, Model, Timestamp, list_map

FINDINGS_MAX: Final = 256
"""Rules that status lists one by one; a bundle with more has the rest summed up in the last entry."""
WORDS_MAX: Final = 256
"""Words of what an image runs."""


class Condition(Model):
    """One condition (metav1.Condition); each carries the generation it speaks of."""

    type: Annotated[str, Field(max_length=64, description="What is judged, for example NetworkIsolated.")]
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$", max_length=7, description="True, False or Unknown.")]
    reason: Annotated[str, Field(min_length=1, max_length=128, description="Why, in one CamelCase word.")]
    message: Annotated[str, Field(max_length=32768, description="What is wrong, where, and what to do about it.")]
    observed_generation: Annotated[int, Field(description="The metadata.generation this was judged for.")]
    last_transition_time: Annotated[Timestamp, Field(description="When status last changed.")]


class NamespaceStatus(Model):
    """The app's own namespace; the UID binds it."""

    name: Annotated[str, Field(max_length=63, description="Name of the namespace.")]
    uid: Annotated[
        str,
        Field(max_length=36, description="UID of the namespace; a namespace with another UID isn't ours."),
    ]


class EgressStatus(Model):
    """What became of one egress endpoint."""

    name: Annotated[Label, Field(description="Name of the endpoint in spec.egress.")]
    state: Annotated[str, Field(pattern="^(Enforced|Pending)$", max_length=8, description="Enforced or Pending.")]
    mechanism: Annotated[str, Field(max_length=64, description="What enforces it: NetworkPolicy, or None.")]
    reason: Annotated[str, Field(max_length=128, description="Why, in one word.")]
    message: Annotated[str, Field(max_length=1024, description="What to do when it is pending.")] = ""
    approval: Annotated[str | None, Field(max_length=253, description="Approval that permits it.")] = None
    expires_at: Annotated[Timestamp | None, Field(description="When that approval ends.")] = None


class SecretStatus(Model):
    """One secret as the store has it; never its value."""

    name: Annotated[Label, Field(description="Name of the secret in spec.secrets.")]
    state: Annotated[str, Field(pattern="^(Ready|Pending)$", max_length=8, description="Ready or Pending.")]
    secret_id: Annotated[str, Field(max_length=512, description="Where it is, as audit events name it.")] = ""
    justification: Annotated[
        str, Field(max_length=320, description="What permits it: approval/<name>, or tier/<name>.")
    ] = ""
    rotated_at: Annotated[Timestamp | None, Field(description="When it was last rotated.")] = None
    version: Annotated[str, Field(max_length=64, description="Which of its values it was, as the store counts.")] = ""
    restarts: Annotated[
        int, Field(ge=0, description="How often its pods were replaced because they could not read it anew.")
    ] = 0


class SecretStoreStatus(Model):
    """The app's identity in the secret store, kept so that it can be removed."""

    role: Annotated[str, Field(max_length=63, description="Its role and policy.")]
    account_uid: Annotated[str, Field(max_length=63, description="UID of the ServiceAccount it is bound to.")]
    applied: Annotated[
        str, Field(max_length=64, description="Digest of role and policy as they were last brought about.")
    ] = ""
    secrets: Annotated[
        tuple[SecretStatus, ...],
        Field(max_length=16, description="One entry per secret.", json_schema_extra=list_map("name")),
    ] = ()


Word = Annotated[str, Field(max_length=16384)]


class Entrypoint(Model):
    """What an image runs when its pod says nothing, asked of its registry once."""

    image: Annotated[str, Field(max_length=512, description="The image, by digest.")]
    command: Annotated[
        tuple[Word, ...],
        Field(
            min_length=1,
            max_length=WORDS_MAX,
            description="Its ENTRYPOINT, or CMD without one.",
            json_schema_extra=ATOMIC,
        ),
    ]
    args: Annotated[
        tuple[Word, ...],
        Field(max_length=WORDS_MAX, description="Its CMD, where it has an ENTRYPOINT.", json_schema_extra=ATOMIC),
    ] = ()


class LoggingStatus(Model):
    """How the records of the pods that run were delivered, as they last told."""

    last_delivered_time: Annotated[Timestamp | None, Field(description="When the last record was delivered.")] = None
    backlog: Annotated[int, Field(ge=0, description="Records that wait in the pods.")] = 0
    dropped: Annotated[int, Field(ge=0, description="Records that were given up for want of room.")] = 0
    last_dropped_time: Annotated[Timestamp | None, Field(description="When the last of them was.")] = None
    last_read_back_time: Annotated[
        Timestamp | None,
        Field(
            description="When the log gateway sent the newest record of its own that its sinks gave back when asked."
        ),
    ] = None


class Step(Model):
    """One of the seven onboarding steps."""

    name: Annotated[str, Field(max_length=64, description="Name of the step.")]
    state: Annotated[
        str, Field(pattern="^(Done|Current|Pending)$", max_length=8, description="Done, Current or Pending.")
    ]


class PolicyFinding(Model):
    """One rule that objects to something of the app: to how many objects, by what that leads to."""

    rule: Annotated[str, Field(max_length=64, description="Id of the rule, as docs/policies.md has it.")]
    severity: Annotated[str, Field(max_length=8, description="critical, high, medium or low.")]
    fail: Annotated[int, Field(ge=0, description="Objects that admission would deny.")] = 0
    warn: Annotated[int, Field(ge=0, description="Objects that it would only warn about.")] = 0
    skip: Annotated[int, Field(ge=0, description="Objects that an approved exception covers.")] = 0


class MicroAppStatus(Model):
    """The truth about the app."""

    model_config = ConfigDict(extra="ignore")

    observed_generation: Annotated[
        int, Field(description="The metadata.generation last reconciled; -1 until the first time.")
    ] = -1
    namespace: Annotated[NamespaceStatus | None, Field(description="The app's own namespace.")] = None
    fingerprint: Annotated[
        str | None, Field(max_length=64, description="What approvals must name: SHA-256 of the spec's risk.")
    ] = None
    approved_fingerprint: Annotated[
        str | None,
        Field(max_length=64, description="Fingerprint of the revision that was last accepted and runs."),
    ] = None
    reviewed_fingerprint: Annotated[
        str | None,
        Field(max_length=64, description="Fingerprint of the revision people last approved, where the tier asks them."),
    ] = None
    policy_digest: Annotated[
        str | None, Field(max_length=64, description="Policy bundle the app was last judged by; approvals name it.")
    ] = None
    tier_generation: Annotated[
        int | None, Field(description="metadata.generation of the RiskTier it was judged by; approvals name it.")
    ] = None
    rendered_hash: Annotated[
        str | None, Field(max_length=64, description="Digest of all inputs of the last complete pass.")
    ] = None
    children_hash: Annotated[
        str | None, Field(max_length=64, description="Digest of the children as that pass left them.")
    ] = None
    suggested_tier: Annotated[str | None, Field(max_length=63, description="The tier the declaration calls for.")] = (
        None
    )
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=32,
            description="Ready, Reconciling, Stalled and one per guard.",
            json_schema_extra=list_map("type"),
        ),
    ] = ()
    egress: Annotated[
        tuple[EgressStatus, ...],
        Field(max_length=32, description="One entry per endpoint.", json_schema_extra=list_map("name")),
    ] = ()
    secret_store: Annotated[
        SecretStoreStatus | None, Field(description="The app's identity in the secret store; none when it has none.")
    ] = None
    entrypoint: Annotated[
        Entrypoint | None,
        Field(description="What the image runs; none where something else says so, or nothing is put before it."),
    ] = None
    logging: Annotated[
        LoggingStatus | None, Field(description="How the app's records were delivered; none while nobody knows.")
    ] = None
    policy_findings: Annotated[
        tuple[PolicyFinding, ...],
        Field(
            max_length=FINDINGS_MAX,
            description="What the scan found of the app and of everything in its namespace, one entry per rule.",
            json_schema_extra=list_map("rule"),
        ),
    ] = ()
    steps: Annotated[
        tuple[Step, ...],
        Field(
            max_length=7,
            description="The way from registration to production.",
            json_schema_extra=list_map("name"),
        ),
    ] = ()
