"""Approval: one person's consent, bound to a fingerprint of what was reviewed."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from microapp_operator.model.common import Label, Model, ObjectMeta, Text, Timestamp, cel, validations


class ApprovalScope(StrEnum):
    """What is approved."""

    PRODUCTION = "production"
    EGRESS = "egress"


class ReviewerRole(StrEnum):
    """In which role the approver reviewed."""

    REVIEWER = "reviewer"
    SECURITY = "security"


class ApprovalSpec(Model):
    """Who approves what, and until when. Immutable: a new opinion is a new Approval."""

    model_config = {
        "json_schema_extra": validations(
            cel("self == oldSelf", "an Approval is immutable: delete it and create a new one"),
            cel(
                "(self.scope == 'egress') == has(self.endpoint)",
                "endpoint is required for scope egress and not allowed otherwise",
            ),
        )
    }

    micro_app: Annotated[Label, Field(description="Name of the MicroApp, in the same namespace.")]
    scope: Annotated[ApprovalScope, Field(description="production: the whole app. egress: one endpoint.")]
    endpoint: Annotated[Label | None, Field(description="Name of the egress endpoint, with scope egress.")] = None
    tier: Annotated[Label, Field(description="RiskTier it was given for.")]
    fingerprint: Annotated[
        str,
        Field(
            pattern="^[a-f0-9]{64}$",
            max_length=64,
            description="What was reviewed: status.fingerprint, or the endpoint's.",
        ),
    ]
    approver: Annotated[str, Field(min_length=1, max_length=253, description="User name of the approver.")]
    role: Annotated[ReviewerRole, Field(description="reviewer or security.")] = ReviewerRole.REVIEWER
    justification: Annotated[Text, Field(description="Why it is all right.")]
    expires_at: Annotated[Timestamp | None, Field(description="When the approval ends; never when absent.")] = None


class Approval(Model):
    """Consent to run a MicroApp in production, or to open one egress endpoint."""

    model_config = {"extra": "ignore"}

    metadata: ObjectMeta
    spec: ApprovalSpec
