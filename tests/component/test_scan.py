"""What already runs, judged by the rules in force: found, counted and reported for each object, and gone when fixed."""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack import approve as approving
from hack.lab.context import Cluster
from hack.process import OperatorProcess

from microapp_operator.gates import compute_exception_fingerprint
from microapp_operator.model.approval import PolicyException
from tests.component.conftest import Tenant
from tests.support import openreports
from tests.support.bundles import CANARY, compiled
from tests.support.eventually import eventually
from tests.support.frozen import frozen

OPEN = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
NEVER, OFTEN = "--scan-interval=86400", "--scan-interval=1"
"""Never: whatever is found was looked for because something told of it."""
BOB = "bob@example.com"


@dataclass
class Scanned:
    """An operator with files of its own for rules and settings, and what its scan says."""

    kubeconfig: Path
    folder: Path
    flags: tuple[str, ...] = ()
    operator: OperatorProcess = field(init=False)

    def __post_init__(self) -> None:
        self.bundle, self.settings = self.folder / "bundle.tar.gz", self.folder / "settings.yaml"
        self.bundle.write_bytes((files("microapp_operator.policy") / "bundle.tar.gz").read_bytes())
        self.set("registry.example.com/")

    def set(self, *registries: str) -> None:
        """Allow images from these registries only."""
        changed = self.folder / "changed.yaml"
        changed.write_text(yaml.safe_dump({"registries": list(registries), "gitops": []}))
        changed.replace(self.settings)

    def take(self, bundle: bytes) -> None:
        """Put another bundle where the operator looks for one."""
        changed = self.folder / "changed.tar.gz"
        changed.write_bytes(bundle)
        changed.replace(self.bundle)

    @contextmanager
    def running(self, *flags: str) -> Iterator[OperatorProcess]:
        arguments = (f"--bundle={self.bundle}", f"--settings={self.settings}", *flags)
        with OperatorProcess(self.kubeconfig, self.folder / "operator.log", arguments) as self.operator:
            yield self.operator

    def found(self, namespace: str, **labels: str) -> float:
        """How many violations the metrics tell of there."""
        wanted = {f"resource_{name}" if name in ("kind", "name") else name: value for name, value in labels.items()}
        return self.operator.total("microapp_policy_violations", resource_namespace=namespace, **wanted)

    def passes(self) -> float:
        """Full passes that are done."""
        return self.operator.total("microapp_policy_scans_total", scope="all", outcome="done")


@pytest.fixture
def scanned(cluster: Cluster, installed: None, tmp_path: Path) -> Scanned:  # noqa: ARG001
    return Scanned(cluster.kubeconfig, tmp_path)


def summary(tenant: Tenant, name: str = "app") -> dict[str, dict[str, int]]:
    """status.policyFindings: by rule the number of objects for each outcome."""
    found = tenant.get("mapp", name)["status"].get("policyFindings", ())
    return {f["rule"]: {k: f[k] for k in ("fail", "warn", "skip") if f.get(k)} for f in found}


def reports(tenant: Tenant, namespace: str) -> dict[tuple[str, str], dict[str, Any]]:
    """By the kind and name of what they are about."""
    items = json.loads(tenant.kubectl("get", "reports.openreports.io", "-n", namespace, "-o", "json"))["items"]
    return {(r["scope"]["kind"], r["scope"]["name"]): r for r in items}


def create(tenant: Tenant, namespace: str, kind: str, name: str, version: str = "v1", **body: Any) -> dict[str, Any]:
    """An object that somebody puts into the app's namespace; returns it as the API server has it."""
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **body}
    answer = tenant.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(manifest))
    found: dict[str, Any] = json.loads(answer)
    return found


def open_policy(tenant: Tenant, namespace: str, name: str = "open") -> dict[str, Any]:
    return create(tenant, namespace, "NetworkPolicy", name, "networking.k8s.io/v1", spec=OPEN)


def test_what_the_operator_makes_itself_is_clean(scanned: Scanned, tenant: Tenant) -> None:
    with scanned.running(OFTEN) as operator:
        apps = {"plain": {}, "reviewed": {"riskTier": "medium"}, "staged": {"stage": "staging", "riskTier": "high"}}
        egress = [{"name": "a", "cidr": "203.0.113.0/24", "port": 443, "dataClassification": "public"}]
        egress[0]["justification"] = "x"
        homes = [tenant.apply(name, **({"egress": egress} if name == "plain" else {}), **apps[name]) for name in apps]
        for name in apps:
            tenant.wait(name, "PolicyCompliant")
            assert tenant.reasons(name, "PolicyCompliant") == ("True", "PoliciesMet")
            tenant.wait(name, "Ready")
        done = scanned.passes()
        eventually(lambda: scanned.passes() > done)
        assert [scanned.found(home) for home in (*homes, tenant.name)] == [0, 0, 0, 0]
        assert operator.total("microapp_policy_scanned_objects") >= 20


def test_hundreds_that_were_there_before_are_found_one_by_one_and_vanish_when_fixed(
    scanned: Scanned, tenant: Tenant
) -> None:
    with scanned.running(OFTEN):
        namespace = tenant.apply()
        tenant.wait("app", "Ready")
    accounts = [account(namespace, f"x{number:03}", many="many") for number in range(300)]
    tenant.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": accounts}))
    with scanned.running(OFTEN):
        eventually(lambda: scanned.found(namespace, rule="MA-SAT-001", kind="ServiceAccount", result="fail"), 300.0)
        assert scanned.found(namespace, name="x299", severity="high") == 1
        tenant.wait("app", "PolicyCompliant", "False")
        eventually(lambda: summary(tenant), {"MA-SAT-001": {"fail": 300}})
        assert "MA-SAT-001 (300)" in tenant.condition("app", "PolicyCompliant")[2]
        assert tenant.reasons("app", "Ready")[0] == "True"
        for name in ("x000", "x299"):
            tenant.kubectl("label", "sa", name, "-n", namespace, "many-")
        tenant.kubectl("patch", "sa", "x000", "-n", namespace, "-p", '{"automountServiceAccountToken": false}')
        tenant.kubectl("delete", "--raw", f"/api/v1/namespaces/{namespace}/serviceaccounts?labelSelector=many")
        eventually(lambda: scanned.found(namespace), 1.0)
        eventually(lambda: summary(tenant), {"MA-SAT-001": {"fail": 1}})
        tenant.kubectl("delete", "sa", "-n", namespace, "x299")
        eventually(lambda: scanned.found(namespace), 0.0)
        eventually(lambda: summary(tenant), {})
        tenant.wait("app", "PolicyCompliant")


def account(namespace: str, name: str, **labels: str) -> dict[str, Any]:
    """A service account whose pods get its token."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    }


def test_every_workload_that_carries_a_bad_pod_is_found_and_what_has_ended_is_not(
    scanned: Scanned, tenant: Tenant
) -> None:
    with scanned.running(OFTEN):
        namespace = tenant.apply()
        tenant.wait("app", "Ready")
        bad = {"containers": [{"name": "c", "image": "registry.example.com/a/b:latest"}], "restartPolicy": "Never"}
        labels = {"a": "b"}
        always = {"metadata": {"labels": labels}, "spec": {**bad, "restartPolicy": "Always"}}
        selected = {"selector": {"matchLabels": labels}, "template": always}
        once = {"template": {"spec": bad}, "suspend": True}
        tenant.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
        create(tenant, namespace, "Deployment", "d", "apps/v1", spec={"replicas": 0, **selected})
        create(tenant, namespace, "StatefulSet", "s", "apps/v1", spec={"replicas": 0, "serviceName": "s", **selected})
        create(tenant, namespace, "DaemonSet", "ds", "apps/v1", spec=selected)
        create(tenant, namespace, "Job", "j", "batch/v1", spec=once)
        create(
            tenant, namespace, "CronJob", "c", "batch/v1", spec={"schedule": "0 0 1 1 *", "jobTemplate": {"spec": once}}
        )
        create(
            tenant,
            namespace,
            "ReplicationController",
            "rc",
            spec={"selector": labels, "replicas": 0, "template": always},
        )
        create(tenant, namespace, "PodTemplate", "pt", template=always)
        kinds = {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController", "PodTemplate"}
        for kind in kinds:
            eventually(lambda kind=kind: scanned.found(namespace, rule="MA-IMG-001", kind=kind, result="warn"), 1.0)
        # What the Deployment keeps as history, asked for no pods, is not something that runs.
        assert scanned.found(namespace, rule="MA-IMG-001", kind="ReplicaSet") == 0
        assert scanned.found(namespace, rule="MA-PSS-006", kind="Deployment", result="fail") == 1


def test_a_foreign_object_and_a_changed_tier_are_noticed_without_waiting_for_the_next_pass(
    scanned: Scanned, tenant: Tenant
) -> None:
    with scanned.running(NEVER):
        namespace = tenant.apply()
        tenant.wait("app", "PolicyCompliant")
        open_policy(tenant, namespace)
        eventually(lambda: scanned.found(namespace, kind="NetworkPolicy", name="open", rule="MA-NET-001"), 1.0)
        tenant.wait("app", "PolicyCompliant", "False")
        tenant.kubectl("delete", "networkpolicy", "open", "-n", namespace)
        eventually(lambda: scanned.found(namespace), 0.0)
        tenant.wait("app", "PolicyCompliant")
        # The MicroApp itself: what its tier may not hold, and an edit that puts it right.
        tenant.patch("app", {"dataClassification": "restricted"})
        eventually(lambda: scanned.found(tenant.name, kind="MicroApp", name="app", rule="MA-CLS-002"), 1.0)
        tenant.patch("app", {"dataClassification": "internal"})
        eventually(lambda: scanned.found(tenant.name), 0.0)
        tenant.wait("app", "PolicyCompliant")
        tenant.kubectl("delete", "mapp", "app", "-n", tenant.name)


def test_other_settings_and_another_bundle_have_everything_judged_anew(
    scanned: Scanned, tenant: Tenant, tmp_path: Path
) -> None:
    with scanned.running(NEVER):
        homes = [tenant.apply(name) for name in ("one", "two")]
        for name in ("one", "two"):
            tenant.wait(name, "PolicyCompliant")
        before = tenant.get("mapp", "one")["status"]
        scanned.set("elsewhere.example.com/")
        for home in homes:
            eventually(lambda home=home: scanned.found(home, rule="MA-IMG-002", kind="Deployment"), 1.0)
        assert scanned.found(tenant.name, rule="MA-IMG-002", kind="MicroApp") == 2
        objecting = (
            CANARY + 'pod contains {"id": "MA-TST-001", "path": "x"} if input.request.kind.kind == "Deployment"\n'
        )
        scanned.take(compiled(tmp_path / "other", objecting))
        for home in homes:
            eventually(lambda home=home: scanned.found(home, rule="MA-TST-001", kind="Deployment"), 1.0)
            assert scanned.found(home) == 1
        eventually(lambda: summary(tenant, "one"), {"MA-TST-001": {"fail": 1}})
        eventually(lambda: tenant.get("mapp", "one")["status"]["policyDigest"] != before["policyDigest"])
        # A new bundle stops nothing: the app runs on as it was.
        assert tenant.reasons("one", "Ready")[0] == "True"
        assert tenant.get("mapp", "one")["status"]["approvedFingerprint"] == before["approvedFingerprint"]


def exception(tenant: Tenant, kind: str, name: str, rule: str, lasts: timedelta) -> dict[str, Any]:
    """Bob's Approval of an exception of the app for one object."""
    named = {"rule": rule, "object": {"kind": kind, "name": name}, "compensatingControl": "looked at every day"}
    parsed = PolicyException.model_validate(named)
    approval = approving.build_approval(
        tenant.get("mapp", "app"),
        f"a{uuid.uuid4().hex[:8]}",
        scope="exception",
        exception=named,
        fingerprint=compute_exception_fingerprint(tenant.name, "app", "low", parsed),
        expiresAt=(datetime.now(UTC) + lasts).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    approving.approve(tenant.kubectl, approval, BOB)
    return approval


def test_an_exception_suspends_and_when_it_ends_the_finding_is_back_with_nobody_doing_anything(
    scanned: Scanned, tenant: Tenant
) -> None:
    with scanned.running(NEVER):
        namespace = tenant.apply()
        tenant.wait("app", "PolicyCompliant")
        for name in ("open", "wide"):
            open_policy(tenant, namespace, name)
        eventually(lambda: summary(tenant), {"MA-NET-001": {"fail": 2}})
        exception(tenant, "NetworkPolicy", "open", "MA-NET-001", timedelta(seconds=25))
        eventually(lambda: summary(tenant), {"MA-NET-001": {"fail": 1, "skip": 1}})
        assert scanned.found(namespace, name="open", result="skip") == 1
        assert scanned.found(namespace, name="wide", result="fail") == 1
        eventually(lambda: summary(tenant), {"MA-NET-001": {"fail": 2}}, timeout=60)
        assert scanned.found(namespace, name="open", result="fail") == 1
        assert scanned.found(namespace, result="skip") == 0


def test_an_exception_for_what_can_not_be_excepted_counts_for_nothing(scanned: Scanned, tenant: Tenant) -> None:
    with scanned.running(OFTEN):
        namespace = tenant.apply()
        tenant.wait("app", "Ready")
        tenant.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
        template = {
            "spec": {"hostNetwork": True, "restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}
        }
        create(tenant, namespace, "Job", "j", "batch/v1", spec={"suspend": True, "template": template})
        eventually(lambda: scanned.found(namespace, rule="MA-PSS-002", result="fail"), 1.0)
        approval = exception(tenant, "Job", "j", "MA-PSS-002", timedelta(days=1))
        done = scanned.passes()
        eventually(lambda: scanned.passes() > done + 1)
        assert tenant.exists("mappr", approval["metadata"]["name"], tenant.name)
        assert scanned.found(namespace, rule="MA-PSS-002", result="fail") == 1


def test_reports_begin_when_their_kind_is_installed_and_say_what_a_denial_would(
    scanned: Scanned, tenant: Tenant
) -> None:
    with scanned.running(NEVER) as operator:
        namespace = tenant.apply()
        tenant.wait("app", "PolicyCompliant")
        policy = open_policy(tenant, namespace)
        tenant.patch("app", {"dataClassification": "restricted"})
        eventually(lambda: set(summary(tenant)), {"MA-NET-001", "MA-CLS-002"})
        with openreports.served(tenant.kubectl):
            eventually(lambda: set(reports(tenant, namespace)), {("NetworkPolicy", "open")}, timeout=60)
            eventually(lambda: set(reports(tenant, tenant.name)), {("MicroApp", "app")})
            report = reports(tenant, namespace)["NetworkPolicy", "open"]
            assert report["source"] == "microapp-operator"
            assert report["scope"]["uid"] == policy["metadata"]["uid"]
            assert report["summary"] == {"pass": 0, "fail": 1, "warn": 0, "skip": 0, "error": 0}
            (result,) = report["results"]
            assert (result["policy"], result["severity"], result["result"]) == ("MA-NET-001", "critical", "fail")
            assert result["message"].startswith("[MA-NET-001] spec.egress[0]: ")
            assert {"Why:", "Fix:", "Docs:"} <= set(result["message"].split())
            assert len(result["properties"]["bundle"]) == 64
            assert "timestamp" not in result
            _reports_are_kept_and_left_alone(scanned, operator, tenant, namespace)


def _reports_are_kept_and_left_alone(
    scanned: Scanned, operator: OperatorProcess, tenant: Tenant, namespace: str
) -> None:
    """Changed and deleted ones are restored, unchanged ones not written, and they go with what they are about."""
    name = reports(tenant, namespace)["NetworkPolicy", "open"]["metadata"]["name"]
    kind = "reports.openreports.io"
    forged = {"results": [], "summary": {"fail": 0}}
    tenant.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(forged))
    eventually(lambda: reports(tenant, namespace)["NetworkPolicy", "open"]["summary"]["fail"], 1)
    tenant.kubectl("delete", kind, name, "-n", namespace)
    eventually(lambda: set(reports(tenant, namespace)), {("NetworkPolicy", "open")})
    eventually(lambda: operator.total("microapp_operator_writes_total", kind="reports") >= 4)
    version = reports(tenant, namespace)["NetworkPolicy", "open"]["metadata"]["resourceVersion"]
    _restart_writes_nothing(scanned, tenant)
    assert reports(tenant, namespace)["NetworkPolicy", "open"]["metadata"]["resourceVersion"] == version
    exception(tenant, "NetworkPolicy", "open", "MA-NET-001", timedelta(days=1))
    eventually(lambda: reports(tenant, namespace)["NetworkPolicy", "open"]["summary"]["skip"], 1)
    tenant.kubectl("delete", "networkpolicy", "open", "-n", namespace)
    eventually(lambda: reports(tenant, namespace), {})
    tenant.patch("app", {"dataClassification": "internal"})
    eventually(lambda: reports(tenant, tenant.name), {})


def _restart_writes_nothing(scanned: Scanned, tenant: Tenant) -> None:
    operator = scanned.operator
    operator.stop()
    before = tenant.get("mapp", "app")["metadata"]["resourceVersion"]
    operator.start()
    eventually(lambda: scanned.passes() >= 1)
    eventually(lambda: operator.total("microapp_operator_queue_depth"), 0.0)
    assert operator.writes() == 0
    assert tenant.get("mapp", "app")["metadata"]["resourceVersion"] == before


def test_more_findings_than_one_report_can_hold_are_all_reported(scanned: Scanned, tenant: Tenant) -> None:
    with openreports.served(tenant.kubectl), scanned.running(OFTEN):
        namespace = tenant.apply()
        tenant.wait("app", "Ready")
        tenant.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
        containers = [{"name": f"c{n}", "image": f"elsewhere.example.net/x:{n}"} for n in range(250)]
        template = {"spec": {"restartPolicy": "Never", "containers": containers}}
        create(tenant, namespace, "Job", "many", "batch/v1", spec={"suspend": True, "template": template})
        eventually(lambda: scanned.found(namespace, kind="Job", name="many") > 1250)
        wanted = scanned.found(namespace, kind="Job", name="many")

        def told() -> int:
            items = json.loads(tenant.kubectl("get", "reports.openreports.io", "-n", namespace, "-o", "json"))["items"]
            return sum(len(report["results"]) for report in items)

        eventually(told, int(wanted))
        items = json.loads(tenant.kubectl("get", "reports.openreports.io", "-n", namespace, "-o", "json"))["items"]
        rules = Counter(result["rule"] for report in items for result in report["results"])
        assert len(items) > 2
        assert rules["MA-IMG-002"] == rules["MA-PSS-006"] == 250


def test_a_leader_that_wakes_up_deposed_reports_nothing(
    cluster: Cluster,
    tenant: Tenant,
    tmp_path: Path,
) -> None:
    homes = [tmp_path / name for name in ("strict", "lenient")]
    for home in homes:
        home.mkdir()
    strict, lenient = (Scanned(cluster.kubeconfig, home) for home in homes)
    strict.set("elsewhere.example.com/")
    lease = (f"--lease-namespace={tenant.name}", OFTEN)
    with openreports.served(tenant.kubectl), ExitStack() as processes:
        operator = processes.enter_context(strict.running(*lease))
        namespace = tenant.apply()
        tenant.wait("app", "PolicyCompliant", "False")
        eventually(lambda: set(reports(tenant, tenant.name)), {("MicroApp", "app")})
        processes.enter_context(lenient.running(*lease))
        with frozen(operator):
            tenant.wait("app", "PolicyCompliant")
            eventually(lambda: reports(tenant, tenant.name) or reports(tenant, namespace), {})
            tenant.wait("app", "Ready")
            version = tenant.get("mapp", "app")["metadata"]["resourceVersion"]
        assert operator.ended() == 1
        assert '"deposed"' in operator.log.read_text()
        assert reports(tenant, tenant.name) == reports(tenant, namespace) == {}
        assert tenant.get("mapp", "app")["metadata"]["resourceVersion"] == version
