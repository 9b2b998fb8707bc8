"""The chart's roles, held against what the processes ask for: nothing is missing, and nothing is there in vain."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack import admission
from hack import approve as approving
from hack.helm import objects, render
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.lab.hollow import HollowLab
from hack.process import OperatorProcess
from hack.samples import app_manifest
from tests.component.conftest import Tenant
from tests.support.api import Account, Api
from tests.support.apppods import AppPods, record, request
from tests.support.eventually import eventually
from tests.support.faults import FaultProxy
from tests.support.gateway import Gateway
from tests.support.release import REGISTRIES, Release, live
from tests.support.rights import Permission, asked, expand, granted

from microapp_operator.adapters.kubernetes import events
from microapp_operator.adapters.kubernetes.client import KubernetesClient, load_configuration
from microapp_operator.desired.forwarding.sinks import build_otlp, build_sinks
from microapp_operator.ports import ObjectRef
from microapp_operator.reasons import Reason

OPERATOR, WEBHOOK = "microapp-operator", "microapp-operator-webhook"
LOG_GATEWAY = "microapp-operator-log-gateway"
SERVED = tuple(Path(__file__).parent / name for name in ("knative-services.yaml", "secret-kinds.yaml"))
RIGHTS = "operator-rbac.yaml", "webhook-rbac.yaml", "probe.yaml", "log-gateway-rbac.yaml"
SCAN = "microapps-scan"
"""What the scan may, in a role of its own that tests/component/test_scan_rights.py holds to account."""
PINNED = {
    "image": {"repository": "registry.example.com/platform/microapp-operator", "digest": "sha256:" + "c" * 64},
    "isolationProbe": {"intervalSeconds": 20},
    "vault": {
        "address": "https://127.0.0.1:1",
        "networks": ["192.0.2.1/32"],
        "agentImage": "registry.example.com/platform/vault@sha256:" + "d" * 64,
        "production": [],
    },
    "logging": {
        "enabled": True,
        "images": {
            name: f"registry.example.com/platform/{name}@sha256:{'e' * 64}"
            for name in ("launcher", "forwarder", "gateway")
        },
        "redactionKey": {"existingSecret": "log-redaction"},
        "sinks": {"otlp": {"endpoint": "http://127.0.0.1:1"}},
        "gateway": {"persistence": {"enabled": False}},
    },
}
"""Nobody answers at those addresses: what the cluster is asked for depends neither on Vault nor on a sink."""
REPORT = {"leaks": [], "unreached": [], "confined_after": 0.1}
CHILDREN = (
    "resourcequotas,limitranges,networkpolicies,serviceaccounts,rolebindings,"
    "controllerrevisions.apps,deployments,services,poddisruptionbudgets"
)
ADDITIONS: dict[str, Any] = {
    "resourcequota": {"spec": {"hard": {"count/jobs.batch": "5"}}},
    "limitrange": {"spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]}},
    "networkpolicy": {"spec": {"ingress": [{"from": [{"podSelector": {}}]}]}},
    "serviceaccount": {"imagePullSecrets": [{"name": "other"}]},
    "rolebinding": {"subjects": [{"kind": "User", "name": "mallory", "apiGroup": "rbac.authorization.k8s.io"}]},
    "controllerrevision": {"revision": 99},
    "deployment": {"spec": {"minReadySeconds": 7}},
    "service": {"spec": {"publishNotReadyAddresses": True}},
    "poddisruptionbudget": {"spec": {"maxUnavailable": 0}},
    "services.serving.knative.dev": {"spec": {"traffic": [{"percent": 100}]}},
    "configmaps": {"data": {"more": "x"}},
    "vaultauths": {"spec": {"more": "x"}},
    "vaultstaticsecrets": {"spec": {"more": "x"}},
    "vaultdynamicsecrets": {"spec": {"more": "x"}},
    "secretstores": {"spec": {"more": "x"}},
    "externalsecrets": {"spec": {"more": "x"}},
}
"""By kind, what someone else writes into it: where it can be, a field the operator doesn't set and has to take out."""
WAYS = {
    "rendered": ("Rendered", "configmaps"),
    "copied": ("VaultSecretsOperator", "vaultauths,vaultstaticsecrets,vaultdynamicsecrets"),
    "external": ("ExternalSecrets", "secretstores,externalsecrets"),
}
"""By name of an app and its tier, how it gets its secrets, and the kinds that are made for that."""
KNATIVE = "services.serving.knative.dev"
MADE = {"full": CHILDREN, "served": KNATIVE, **{app: kinds for app, (_, kinds) in WAYS.items()}}
"""By app, the kinds of its children that are forged."""


@pytest.fixture(scope="module")
def roles(folder: Path) -> list[dict[str, Any]]:
    flags = [f"--show-only=templates/{name}" for name in RIGHTS]
    values = folder / "pinned.yaml"
    values.write_text(yaml.safe_dump({**REGISTRIES, **PINNED}))
    rendered = objects(render(*flags, f"--values={values}", "--set=admission.stamps=policy"))
    return [m for m in rendered if m.get("roleRef", {}).get("name") != SCAN]


@pytest.fixture(scope="module")
def release(cluster: Cluster, kubectl: Kubectl, folder: Path) -> Release:
    files = [f"--filename={path}" for path in SERVED]
    kubectl("apply", *files)
    kubectl("wait", "--for=condition=Established", *files)
    release = Release(cluster, kubectl, folder)
    release.install(**PINNED)
    return release


@pytest.fixture(scope="module")
def log(release: Release, kubectl: Kubectl, lab: HollowLab) -> Path:
    """The audit log after everything the processes do was done at least once, under the chart's accounts."""
    with live(release):
        assert release.run_hook("tiers").returncode == 0
        approving.grant_reviewers(kubectl)
        tenant = Tenant("finance", kubectl)
        kubectl("create", "namespace", tenant.name)
        secrets_each_way(tenant)
        a_life(tenant)
        a_wait_for_approval(tenant)
        a_probe(release)
        a_log_gateway(release)
        forgeries(tenant)
        stop_serverless(tenant)
        asyncio.run(an_event_that_repeats(release, tenant))
        kubectl("annotate", "mapp", *WAYS, "-n", tenant.name, "microapps.dev/skip-secret-cleanup=there is no Vault")
        kubectl("delete", "namespace", tenant.name, "--timeout=60s")
    a_review_ahead_of_the_watch(release)
    return lab.audit_log


def secrets_each_way(tenant: Tenant) -> None:
    """Secrets from a Vault that isn't there: the identity waits for it, what stands in the cluster doesn't."""
    tier = json.loads(tenant.kubectl("get", "risktier", "low", "-o", "json"))
    for rank, (name, (injection, kinds)) in enumerate(WAYS.items(), start=51):
        spec = {**tier["spec"], "rank": rank, "secrets": {**tier["spec"].get("secrets", {}), "injection": injection}}
        other = {**{k: tier[k] for k in ("apiVersion", "kind")}, "metadata": {"name": name}, "spec": spec}
        tenant.kubectl("create", "-f", "-", stdin=json.dumps(other))
        user = {"name": "db", "engine": "database", "path": "database/creds/expenses-ro"}
        secrets = [{"name": "api", "path": f"{name}/api"}, *([user] if name == "copied" else [])]
        home = tenant.apply(name, riskTier=name, secrets=secrets)
        for kind in kinds.split(","):
            eventually(lambda kind=kind, home=home: made(tenant, kind, home) != [])
            change(tenant, kind, home)
        eventually(lambda kinds=kinds, home=home: strangers(tenant, home, kinds), set())


def made(tenant: Tenant, kind: str, namespace: str) -> list[str]:
    """Names of the operator's objects of ``kind``."""
    return tenant.kubectl("get", kind, "-n", namespace, "-o", "name", "-l", "microapps.dev/app-uid").split()


def change(tenant: Tenant, kind: str, namespace: str) -> None:
    """Somebody else writes into one of them."""
    first, patch = made(tenant, kind, namespace)[0], json.dumps(ADDITIONS[kind])
    tenant.kubectl("patch", first, "-n", namespace, "--type=merge", "-p", patch, "--field-manager=mallory")


def a_life(tenant: Tenant) -> None:
    """Every kind of child, in sandbox and production, changed by someone else and mended."""
    tenant.apply("plain", stage="production")
    tenant.apply("served", runtime={"profile": "serverless"})
    stored = tenant.apply("stored", storage=[{"name": "data", "size": "1Gi", "mountPath": "/data"}])
    home = tenant.apply("full", riskTier="medium", runtime={"replicas": 2})
    for name in ("plain", "full"):
        tenant.wait(name, "Ready")
    served = f"ma-{tenant.name}-served"
    eventually(lambda: tenant.exists(KNATIVE, "served", served))
    eventually(lambda: tenant.exists("pvc", "data", stored))
    eventually(lambda: tenant.reasons("stored", "WorkloadAvailable")[0], "False")
    for kind in (k for k in ADDITIONS if not any(k in kinds for _, kinds in WAYS.values())):
        change(tenant, kind, served if kind == KNATIVE else home)
    eventually(lambda: strangers(tenant, home) | strangers(tenant, served), set())
    foreign = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "open"}}
    foreign["spec"] = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}
    tenant.kubectl("apply", "-n", home, "-f", "-", stdin=json.dumps(foreign))
    tenant.kubectl("create", "rolebinding", "more", "--clusterrole=view", "--user=mallory", "-n", home)
    eventually(lambda: tenant.reasons("full", "Ready")[0], "False")
    tenant.kubectl("delete", "networkpolicy/open", "rolebinding/more", "-n", home)
    tenant.wait("full", "Ready")


def strangers(tenant: Tenant, namespace: str, kinds: str = f"{CHILDREN},{KNATIVE}") -> set[str]:
    """Those of ``kinds`` in ``namespace`` in which mallory still owns something."""
    found = tenant.kubectl("get", kinds, "-n", namespace, "-o", "json", "--show-managed-fields")
    return {
        o["kind"]
        for o in json.loads(found)["items"]
        if any(
            m["manager"] == "mallory" and set(m["fieldsV1"]) - {"f:metadata"}
            for m in o["metadata"].get("managedFields", ())
        )
    }


def a_wait_for_approval(tenant: Tenant) -> None:
    """What was accepted is read back, a reviewer is asked about, an exception looked up."""
    tenant.patch("plain", {"riskTier": "medium"})
    eventually(lambda: tenant.reasons("plain", "Approved"), ("False", "ApprovalPending"))
    approval = approving.build_approval(tenant.get("mapp", "plain"), "release")
    approving.approve(tenant.kubectl, approval, "carol@example.com")
    tenant.wait("plain", "Approved")


def a_probe(release: Release) -> None:
    """A check that ends with a report, and the record of it. Its node is simulated, so the report is written here."""
    where = ("-n", "microapp-probe")
    check = ("get", "pods", *where, "-l", "microapps.dev/probe=check", "-o", "name")
    eventually(lambda: release.kubectl(*check) != "")
    pod = release.kubectl(*check).split()[0]
    status: dict[str, Any] = {"name": "check", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    status["state"] = {"terminated": {"exitCode": 0, "message": json.dumps(REPORT)}}
    patch = json.dumps({"status": {"phase": "Succeeded", "containerStatuses": [status]}})
    release.kubectl("patch", pod, *where, "--subresource=status", "--type=merge", "-p", patch)
    eventually(lambda: "ProbeInconclusive" in release.kubectl("get", "configmaps", *where, "-o", "yaml"))


def a_log_gateway(release: Release) -> None:
    """It learns of pods and their namespaces, by lists as from servers that don't stream them (before 1.34)."""
    account = admission.kubeconfig_of(release.kubectl, release.cluster, LOG_GATEWAY, release.folder)
    seen = replace(release.cluster, kubeconfig=account, context=LOG_GATEWAY)
    sinks = build_sinks(build_otlp("http://127.0.0.1:1"), queue_bytes=2**20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBE_FEATURE_WatchListClient", "false")
        gateway = Gateway(release.folder, seen, sinks, key="0" * 32)
    pods = AppPods(release.kubectl)
    with gateway.running():
        pod = pods.pod(pods.namespace("expense-helper-v2", "finance"))
        eventually(lambda: gateway.post(pod.address, request(pod, record("hello"))), 200)
    pods.close()


def forgeries(tenant: Tenant) -> None:
    """Copies of its children under other names, with the operator's labels: none of them stays."""
    for app, kinds in MADE.items():
        home = f"ma-{tenant.name}-{app}"
        found = json.loads(tenant.kubectl("get", kinds, "-n", home, "-l", "microapps.dev/app-uid", "-o", "json"))
        copies = {o["kind"]: o for o in found["items"]}
        for each in copies.values():
            kept = ("labels", "annotations", "namespace")
            each["metadata"] = {**{k: each["metadata"][k] for k in kept}, "name": f"forged-{each['kind'].lower()}"}
            each.pop("status", None)
            for field in ("clusterIP", "clusterIPs"):
                each.get("spec", {}).pop(field, None)
            tenant.kubectl("create", "-f", "-", stdin=json.dumps(each))
            left = ("get", kinds, "-n", home, "-o", "name")
            eventually(lambda left=left: [name for name in tenant.kubectl(*left).split() if "forged" in name], [])


def stop_serverless(tenant: Tenant) -> None:
    tenant.patch("served", {"suspend": True})
    eventually(lambda: tenant.exists(KNATIVE, "served", f"ma-{tenant.name}-served"), False)


async def an_event_that_repeats(release: Release, tenant: Tenant) -> None:
    """A series is written once a minute at most; here at once, by the operator's own code and account."""
    account = admission.kubeconfig_of(release.kubectl, release.cluster, OPERATOR, release.folder)
    client = KubernetesClient(await load_configuration(str(account), None), in_flight=1)
    ref = ObjectRef("microapps.dev/v1alpha1", "MicroApp", tenant.name, "full")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "_SERIES_EVERY", 0.0)
        publisher = events.KubernetesEvents(client)
        publisher.start()
        for _ in range(2):
            publisher.publish(ref, uid="1", reason=Reason.RECONCILED, message="again", warning=False)
        await publisher.stop()
    await client.close()


def a_review_ahead_of_the_watch(release: Release) -> None:
    """The first object of a namespace is judged before the watch has shown the namespace."""
    account = admission.kubeconfig_of(release.kubectl, release.cluster, WEBHOOK, release.folder)
    settings = release.folder / "settings.yaml"
    settings.write_text(yaml.safe_dump(REGISTRIES["settings"]))
    flags = ("--host=127.0.0.1", f"--port={release.port}", f"--settings={settings}", f"--secret={WEBHOOK}-certificates")
    api = Api(release.cluster)
    with FaultProxy(account, release.folder) as proxy:
        command = ("webhook", "--health-port=0", f"--name={WEBHOOK}.microapp-system.svc")
        with OperatorProcess(proxy.kubeconfig, release.folder / "late.log", flags, command):
            proxy.silence_watches(True)
            release.kubectl("create", "namespace", "unseen")
            status, said = api(
                "POST",
                "/apis/microapps.dev/v1alpha1/namespaces/unseen/microapps?dryRun=All",
                app_manifest("first", "unseen"),
                account=Account("alice@example.com", groups=("system:masters",)),
            )
            assert status == 201, said
            assert proxy.count("GET", r"/namespaces/unseen$") == 1
    api.close()


def test_nothing_the_processes_ask_for_is_denied(log: Path) -> None:
    assert asked(log)[1] == []


def test_every_permission_is_used(log: Path, roles: list[dict[str, Any]]) -> None:
    used = asked(log)[0]
    unused = sorted(str(p) for _, p in granted(roles) if not any(p.covers(u) for u in used | BOUND))
    assert unused == []


BOUND = {
    Permission(OPERATOR, "rbac.authorization.k8s.io", "clusterroles", "bind", "", name)
    for name in ("microapps-owner", "microapps-owner-production")
}
"""Asked for inside the creation of a RoleBinding, which the log doesn't say; see the test that takes it away."""


@contextmanager
def without(api: Api, role: dict[str, Any], gone: Permission) -> Iterator[None]:
    """``role`` in the cluster lacks one permission inside."""
    metadata, scope = role["metadata"], role["metadata"].get("namespace")
    kind = f"namespaces/{scope}/roles" if scope else "clusterroles"
    path = f"/apis/rbac.authorization.k8s.io/v1/{kind}/{metadata['name']}"
    rules = [
        {
            "apiGroups": [p.group],
            "resources": [p.resource],
            "verbs": [p.verb],
            **({"resourceNames": [p.name]} if p.name else {}),
        }
        for p in dict.fromkeys(expand("", scope or "", role["rules"]))
        if p != replace(gone, account="")
    ]
    try:
        status, said = api("PATCH", path, {"rules": rules}, kind="application/merge-patch+json")
        assert status == 200, said
        yield
    finally:
        api("PATCH", path, {"rules": role["rules"]}, kind="application/merge-patch+json")


def allowed(api: Api, p: Permission) -> bool:
    """What RBAC says to the permission's account."""
    resource, _, subresource = p.resource.partition("/")
    attributes = {"group": p.group, "resource": resource, "subresource": subresource, "verb": p.verb}
    where = {"namespace": p.namespace, "name": p.name}
    user = f"system:serviceaccount:microapp-system:{p.account}"
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": ["system:serviceaccounts"], "resourceAttributes": {**attributes, **where}},
    }
    answer = api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)[1]
    return bool(answer["status"]["allowed"])


def test_every_permission_taken_away_is_missed(release: Release, roles: list[dict[str, Any]]) -> None:
    api = Api(release.cluster)
    with unscanned(release):
        for role, permission in granted(roles):
            if any(other != permission and other.covers(permission) for _, other in granted(roles)):
                continue  # in the probe's namespace, where it is needed without a Vault
            with without(api, role, permission):
                eventually(lambda permission=permission: allowed(api, permission), False)
        for _, permission in granted(roles):
            eventually(lambda permission=permission: allowed(api, permission))
    api.close()


@contextmanager
def unscanned(release: Release) -> Iterator[None]:
    """Without what the scan may read, which overlaps with what reconciling needs."""
    binding = json.loads(release.kubectl("get", "clusterrolebinding", f"{release.name}-scan", "-o", "json"))
    release.kubectl("delete", "clusterrolebinding", binding["metadata"]["name"])
    try:
        yield
    finally:
        kept = {k: binding["metadata"][k] for k in ("name", "labels", "annotations") if k in binding["metadata"]}
        release.kubectl("create", "-f", "-", stdin=json.dumps({**binding, "metadata": kept}))


MISSED = [
    Permission(OPERATOR, "networking.k8s.io", "networkpolicies", "patch"),
    Permission(OPERATOR, "rbac.authorization.k8s.io", "clusterroles", "bind", "", "microapps-owner"),
]


@pytest.mark.parametrize("missing", MISSED, ids=lambda p: f"{p.verb}-{p.resource}")
def test_an_app_says_which_right_the_operator_lacks(
    release: Release, roles: list[dict[str, Any]], missing: Permission
) -> None:
    api, name = Api(release.cluster), f"t{uuid.uuid4().hex[:8]}"
    role = next(r for r, p in granted(roles) if p == missing)
    release.kubectl("create", "namespace", name)
    tenant = Tenant(name, release.kubectl)
    with live(release):
        assert release.run_hook("tiers").returncode == 0
        with without(api, role, missing):
            eventually(lambda: allowed(api, missing), False)
            tenant.apply("app")
            eventually(lambda: tenant.reasons("app", "Ready"), ("False", "RejectedByAPI"))
            assert "forbidden" in tenant.condition("app", "Ready")[2]
        tenant.patch("app", {"description": "look again"})
        tenant.wait("app", "Ready")
        release.kubectl("delete", "namespace", name, "--timeout=60s")
    api.close()
