"""The API ``microapps.dev/v1alpha1`` as frozen pydantic models; the CRDs are generated from them.

Raw dicts stop at ``parse``. Must not import anything above errors.
"""

from microapp_operator.model.approval import Approval, ApprovalDecision, ApprovalScope
from microapp_operator.model.common import Classification, Manifest, ObjectMeta
from microapp_operator.model.connector import Connector
from microapp_operator.model.microapp import MicroApp, Profile, SecretRequest, Stage
from microapp_operator.model.parse import find_faults, parse
from microapp_operator.model.status import Condition, EgressStatus, MicroAppStatus
from microapp_operator.model.tenant import Tenant
from microapp_operator.model.tier import ReviewerGroup, RiskTier, VoidingChange
from microapp_operator.model.traffic import EgressEndpoint

__all__ = [
    "Approval",
    "ApprovalDecision",
    "ApprovalScope",
    "Classification",
    "Condition",
    "Connector",
    "EgressEndpoint",
    "EgressStatus",
    "Manifest",
    "MicroApp",
    "MicroAppStatus",
    "ObjectMeta",
    "Profile",
    "ReviewerGroup",
    "RiskTier",
    "SecretRequest",
    "Stage",
    "Tenant",
    "VoidingChange",
    "find_faults",
    "parse",
]
