"""What a tier allows, and what is said when an app asks for more."""

import ipaddress
from typing import Any

import pytest
from tests.support.samples import make_app, make_connector, make_tier

from microapp_operator.decide.limits import LimitInput, evaluate_limits
from microapp_operator.reasons import Reason

WHY = {"dataClassification": "internal", "justification": "needed"}
RESERVED = (ipaddress.ip_network("10.96.0.0/16"),)


def findings(tier: dict[str, Any] | None = None, **spec: Any) -> list[tuple[Reason, str]]:
    given = LimitInput(make_app(**spec), make_tier(**(tier or {})), {"ledger": make_connector()}, RESERVED)
    return [(f.reason, f.path) for f in evaluate_limits(given)]


def test_an_app_within_its_tier_has_no_finding() -> None:
    assert findings(egress=[{"name": "a", "connectorRef": "ledger", **WHY}]) == []


@pytest.mark.parametrize(
    ("tier", "spec", "expected"),
    [
        pytest.param({}, {"runtime": {"replicas": 3}}, (Reason.EXCEEDS_TIER, "spec.runtime.replicas"), id="replicas"),
        pytest.param(
            {},
            {"runtime": {"resources": {"cpu": "951m"}}},
            (Reason.EXCEEDS_TIER, "spec.runtime.resources.cpu"),
            id="cpu-with-sidecar-reserve",
        ),
        pytest.param(
            {},
            {"runtime": {"replicas": 2, "resources": {"memory": "449Mi"}}},
            (Reason.EXCEEDS_TIER, "spec.runtime.resources.memory"),
            id="memory-of-two-replicas",
        ),
        pytest.param(
            {},
            {"runtime": {"resources": {"cpu": "0"}}},
            (Reason.INVALID_SPEC, "spec.runtime.resources.cpu"),
            id="no-cpu-at-all",
        ),
        pytest.param(
            {},
            {"dataClassification": "restricted"},
            (Reason.CLASSIFICATION_NOT_ALLOWED, "spec.dataClassification"),
            id="classification",
        ),
        pytest.param(
            {},
            {
                "egress": [
                    {"name": "a", "host": "a.example.com", "port": 443, **WHY | {"dataClassification": "restricted"}}
                ]
            },
            (Reason.CLASSIFICATION_NOT_ALLOWED, "spec.egress[0].dataClassification"),
            id="egress-classification",
        ),
        pytest.param(
            {"egress": {"maxEndpoints": 0}},
            {"egress": [{"name": "a", "host": "a.example.com", "port": 443, **WHY}]},
            (Reason.EXCEEDS_TIER, "spec.egress"),
            id="egress-count",
        ),
        pytest.param(
            {"egress": {"maxEndpoints": 3, "connectorsOnly": True}},
            {"egress": [{"name": "a", "host": "a.example.com", "port": 443, **WHY}]},
            (Reason.EGRESS_NOT_ALLOWED, "spec.egress[0]"),
            id="connectors-only",
        ),
        pytest.param(
            {},
            {"egress": [{"name": "a", "connectorRef": "nowhere", **WHY}]},
            (Reason.CONNECTOR_NOT_FOUND, "spec.egress[0].connectorRef"),
            id="unknown-connector",
        ),
        pytest.param(
            {"name": "medium"},
            {"riskTier": "medium", "egress": [{"name": "a", "connectorRef": "ledger", **WHY}]},
            (Reason.EGRESS_NOT_ALLOWED, "spec.egress[0].connectorRef"),
            id="connector-of-another-tier",
        ),
        pytest.param(
            {},
            {"egress": [{"name": "a", "cidr": "10.96.7.0/24", "port": 443, **WHY}]},
            (Reason.RESERVED_ADDRESS, "spec.egress[0].cidr"),
            id="cluster-range",
        ),
        pytest.param(
            {},
            {"egress": [{"name": "a", "cidr": "169.254.169.254/32", "port": 80, **WHY}]},
            (Reason.RESERVED_ADDRESS, "spec.egress[0].cidr"),
            id="metadata-address",
        ),
        pytest.param(
            {},
            {"egress": [{"name": "a", "cidr": "::ffff:169.254.169.254/128", "port": 80, **WHY}]},
            (Reason.RESERVED_ADDRESS, "spec.egress[0].cidr"),
            id="metadata-address-mapped-to-ipv6",
        ),
        pytest.param(
            {},
            {"egress": [{"name": "a", "cidr": "0.0.0.0/0", "port": 80, **WHY}]},
            (Reason.RESERVED_ADDRESS, "spec.egress[0].cidr"),
            id="the-whole-internet",
        ),
        pytest.param(
            {},
            {"storage": [{"name": "d", "size": "2Gi", "mountPath": "/data"}]},
            (Reason.EXCEEDS_TIER, "spec.storage"),
            id="storage",
        ),
        pytest.param(
            {"approvals": {"reviewers": 1}},
            {"stage": "production", "runtime": {"image": "registry.example.com/a:1"}},
            (Reason.IMAGE_NOT_PINNED, "spec.runtime.image"),
            id="tag-in-reviewed-production",
        ),
    ],
)
def test_what_exceeds_the_tier_is_named(
    tier: dict[str, Any], spec: dict[str, Any], expected: tuple[Reason, str]
) -> None:
    assert findings(tier, **spec) == [expected]


def test_the_finding_says_value_limit_and_remedy() -> None:
    given = LimitInput(make_app(runtime={"replicas": 3}), make_tier(), {}, ())
    (finding,) = evaluate_limits(given)
    assert finding.text() == (
        "spec.runtime.replicas: 3 asked, tier low allows at most 2 replicas. "
        "Lower the field named in the message, or move the app to a higher risk tier."
    )


def test_the_room_named_is_room_that_fits() -> None:
    """What the message offers must itself pass: two pods in 1Gi with 64Mi kept each leave 448Mi."""
    assert findings(runtime={"replicas": 2, "resources": {"memory": "448Mi", "cpu": "450m"}}) == []
