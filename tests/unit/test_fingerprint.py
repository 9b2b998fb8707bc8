"""Fingerprints: every field of the spec counts but for a short list, and a default spelled out changes nothing."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hack.samples import app_manifest
from tests.support.samples import make_app

from microapp_operator.gates import compute_fingerprint
from microapp_operator.model import MicroApp, parse
from microapp_operator.model.microapp import NOT_RISK

FULL = app_manifest(
    description="text",
    stage="production",
    runtime={"command": ["/app"], "env": [{"name": "A", "value": "b"}], "replicas": 1, "profile": "container"},
    ingress={"from": [{"microApp": {"namespace": "hr", "name": "portal"}}]},
    egress=[
        {"name": "api", "cidr": "203.0.113.0/24", "port": 443, "dataClassification": "internal", "justification": "x"}
    ],
    secrets=[
        {"name": "db", "path": "a/b", "env": "DB", "field": "key", "use": "Integration", "justification": "reads"}
    ],
    storage=[{"name": "data", "size": "1Gi", "mountPath": "/data"}],
    logging={"source": "stdout"},
    suspend=False,
)
OTHER: dict[str, Any] = {
    "owner.contact": "someone@example.com",
    "riskTier": "high",
    "dataClassification": "restricted",
    "stage": "staging",
    "runtime.profile": "wasm",
    "runtime.port": 9090,
    "runtime.replicas": 2,
    "runtime.resources.cpu": "200m",
    "runtime.resources.memory": "64Mi",
    "egress.0.cidr": "198.51.100.0/24",
    "egress.0.port": 8443,
    "egress.0.protocol": "UDP",
    "egress.0.dataClassification": "public",
    "secrets.0.engine": "database",
    "secrets.0.classification": "restricted",
    "secrets.0.onChange": "Restart",
    "secrets.0.use": "Own",
    "logging.source": "file",
    "storage.0.size": "2Gi",
    "storage.0.mountPath": "/other",
    "suspend": True,
}
"""Another valid value of each field; texts get a letter more."""


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Paths of all scalars in ``value``."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif value is not None:
        yield path


def changed(path: str) -> MicroApp:
    raw = whole()
    parent: Any = raw["spec"]
    *way, last = path.split(".")
    for key in way:
        parent = parent[int(key)] if isinstance(parent, list) else parent[key]
    key = int(last) if isinstance(parent, list) else last
    parent[key] = OTHER.get(path, f"{parent[key]}x" if isinstance(parent[key], str) else None)
    if path == "runtime.image":
        parent[key] = parent[key].replace("a" * 64 + "x", "b" * 64)
    return parse(MicroApp, raw)


def whole() -> dict[str, Any]:
    """``FULL`` with every default spelled out."""
    raw = copy.deepcopy(FULL)
    raw["spec"] = parse(MicroApp, FULL).spec.model_dump(mode="json", by_alias=True)
    return raw


@pytest.mark.parametrize("path", sorted(leaves(whole()["spec"])))
def test_every_field_counts_but_for_those_without_risk(path: str) -> None:
    same = compute_fingerprint(changed(path)) == compute_fingerprint(parse(MicroApp, FULL))
    assert same == (path in NOT_RISK)


def test_the_list_of_fields_without_risk_is_known() -> None:
    """Whoever adds to it has to change this, too, and say why in the review."""
    assert NOT_RISK == ("description", "owner.contact", "runtime.replicas", "suspend")


def test_a_default_spelled_out_is_no_change() -> None:
    spelled = parse(MicroApp, whole())
    assert compute_fingerprint(spelled) == compute_fingerprint(parse(MicroApp, FULL))


def test_another_app_has_another_fingerprint() -> None:
    prints = {compute_fingerprint(make_app(*names)) for names in (("a", "x"), ("b", "x"), ("a", "y"))}
    assert len(prints) == 3
