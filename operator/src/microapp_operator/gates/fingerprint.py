"""Fingerprints: SHA-256 over canonical JSON of what an Approval is given for.

Computed from the defaulted model, so that a default spelled out and one left out are the same.
"""

from microapp_operator.model import EgressEndpoint, MicroApp, SecretRequest
from microapp_operator.model.approval import PolicyException
from microapp_operator.model.canonical import digest
from microapp_operator.model.microapp import drop_harmless


def compute_fingerprint(app: MicroApp) -> str:
    """Of the whole spec but for ``NOT_RISK``, tier included: any change of it voids the approvals given for it."""
    spec = app.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return digest({**_of(app), "spec": drop_harmless(spec)})


def compute_endpoint_fingerprint(app: MicroApp, endpoint: EgressEndpoint) -> str:
    """Of one egress endpoint of one app in one tier."""
    return digest({**_of(app), "riskTier": app.spec.risk_tier, "endpoint": endpoint})


def compute_secret_fingerprint(app: MicroApp, secret: SecretRequest) -> str:
    """Of one secret of one app in one tier."""
    return digest({**_of(app), "riskTier": app.spec.risk_tier, "secret": secret})


def compute_exception_fingerprint(namespace: str, name: str, tier: str, exception: PolicyException) -> str:
    """Of one rule for one object of the MicroApp ``namespace``/``name`` in one tier; outlives changes of the spec."""
    return digest(
        {
            "namespace": namespace,
            "name": name,
            "riskTier": tier,
            "rule": exception.rule,
            "object": exception.subject,
        }
    )


def _of(app: MicroApp) -> dict[str, str]:
    return {"namespace": app.metadata.namespace, "name": app.metadata.name}
