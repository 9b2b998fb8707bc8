"""The smallest MicroApp that is valid, to vary in demos, benches and tests."""

from typing import Any

from microapp_operator.constants import API_VERSION

DIGEST = "sha256:" + "a" * 64
IMAGE = f"registry.example.com/finance/expense-helper@{DIGEST}"


def app_manifest(name: str = "expenses", namespace: str = "finance", **spec: Any) -> dict[str, Any]:
    """A MicroApp as a developer writes it; ``spec`` replaces fields of its spec, and of ``runtime`` single ones."""
    runtime = {"image": IMAGE, **spec.pop("runtime", {})}
    return {
        "apiVersion": API_VERSION,
        "kind": "MicroApp",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "owner": {"team": "finance-ops", "contact": "finance-ops@example.com"},
            "riskTier": "low",
            "dataClassification": "internal",
            "runtime": runtime,
            **spec,
        },
    }
