"""Small valid objects to vary in tests."""

from typing import Any

from hack.samples import app_manifest

from microapp_operator.model import Approval, Connector, MicroApp, RiskTier, parse
from microapp_operator.settings import LoggingSettings

EDITOR = "developer@example.com"
"""Who wrote the sample."""
POLICY = "d" * 64
"""Digest of the policy bundle that approvals name."""

LOGGING = LoggingSettings(
    namespace="log-platform",
    service="gateway",
    pods_service="gateway-pods",
    pod_labels={"app.kubernetes.io/component": "log-gateway"},
    forwarder_image=f"registry.example.com/forwarder@sha256:{'7' * 64}",
    launcher_image=f"registry.example.com/launcher@sha256:{'8' * 64}",
)
"""A log gateway, as an operator is told of it."""


def make_app(name: str = "expenses", namespace: str = "finance", *, generation: int = 1, **spec: Any) -> MicroApp:
    """The same, parsed, as the API server would return it."""
    raw = app_manifest(name, namespace, **spec)
    raw["metadata"] |= {"uid": f"uid-{namespace}-{name}", "generation": generation, "resourceVersion": "1"}
    raw["metadata"]["annotations"] = {"microapps.dev/editors": f"user:{EDITOR}"}
    return parse(MicroApp, raw)


def tier_manifest(name: str = "low", **spec: Any) -> dict[str, Any]:
    """A RiskTier with small round figures."""
    return {
        "apiVersion": "microapps.dev/v1alpha1",
        "kind": "RiskTier",
        "metadata": {"name": name},
        "spec": {
            "rank": 10,
            "quota": {"cpu": "1", "memory": "1Gi", "pods": 5},
            "sidecarReserve": {"cpu": "50m", "memory": "64Mi"},
            "replicasMax": 2,
            "classifications": ["public", "internal"],
            "egress": {"maxEndpoints": 3},
            "credentials": {"ttl": "1h", "maxTTL": "24h"},
            "rotationDays": 90,
            "logRetentionDays": 30,
            **spec,
        },
    }


def make_tier(name: str = "low", **spec: Any) -> RiskTier:
    """The same, parsed."""
    return parse(RiskTier, tier_manifest(name, **spec))


def make_approval(app: MicroApp, fingerprint: str, approver: str, **spec: Any) -> Approval:
    """An Approval of scope release for ``app``; ``spec`` replaces fields, and None takes one away."""
    raw = {
        "metadata": {
            "name": f"by-{approver.split('@', maxsplit=1)[0]}",
            "namespace": app.metadata.namespace,
            "uid": approver,
        },
        "spec": {
            "microApp": app.metadata.name,
            "scope": "release",
            "replicas": 2 if spec.get("scope", "release") == "release" else None,
            "tier": app.spec.risk_tier,
            "tierGeneration": 0,
            "policyDigest": POLICY,
            "fingerprint": fingerprint,
            "approver": approver,
            "approverIdentities": [f"user:{approver}"],
            "justification": "reviewed",
            **spec,
        },
    }
    return parse(Approval, raw)


def make_connector(name: str = "ledger", **spec: Any) -> Connector:
    """A Connector open to tier low for internal data."""
    raw = {
        "metadata": {"name": name},
        "spec": {
            "cidrs": ["203.0.113.0/24"],
            "ports": [443],
            "classifications": ["public", "internal"],
            "tiers": ["low"],
            **spec,
        },
    }
    return parse(Connector, raw)
