"""A MicroApp becomes a confined runtime on a real API server, and stays one."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hack import approve as approving
from hack.lab.context import Cluster
from hack.process import OperatorProcess

from tests.component.conftest import Tenant
from tests.support.eventually import eventually
from tests.support.settings import settings_flag

pytestmark = pytest.mark.usefixtures("operator")
FOREIGN_POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "open-sesame"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
}
KINDS = (
    "resourcequota/tier-quota",
    "limitrange/tier-limits",
    "networkpolicy/default-deny",
    "serviceaccount/app",
    "rolebinding/owner-team",
    "deployment/app",
    "service/app",
)


def test_a_low_risk_app_becomes_ready_with_all_its_children(tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    for child in KINDS:
        kind, name = child.split("/")
        labels = tenant.get(kind, name, namespace)["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "microapp-operator"
        assert labels["microapps.dev/app-uid"] == tenant.get("mapp", "app")["metadata"]["uid"]
    status = tenant.get("mapp", "app")["status"]
    assert status["namespace"] == {"name": namespace, "uid": tenant.get("ns", namespace)["metadata"]["uid"]}
    assert status["suggestedTier"] == "low"
    assert [s["state"] for s in status["steps"]][:6] == ["Done"] * 6


def test_ready_is_never_true_for_a_generation_not_yet_seen(tenant: Tenant) -> None:
    tenant.apply()
    tenant.wait("app", "Ready")
    tenant.patch("app", {"runtime": {"replicas": 7}})
    tenant.wait("app", "Ready", "False")
    assert tenant.reasons("app", "Stalled") == ("True", "ExceedsTier")


@pytest.mark.parametrize("child", KINDS)
def test_a_deleted_child_is_restored(tenant: Tenant, child: str) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    kind, name = child.split("/")
    before = tenant.get(kind, name, namespace)["metadata"]["uid"]
    tenant.kubectl("delete", kind, name, "-n", namespace)
    eventually(lambda: tenant.exists(kind, name, namespace))
    assert tenant.get(kind, name, namespace)["metadata"]["uid"] != before
    eventually(lambda: "ChildDeleted" in tenant.kubectl("get", "events", "-n", tenant.name))


EDITS = [
    pytest.param("quota", "tier-quota", {"spec": {"hard": {"pods": "99"}}}, id="quota"),
    pytest.param("networkpolicy", "default-deny", {"spec": {"egress": [{}]}}, id="default-deny"),
    pytest.param("deployment", "app", {"spec": {"replicas": 4}}, id="replicas"),
    pytest.param(
        "deployment",
        "app",
        {"spec": {"template": {"spec": {"containers": [{"name": "foreign", "image": "x"}]}}}},
        id="a-second-container",
    ),
    pytest.param("serviceaccount", "app", {"automountServiceAccountToken": True}, id="token-mount"),
    pytest.param("service", "app", {"spec": {"selector": {"app": "other"}}}, id="service-selector"),
    pytest.param("limitrange", "tier-limits", {"spec": {"limits": []}}, id="limits"),
]


@pytest.mark.parametrize(("kind", "name", "edit"), EDITS)
def test_an_edited_child_is_repaired_and_the_writer_named(
    tenant: Tenant, kind: str, name: str, edit: dict[str, Any]
) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    want = tenant.get(kind, name, namespace)
    style = "strategic" if kind == "deployment" else "merge"
    patch = ("patch", kind, name, "-n", namespace, f"--type={style}", "-p", json.dumps(edit))
    tenant.kubectl(*patch, "--field-manager=mallory")
    shape = {k: v for k, v in want.items() if k not in ("metadata", "status")}
    eventually(
        lambda: {k: v for k, v in tenant.get(kind, name, namespace).items() if k not in ("metadata", "status")}, shape
    )
    eventually(lambda: "mallory" in tenant.kubectl("get", "events", "-n", tenant.name))


def test_a_write_under_our_own_managers_name_is_repaired_too(tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    made = json.loads(
        tenant.kubectl("get", "quota", "tier-quota", "-n", namespace, "-o", "json", "--show-managed-fields")
    )
    forged = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "tier-quota", "annotations": made["metadata"]["annotations"]},
        "spec": {"hard": made["spec"]["hard"] | {"pods": "99"}},
    }
    written = made["metadata"]["managedFields"][0]["time"]
    eventually(lambda: datetime.now(UTC) > datetime.fromisoformat(written) + timedelta(seconds=1))
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=microapp-operator")
    tenant.kubectl(*apply, "-n", namespace, "-f", "-", stdin=json.dumps(forged))
    eventually(lambda: tenant.get("quota", "tier-quota", namespace)["spec"]["hard"]["pods"], "5")


def test_a_changed_namespace_label_is_repaired(tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    label = "pod-security.kubernetes.io/enforce"
    tenant.kubectl("label", "namespace", namespace, f"{label}=privileged", "--overwrite")
    eventually(lambda: tenant.get("ns", namespace)["metadata"]["labels"][label], "restricted")


def test_a_foreign_policy_that_opens_something_is_flagged_until_it_is_gone(tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    tenant.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(FOREIGN_POLICY))
    eventually(lambda: tenant.reasons("app", "NetworkIsolated"), ("False", "ForeignNetworkPolicy"))
    assert "open-sesame" in tenant.condition("app", "Ready")[2]
    tenant.kubectl("delete", "networkpolicy", "open-sesame", "-n", namespace)
    tenant.wait("app", "Ready")


def test_a_foreign_policy_that_only_restricts_is_left_in_peace(tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    closed = {**FOREIGN_POLICY, "metadata": {"name": "closed"}, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}
    tenant.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(closed))
    tenant.kubectl("create", "rolebinding", "eve", "--clusterrole=view", "--user=eve", "-n", namespace)
    # The binding is seen after the policy was: once it shows, the policy has been judged too.
    eventually(lambda: tenant.reasons("app", "NamespaceReady"), ("False", "ForeignRoleBinding"))
    assert tenant.reasons("app", "NetworkIsolated") == ("True", "DenyByDefault")


def test_a_foreign_namespace_is_never_adopted(tenant: Tenant) -> None:
    namespace = f"ma-{tenant.name}-app"
    tenant.kubectl("create", "namespace", namespace)
    before = tenant.get("ns", namespace)
    tenant.apply()
    tenant.wait("app", "Stalled")
    status, reason, message = tenant.condition("app", "NamespaceReady")
    assert (status, reason) == ("False", "NamespaceNotOurs")
    assert namespace in message
    assert tenant.get("ns", namespace)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    tenant.kubectl("delete", "mapp", "app", "-n", tenant.name)
    assert tenant.exists("ns", namespace, namespace)
    tenant.kubectl("delete", "namespace", namespace, "--wait=false")


def test_an_app_that_outgrows_its_tier_keeps_running_what_it_ran(tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    tenant.patch("app", {"runtime": {"replicas": 5, "image": "registry.example.com/new:1"}})
    tenant.wait("app", "Stalled")
    message = tenant.condition("app", "Stalled")[2]
    assert "spec.runtime.replicas: 5 asked, tier low allows at most 1 replicas" in message
    tenant.kubectl("delete", "deployment", "app", "-n", namespace)
    eventually(lambda: tenant.exists("deployment", "app", namespace))
    spec = tenant.get("deployment", "app", namespace)["spec"]
    assert spec["replicas"] == 1
    assert "expense-helper@sha256:" in spec["template"]["spec"]["containers"][0]["image"]


def approve(tenant: Tenant, name: str, approver: str, *groups: str, **spec: Any) -> None:
    approving.approve(
        tenant.kubectl, approving.build_approval(tenant.get("mapp", "app"), name, **spec), approver, *groups
    )


def test_the_gate_is_closed_until_it_is_approved_and_a_change_voids_that(tenant: Tenant) -> None:
    namespace = tenant.apply(riskTier="high", stage="production")
    eventually(lambda: tenant.reasons("app", "Approved"), ("False", "ApprovalPending"))
    assert tenant.reasons("app", "Ready") == ("Unknown", "ApprovalPending")
    assert tenant.exists("networkpolicy", "default-deny", namespace)
    assert tenant.exists("quota", "tier-quota", namespace)
    assert not tenant.exists("deployment", "app", namespace)
    approve(tenant, "one", "alice@example.com")
    approve(tenant, "two", "carol@example.com", approving.SECURITY)
    tenant.wait("app", "Ready")
    approved = tenant.get("mapp", "app")["status"]["approvedFingerprint"]
    tenant.patch("app", {"runtime": {"image": "registry.example.com/x@sha256:" + "f" * 64}})
    eventually(lambda: tenant.reasons("app", "Approved"), ("False", "ApprovalPending"))
    assert "keeps running" in tenant.condition("app", "Approved")[2]
    assert tenant.get("mapp", "app")["status"]["approvedFingerprint"] == approved
    image = tenant.get("deployment", "app", namespace)["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.endswith("a" * 64)
    eventually(lambda: tenant.kubectl("get", "events", "-n", tenant.name).count("ApprovalVoided"), 2)
    assert "Approval one does not count: what it was given for has changed since." in tenant.kubectl(
        "get", "events", "-n", tenant.name
    )


def ask_for_endpoint(tenant: Tenant) -> tuple[str, str]:
    """An app that waits for an approval of its endpoint: its namespace, and the fingerprint asked for."""
    egress = {
        "name": "api",
        "cidr": "203.0.113.0/24",
        "port": 443,
        "dataClassification": "internal",
        "justification": "x",
    }
    namespace = tenant.apply(riskTier="medium", egress=[egress])
    eventually(lambda: tenant.reasons("app", "Approved"), ("False", "EgressApprovalPending"))
    return namespace, tenant.condition("app", "Approved")[2].split("fingerprint ")[1].split(".")[0]


def test_a_withdrawn_endpoint_approval_closes_the_endpoint(tenant: Tenant) -> None:
    namespace, wanted = ask_for_endpoint(tenant)
    assert not tenant.exists("networkpolicy", "allow-egress-api", namespace)
    approve(tenant, "api", "alice@example.com", scope="egress", endpoint="api", fingerprint=wanted)
    tenant.wait("app", "Ready")
    assert tenant.exists("networkpolicy", "allow-egress-api", namespace)
    assert tenant.get("mapp", "app")["status"]["egress"][0]["approval"] == "api"
    tenant.kubectl("delete", "approval", "api", "-n", tenant.name)
    eventually(lambda: tenant.exists("networkpolicy", "allow-egress-api", namespace), False)


def test_an_expiry_closes_the_endpoint_it_opened(tenant: Tenant) -> None:
    namespace, wanted = ask_for_endpoint(tenant)
    until = (datetime.now(UTC) + timedelta(seconds=4)).strftime("%Y-%m-%dT%H:%M:%SZ")
    spec = {"scope": "egress", "endpoint": "api", "fingerprint": wanted, "expiresAt": until}
    approve(tenant, "api", "alice@example.com", **spec)
    tenant.wait("app", "Approved")
    eventually(lambda: tenant.exists("networkpolicy", "allow-egress-api", namespace), False)
    assert datetime.now(UTC) > datetime.fromisoformat(until)
    assert tenant.reasons("app", "Approved") == ("False", "EgressApprovalPending")
    expired = f"Approval api does not count: it expired at {until}."
    eventually(lambda: expired in tenant.kubectl("get", "events", "-n", tenant.name))


def test_a_host_name_waits_with_a_reason_and_opens_nothing(tenant: Tenant) -> None:
    egress = {
        "name": "api",
        "host": "api.example.com",
        "port": 443,
        "dataClassification": "public",
        "justification": "x",
    }
    namespace = tenant.apply(egress=[egress])
    tenant.wait("app", "Ready")
    (status,) = tenant.get("mapp", "app")["status"]["egress"]
    assert (status["state"], status["mechanism"], status["reason"]) == ("Pending", "None", "HostNamesNotEnforced")
    policies = tenant.kubectl("get", "networkpolicy", "-n", namespace, "-o", "name").split()
    assert policies == ["networkpolicy.networking.k8s.io/default-deny"]


def test_the_clusters_own_addresses_are_refused(tenant: Tenant) -> None:
    egress = {"name": "api", "cidr": "10.96.0.1/32", "port": 443, "dataClassification": "public", "justification": "x"}
    tenant.apply(egress=[egress])
    tenant.wait("app", "Stalled")
    status, reason, message = tenant.condition("app", "Stalled")
    assert (status, reason) == ("True", "ReservedAddress")
    assert "spec.egress[0].cidr" in message


def test_a_change_of_a_tier_reaches_its_apps(tenant: Tenant) -> None:
    tier = tenant.get("risktier", "low")
    own = {
        "apiVersion": tier["apiVersion"],
        "kind": "RiskTier",
        "metadata": {"name": tenant.name},
        "spec": tier["spec"],
    }
    tenant.kubectl("apply", "-f", "-", stdin=json.dumps(own))
    namespace = tenant.apply(riskTier=tenant.name)
    tenant.wait("app", "Ready")
    tenant.kubectl("patch", "risktier", tenant.name, "--type=merge", "-p", '{"spec":{"quota":{"pods":3}}}')
    eventually(lambda: tenant.get("quota", "tier-quota", namespace)["spec"]["hard"]["pods"], "3")
    tenant.kubectl("delete", "risktier", tenant.name)
    eventually(lambda: tenant.reasons("app", "Stalled"), ("True", "RiskTierNotFound"))
    assert tenant.exists("deployment", "app", namespace)


def test_a_profile_the_cluster_lacks_is_said_and_honoured_once_it_is_there(tenant: Tenant) -> None:
    namespace = tenant.apply(runtime={"profile": "wasm"})
    eventually(lambda: tenant.reasons("app", "RuntimeAvailable"), ("False", "RuntimeClassNotFound"))
    assert not tenant.exists("deployment", "app", namespace)
    assert tenant.exists("networkpolicy", "default-deny", namespace)
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "wasmtime"}, "handler": "w"}
    tenant.kubectl("apply", "-f", "-", stdin=json.dumps(runtime))
    try:
        tenant.wait("app", "RuntimeAvailable")
        eventually(lambda: tenant.exists("deployment", "app", namespace))
        assert tenant.get("deployment", "app", namespace)["spec"]["template"]["spec"]["runtimeClassName"] == "wasmtime"
    finally:
        tenant.kubectl("delete", "runtimeclass", "wasmtime")


def test_serverless_without_knative_is_said(tenant: Tenant) -> None:
    tenant.apply(runtime={"profile": "serverless"})
    eventually(lambda: tenant.reasons("app", "RuntimeAvailable"), ("False", "KnativeNotServed"))


def test_a_suspended_app_runs_no_pod(tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    tenant.patch("app", {"suspend": True})
    eventually(lambda: tenant.reasons("app", "Ready"), ("True", "Suspended"))
    assert tenant.get("deployment", "app", namespace)["spec"]["replicas"] == 0


def test_nothing_of_an_app_is_left_after_its_deletion(tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    tenant.kubectl("delete", "mapp", "app", "-n", tenant.name, "--timeout=60s")
    assert tenant.kubectl("get", "namespace", namespace, "--ignore-not-found") == ""


def test_deletion_waits_for_a_slow_namespace_and_says_for_what(tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.wait("app", "Ready")
    stuck = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stuck", "finalizers": ["example.com/slow"]}}
    tenant.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(stuck))
    tenant.kubectl("delete", "mapp", "app", "-n", tenant.name, "--wait=false")
    eventually(lambda: "example.com/slow" in tenant.condition("app", "Ready")[2], timeout=60)
    assert tenant.reasons("app", "Ready") == ("Unknown", "Terminating")
    tenant.kubectl(
        "patch", "configmap", "stuck", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":[]}}'
    )
    tenant.kubectl("wait", "--for=delete", "mapp/app", "-n", tenant.name, "--timeout=60s")
    assert tenant.kubectl("get", "namespace", namespace, "--ignore-not-found") == ""


def test_what_tracks_the_microapp_is_not_copied_to_its_children(tenant: Tenant) -> None:
    namespace = tenant.apply()
    tenant.kubectl("label", "mapp", "app", "-n", tenant.name, "app.kubernetes.io/instance=gitops")
    tenant.kubectl("annotate", "mapp", "app", "-n", tenant.name, "argocd.argoproj.io/tracking-id=x")
    tenant.wait("app", "Ready")
    for child in (*KINDS, f"namespace/{namespace}"):
        kind, name = child.split("/")
        metadata = tenant.get(kind, name, namespace)["metadata"]
        keys = {*metadata["labels"], *metadata.get("annotations", {})}
        assert not {k for k in keys if "argocd" in k or k == "app.kubernetes.io/instance" or "kopf" in k}
    assert not [k for k in tenant.get("mapp", "app")["metadata"]["annotations"] if "kopf" in k]


def test_a_restart_writes_nothing(tenant: Tenant, cluster: Cluster, tmp_path: Path) -> None:
    """A second operator on the same cluster stands for the restart: it must find nothing to do.

    Apps of earlier tests that are still being deleted are something to do, for both of them.
    """
    leaving = ("get", "namespaces", "--field-selector=status.phase=Terminating", "-o", "name")
    eventually(lambda: tenant.kubectl(*leaving), "")
    for number in range(3):
        tenant.apply(f"app{number}")
        tenant.wait(f"app{number}", "Ready")
        tenant.settle(f"app{number}")
    with OperatorProcess(cluster.kubeconfig, tmp_path / "operator.log", (settings_flag(tmp_path),)) as second:
        eventually(lambda: second.total("microapp_operator_apps") >= 3)
        eventually(lambda: second.total("microapp_policy_scans_total", scope="all", outcome="done") >= 1)
        eventually(lambda: second.total("microapp_operator_queue_depth"), 0.0)
        assert second.written() == {}


def test_deleting_before_the_first_reconcile_works(tenant: Tenant) -> None:
    manifest = tenant.apply()
    tenant.kubectl("delete", "mapp", "app", "-n", tenant.name, "--timeout=60s")
    eventually(lambda: tenant.kubectl("get", "namespace", manifest, "--ignore-not-found"), "")
