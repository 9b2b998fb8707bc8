"""Approval: one person's decision, bound to a fingerprint of what was reviewed.

Who approved is not claimed: admission stamps approver, identities and groups from the request that created it,
and the API server refuses an Approval in which they differ from it.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from microapp_operator.model.common import (
    ATOMIC,
    Label,
    Model,
    ObjectMeta,
    Text,
    Timestamp,
    cel,
    validations,
)

Fingerprint = Annotated[str, Field(pattern="^[a-f0-9]{64}$", max_length=64)]
RULE_ID = "^MA-[A-Z]{3}-[0-9]{3}$"


class ApprovalScope(StrEnum):
    """What is decided on."""

    RELEASE = "release"
    EGRESS = "egress"
    SECRET = "secret"  # noqa: S105 - a scope, not a secret
    EXCEPTION = "exception"


class ApprovalDecision(StrEnum):
    """What was decided."""

    APPROVED = "Approved"
    DENIED = "Denied"


class ExceptionObject(Model):
    """The one object an exception is for."""

    kind: Annotated[
        str,
        Field(
            pattern="^[A-Z][A-Za-z]*$",
            max_length=63,
            description="Kind of the object. MicroApp covers the app and what the operator renders from it; "
            "any other kind is an object in the app's own namespace.",
        ),
    ]
    name: Annotated[str, Field(min_length=1, max_length=253, description="Name of the object.")]


class PolicyException(Model):
    """A rule that is suspended for one object, and what makes up for it."""

    rule: Annotated[str, Field(pattern=RULE_ID, max_length=10, description="Id of the rule, for example MA-IMG-002.")]
    subject: Annotated[ExceptionObject, Field(alias="object", description="The one object it is suspended for.")]
    compensating_control: Annotated[Text, Field(description="What keeps the risk bearable meanwhile.")]


def _belongs(scope: ApprovalScope, field: str) -> dict[str, str]:
    return cel(
        f"(self.scope == '{scope}') == has(self.{field})",
        f"{field} is required for scope {scope} and not allowed otherwise",
    )


class ApprovalSpec(Model):
    """Who decided on what, and until when. Immutable: a new opinion is a new Approval."""

    model_config = {
        "json_schema_extra": validations(
            cel("self == oldSelf", "an Approval is immutable: delete it and create a new one"),
            _belongs(ApprovalScope.RELEASE, "replicas"),
            _belongs(ApprovalScope.EGRESS, "endpoint"),
            _belongs(ApprovalScope.SECRET, "secret"),
            _belongs(ApprovalScope.EXCEPTION, "exception"),
            cel(
                "self.scope != 'exception' || has(self.expiresAt)",
                "an exception ends: expiresAt is required for scope exception",
            ),
        )
    }

    micro_app: Annotated[Label, Field(description="Name of the MicroApp, in the same namespace.")]
    scope: Annotated[
        ApprovalScope,
        Field(
            description="release: the whole app in production. egress: one endpoint. secret: one secret. "
            "exception: one rule for one object."
        ),
    ]
    endpoint: Annotated[Label | None, Field(description="Name of the egress endpoint, with scope egress.")] = None
    secret: Annotated[Label | None, Field(description="Name of the secret, with scope secret.")] = None
    exception: Annotated[PolicyException | None, Field(description="What is suspended, with scope exception.")] = None
    replicas: Annotated[
        int | None,
        Field(ge=0, le=100, description="With scope release: the most replicas this holds for, as they were reviewed."),
    ] = None
    tier: Annotated[Label, Field(description="RiskTier it was given for; the approver needs the verb approve on it.")]
    tier_generation: Annotated[int, Field(ge=0, description="metadata.generation of that RiskTier, as reviewed.")]
    policy_digest: Annotated[
        Fingerprint, Field(description="Policy bundle it was reviewed under: status.policyDigest.")
    ]
    fingerprint: Annotated[
        Fingerprint,
        Field(description="What was reviewed: status.fingerprint, or that of the endpoint, secret or rule."),
    ]
    decision: Annotated[
        ApprovalDecision,
        Field(description="Approved or Denied; a denial holds until it is deleted by the one who gave it."),
    ] = ApprovalDecision.APPROVED
    justification: Annotated[Text, Field(description="Why.")]
    expires_at: Annotated[Timestamp | None, Field(description="When the approval ends; never when absent.")] = None
    approver: Annotated[
        str, Field(min_length=1, max_length=253, description="User name of the approver. Filled in by admission.")
    ]
    approver_identities: Annotated[
        tuple[Annotated[str, Field(min_length=5, max_length=512)], ...],
        Field(
            min_length=1,
            max_length=16,
            description="Everything the API server knows the approver by: user:, uid: and person:. "
            "Filled in by admission.",
            json_schema_extra=ATOMIC,
        ),
    ]
    approver_groups: Annotated[
        tuple[Annotated[str, Field(max_length=253)], ...],
        Field(
            max_length=512,
            description="Groups of the approver when it was given. Filled in by admission.",
            json_schema_extra=ATOMIC,
        ),
    ] = ()


class Approval(Model):
    """A decision on a MicroApp: to release it, open one endpoint, hand out one secret, or suspend one rule."""

    model_config = {"extra": "ignore"}

    metadata: ObjectMeta
    spec: ApprovalSpec
