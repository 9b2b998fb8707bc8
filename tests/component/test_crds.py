"""The CRDs on a real API server: what is accepted, what is refused, and that the refusal names the field."""

import json
from functools import partial
from typing import Any

import pytest
from hack.kubectl import Kubectl, KubectlError
from hack.samples import app_manifest

from microapp_operator.model import MicroApp, RiskTier, parse
from tests.component.conftest import Tenant
from tests.golden.tiers import load_tiers
from tests.support.eventually import eventually

EGRESS: dict[str, Any] = {
    "name": "api",
    "host": "api.example.com",
    "port": 443,
    "dataClassification": "internal",
    "justification": "x",
}


def to(**target: Any) -> dict[str, Any]:
    """An endpoint with another target than a host."""
    return {k: v for k, v in EGRESS.items() if k != "host"} | target


def dry_run(kubectl: Kubectl, manifest: dict[str, Any]) -> None:
    kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(manifest))


def test_the_example_of_the_documentation_is_accepted_and_says_that_nobody_has_looked_yet(tenant: Tenant) -> None:
    tenant.apply(
        "full",
        description="Files expense reports",
        stage="production",
        runtime={"env": [{"name": "REGION", "value": "eu"}], "resources": {"cpu": 1, "memory": "256Mi"}},
        ingress={"from": [{"microApp": {"namespace": "finance", "name": "portal"}}]},
        egress=[EGRESS, to(name="ledger", connectorRef="ledger") | {"port": None}],
        secrets=[{"name": "db", "engine": "database", "path": "database/creds/x", "env": "TOKEN"}],
        logging={"source": "stdout"},
        storage=[{"name": "data", "size": "1Gi", "mountPath": "/data"}],
    )
    made = json.loads(tenant.kubectl("get", "mapp", "full", "-n", tenant.name, "-o", "json"))
    assert "observedGeneration" in made["status"]
    assert made["spec"]["egress"][0]["protocol"] == "TCP"


REFUSED = [
    pytest.param({"colour": "blue"}, "spec.colour", id="unknown-field"),
    pytest.param({"dataClassification": "secret"}, "spec.dataClassification", id="wrong-enum"),
    pytest.param({"stage": "Production"}, "spec.stage", id="wrong-case"),
    pytest.param({"runtime": {"resources": {"cpu": "two"}}}, "spec.runtime.resources.cpu", id="no-quantity"),
    pytest.param({"runtime": {"resources": {"memory": "-1Gi"}}}, "spec.runtime.resources.memory", id="negative"),
    pytest.param({"runtime": {"resources": {"cpu": -1}}}, "spec.runtime.resources.cpu", id="negative-integer"),
    pytest.param({"runtime": {"resources": {"cpu": 0.5}}}, "spec.runtime.resources.cpu", id="float"),
    pytest.param({"runtime": {"port": 80}}, "spec.runtime.port", id="privileged-port"),
    pytest.param({"runtime": {"replicas": -1}}, "spec.runtime.replicas", id="negative-replicas"),
    pytest.param({"owner": {"team": "system:masters", "contact": "a@b.cd"}}, "spec.owner.team", id="system-group"),
    pytest.param({"egress": [EGRESS | {"host": "*.example.com"}]}, "spec.egress[0].host", id="wildcard-host"),
    pytest.param({"egress": [EGRESS | {"host": "localhost"}]}, "spec.egress[0].host", id="no-full-name"),
    pytest.param({"egress": [EGRESS | {"host": "10.0.0.1"}]}, "spec.egress[0].host", id="address-as-host"),
    pytest.param({"egress": [EGRESS | {"name": f"e{i}"} for i in range(33)]}, "spec.egress", id="over-long-list"),
    pytest.param({"egress": [EGRESS, EGRESS]}, "spec.egress[1]", id="duplicate-name"),
    pytest.param({"egress": [EGRESS | {"cidr": "203.0.113.0/24"}]}, "spec.egress[0]", id="two-targets"),
    pytest.param({"egress": [to()]}, "spec.egress[0]", id="no-target"),
    pytest.param({"egress": [to(cidr="203.0.113.0/24", port=None)]}, "spec.egress[0]", id="no-port"),
    pytest.param({"egress": [to(connectorRef="ledger")]}, "spec.egress[0]", id="port-with-connector"),
    pytest.param({"egress": [to(cidr="203.0.113.7/24")]}, "spec.egress[0].cidr", id="host-bits"),
    pytest.param({"egress": [to(cidr="not-a-network")]}, "spec.egress[0].cidr", id="no-cidr"),
    pytest.param({"egress": [to(cidr="169.254.169.254/32")]}, "spec.egress[0].cidr", id="metadata-address"),
    pytest.param({"egress": [to(cidr="169.0.0.0/8")]}, "spec.egress[0].cidr", id="around-metadata"),
    pytest.param({"egress": [to(cidr="0.0.0.0/0")]}, "spec.egress[0].cidr", id="everything"),
    pytest.param({"egress": [to(cidr="::/0")]}, "spec.egress[0].cidr", id="everything-ipv6"),
    pytest.param({"egress": [to(cidr="fe80::/64")]}, "spec.egress[0].cidr", id="link-local-ipv6"),
    pytest.param({"egress": [to(cidr="::ffff:a9fe:a9fe/128")]}, "spec.egress[0].cidr", id="metadata-mapped-to-ipv6"),
    pytest.param({"egress": [EGRESS | {"colour": "blue"}]}, "spec.egress[0].colour", id="unknown-field-in-a-list"),
    pytest.param({"egress": [EGRESS | {"justification": ""}]}, "spec.egress[0].justification", id="no-justification"),
    pytest.param(
        {"storage": [{"name": "d", "size": "1Gi", "mountPath": "/a/../etc"}]},
        "spec.storage[0].mountPath",
        id="mount-dots",
    ),
    pytest.param({"secrets": [{"name": "s", "path": "a/../b"}]}, "spec.secrets[0].path", id="path-dots"),
    pytest.param({"riskTier": "../low"}, "spec.riskTier", id="tier-path"),
]


@pytest.mark.parametrize(("spec", "path"), REFUSED)
def test_a_bad_field_is_refused_by_its_path(tenant: Tenant, spec: dict[str, Any], path: str) -> None:
    with pytest.raises(KubectlError) as refused:
        dry_run(tenant.kubectl, app_manifest("app", tenant.name, **spec))
    assert path in str(refused.value)


@pytest.mark.parametrize(
    "name", ["a.b", "9lives", "a" * 53, "-a"], ids=["dots", "leading-digit", "too-long", "leading-dash"]
)
def test_a_name_that_cannot_name_children_is_refused(tenant: Tenant, name: str) -> None:
    with pytest.raises(KubectlError, match=r"metadata\.name"):
        dry_run(tenant.kubectl, app_manifest(name, tenant.name))


def test_an_approval_cannot_be_changed(tenant: Tenant) -> None:
    tenant.kubectl("create", "-f", "-", stdin=json.dumps(approval(tenant)))
    for change in ({"approver": "eve"}, {"decision": "Denied"}, {"approverGroups": ["others"]}):
        patch = json.dumps({"spec": change})
        with pytest.raises(KubectlError, match="immutable"):
            tenant.kubectl("patch", "approval", "two", "-n", tenant.name, "--type=merge", "-p", patch)


@pytest.mark.parametrize(
    "cidrs",
    [["169.254.0.0/16"], ["0.0.0.0/0"], ["::/0"], ["nowhere-at-all"], ["10.0.0.1/8"], []],
    ids=["metadata", "everything", "everything-ipv6", "no-cidr", "host-bits", "nothing"],
)
def test_a_connector_cannot_lead_to_metadata(tenant: Tenant, cidrs: list[str]) -> None:
    spec = {"cidrs": cidrs, "ports": [443], "classifications": ["public"], "tiers": ["low"]}
    connector = {
        "apiVersion": "microapps.dev/v1alpha1",
        "kind": "Connector",
        "metadata": {"name": tenant.name},
        "spec": spec,
    }
    with pytest.raises(KubectlError, match="cidrs"):
        dry_run(tenant.kubectl, connector)


@pytest.mark.usefixtures("installed")
def test_explain_reads_like_documentation(kubectl: Kubectl) -> None:
    text = " ".join(kubectl("explain", "mapp.spec.egress").split())
    assert "What isn't listed is denied" in text
    assert "Why the app needs it, for reviewers and auditors." in text


def test_it_is_found_by_short_name_category_tier_and_stage(tenant: Tenant) -> None:
    tenant.apply("one")
    tenant.apply("two", stage="staging")
    namespace = ("-n", tenant.name, "-o", "name")
    assert len(tenant.kubectl("get", "microapps", *namespace).split()) == 2
    by_stage = tenant.kubectl("get", "mapp", "--field-selector=spec.stage=staging", *namespace)
    assert by_stage.split() == ["microapp.microapps.dev/two"]
    assert len(tenant.kubectl("get", "mapp", "--field-selector=spec.riskTier=low", *namespace).split()) == 2
    assert tenant.kubectl("get", "mapp", "--field-selector=spec.riskTier=high", *namespace) == ""


def test_deleting_all_microapps_takes_no_tier_along(tenant: Tenant) -> None:
    """kubectl expands a category before it looks for a resource of that name, for delete too."""
    gone = tenant.kubectl("delete", "microapps", "--all", "-n", tenant.name, "--dry-run=server")
    assert "risktier" not in gone


def created(kubectl: Kubectl, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the API server would store: defaulted and pruned, seen by no operator."""
    answer = kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(manifest))
    made: dict[str, Any] = json.loads(answer)
    return made


def test_what_the_api_server_adds_changes_nothing_for_the_model(tenant: Tenant) -> None:
    """So it doesn't matter to a fingerprint whether an object went through the API server."""
    manifest = app_manifest("app", tenant.name, egress=[EGRESS], ingress={}, runtime={"resources": {"cpu": 2}})
    made = created(tenant.kubectl, manifest)
    assert made["status"] == {"observedGeneration": -1}
    assert made["spec"]["stage"] == "sandbox"
    assert parse(MicroApp, made).spec == parse(MicroApp, manifest).spec


RULE = {
    "rule": "MA-IMG-002",
    "object": {"kind": "MicroApp", "name": "app"},
    "compensatingControl": "it is scanned every day",
}
EXCEPTION = {"scope": "exception", "replicas": None, "exception": RULE}


def approval(tenant: Tenant, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "microapps.dev/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": "two", "namespace": tenant.name},
        "spec": {
            "microApp": "app",
            "scope": "release",
            "replicas": 1,
            "tier": "high",
            "tierGeneration": 1,
            "policyDigest": "0" * 64,
            "fingerprint": "0" * 64,
            "justification": "looked",
            **spec,
        },
    }


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        pytest.param({"expiresAt": "2026-12-01T00:00:00+25:00"}, "spec.expiresAt", id="offset-beyond-a-day"),
        pytest.param({"expiresAt": "0000-01-01T00:00:00Z"}, "spec.expiresAt", id="year-0"),
        pytest.param({"expiresAt": "2026-02-31T00:00:00Z"}, "spec.expiresAt", id="no-such-day"),
        pytest.param({"expiresAt": "2026-12-01t00:00:00z"}, "spec.expiresAt", id="lower-case"),
        pytest.param({"fingerprint": "0" * 63}, "spec.fingerprint", id="short-fingerprint"),
        pytest.param({"decision": "Perhaps"}, "spec.decision", id="unknown-decision"),
        pytest.param({"scope": "egress"}, "endpoint is required", id="egress-without-endpoint"),
        pytest.param({"endpoint": "api"}, "endpoint is required", id="endpoint-of-a-release"),
        pytest.param({"replicas": None}, "replicas is required", id="release-of-any-size"),
        pytest.param({"replicas": None, "scope": "secret"}, "secret is required", id="secret-without-name"),
        pytest.param(EXCEPTION, "an exception ends", id="exception-for-ever"),
        pytest.param(EXCEPTION | {"exception": {**RULE, "rule": "all"}}, "spec.exception.rule", id="no-rule"),
    ],
)
def test_an_approval_that_could_not_be_read_is_refused(tenant: Tenant, spec: dict[str, Any], path: str) -> None:
    with pytest.raises(KubectlError) as refused:
        dry_run(tenant.kubectl, approval(tenant, **spec))
    assert path in str(refused.value)


def test_an_expiry_to_come_is_shown(tenant: Tenant) -> None:
    """kubectl prints <invalid> for a column of type date that lies ahead."""
    tenant.kubectl("create", "-f", "-", stdin=json.dumps(approval(tenant, expiresAt="2099-12-01T00:00:00Z")))
    assert "2099-12-01T00:00:00Z" in tenant.kubectl("get", "mappr", "-n", tenant.name)
    found = tenant.kubectl("get", "mappr", "--field-selector=spec.microApp=app,spec.scope=release", "-n", tenant.name)
    assert "release" in found


def test_a_list_without_entries_may_be_null(tenant: Tenant) -> None:
    """Helm charts render an empty value so; the API server prunes it."""
    assert "egress" not in created(tenant.kubectl, app_manifest("app", tenant.name, egress=None))["spec"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["low", "medium", "high"])
def test_a_tier_that_ships_is_stored_as_written(kubectl: Kubectl, name: str) -> None:
    stored = parse(RiskTier, json.loads(kubectl("get", "rtier", name, "-o", "json")))
    assert stored.spec == load_tiers()[name].spec


def may(tenant: Tenant, user: str, *action: str) -> bool:
    """What RBAC says; kubectl ends with an error for no."""
    try:
        return tenant.kubectl("auth", "can-i", *action, f"--as={user}", "-n", tenant.name).strip() == "yes"
    except KubectlError:
        return False


@pytest.mark.parametrize(
    ("role", "allowed", "denied"),
    [
        pytest.param(
            "edit",
            ["create microapps.microapps.dev", "delete microapps.microapps.dev", "get approvals.microapps.dev"],
            ["create approvals.microapps.dev", "update microapps.microapps.dev --subresource=status"],
            id="edit",
        ),
        pytest.param(
            "view",
            ["get microapps.microapps.dev", "list approvals.microapps.dev"],
            ["create microapps.microapps.dev", "delete approvals.microapps.dev"],
            id="view",
        ),
        pytest.param(
            "microapps-reviewer",
            ["create approvals.microapps.dev", "delete approvals.microapps.dev"],
            ["update approvals.microapps.dev", "create microapps.microapps.dev"],
            id="reviewer",
        ),
        pytest.param(
            "microapps-owner",
            ["get pods --subresource=log", "create pods --subresource=exec", "create pods --subresource=portforward"],
            ["get secrets", "list secrets", "create pods", "delete networkpolicies"],
            id="owner",
        ),
        pytest.param(
            "microapps-owner-production",
            ["get pods --subresource=log", "list events", "get deployments"],
            ["create pods --subresource=exec", "get pods --subresource=exec", "get secrets", "delete pods"],
            id="owner-in-production",
        ),
    ],
)
def test_a_role_allows_what_it_says_and_no_more(
    tenant: Tenant, role: str, allowed: list[str], denied: list[str]
) -> None:
    user = f"{tenant.name}-{role}"
    tenant.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={user}", "-n", tenant.name)
    for action in allowed:
        eventually(partial(may, tenant, user, *action.split()))
    assert [action for action in denied if may(tenant, user, *action.split())] == []
