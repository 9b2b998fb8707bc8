"""Approvals and exceptions: what a tier asks for, which Approvals count, what they permit. Pure; closed by default.

Admission proves who gave an Approval; here everything that can be checked again is checked again. The same functions
serve the operator, the webhook and the command line.
"""

from microapp_operator.gates.approvals import ApprovalVerdict, evaluate_approvals
from microapp_operator.gates.counting import GateInput, Voided
from microapp_operator.gates.exceptions import Subject, build_subject, resolve_exceptions
from microapp_operator.gates.fingerprint import (
    compute_endpoint_fingerprint,
    compute_exception_fingerprint,
    compute_fingerprint,
    compute_secret_fingerprint,
)
from microapp_operator.gates.requester import resolve_requesters

__all__ = [
    "ApprovalVerdict",
    "GateInput",
    "Subject",
    "Voided",
    "build_subject",
    "compute_endpoint_fingerprint",
    "compute_exception_fingerprint",
    "compute_fingerprint",
    "compute_secret_fingerprint",
    "evaluate_approvals",
    "resolve_exceptions",
    "resolve_requesters",
]
