"""Webhook and floor on a real API server, against people whom RBAC lets do everything."""

import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hack import admission
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.samples import IMAGE, app_manifest

from tests.support.api import Account, Api
from tests.support.guarded import EMERGENCY, World, guarded, rules

GITOPS = "system:serviceaccount:argocd:argocd-application-controller"
SETTINGS = {"registries": ["registry.example.com/"], "gitops": [GITOPS]}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
POD_SPEC = {
    "automountServiceAccountToken": False,
    "containers": [{"name": "c", "image": IMAGE, "securityContext": RESTRICTED}],
}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD_SPEC}
JOB_TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {**POD_SPEC, "restartPolicy": "Never"}}
PRIVILEGED = {"containers": [{"name": "c", "image": IMAGE, "securityContext": {"privileged": True}}]}
HOST_PATH = {"name": "h", "hostPath": {"path": "/"}}
TAGGED = {"containers": [{"name": "c", "image": "registry.example.com/a/b:1"}]}
MOUNTED_TAG = {"name": "m", "image": {"reference": "registry.example.com/a/b:1"}}
WORST = (
    ("MA-PSS-001", PRIVILEGED),
    ("MA-PSS-002", {**POD_SPEC, "hostNetwork": True}),
    ("MA-PSS-003", {**POD_SPEC, "volumes": [HOST_PATH]}),
    ("MA-IMG-001", TAGGED),
    ("MA-IMG-001", {**POD_SPEC, "volumes": [MOUNTED_TAG]}),
)
STATUS = {"status": {"approvedFingerprint": "a" * 64}}
OPEN_POLICY = {"podSelector": {}, "ingress": [{}], "egress": [{}]}
SELECTOR = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}


def deploy(world: World, spec: dict[str, Any]) -> str:
    """By somebody who may write here in an emergency: what is written is judged all the same."""
    template = {**TEMPLATE, "spec": spec}
    return world.create("Deployment", "apps/v1", group=EMERGENCY, spec={**SELECTOR, "template": template})


@pytest.fixture(scope="module")
def world(kubectl: Kubectl, cluster: Cluster, installed: None) -> Iterator[World]:  # noqa: ARG001
    """An app in production."""
    with guarded(kubectl, cluster, SETTINGS) as world:
        manifest = app_manifest(world.app, world.tenant, stage="production")
        assert world.attempt("apply", "-f", "-", user=GITOPS, **manifest) == ""
        kubectl("wait", "--for=condition=Ready", f"mapp/{world.app}", "-n", world.tenant, "--timeout=60s")
        yield world


RBAC = "rbac.authorization.k8s.io"
ATTACKS: dict[str, tuple[str, Any]] = {
    "a pod of one's own": ("MA-GRD-001", lambda w: w.create("Pod", spec=POD_SPEC)),
    "a privileged pod": ("PodSecurity", lambda w: w.create("Pod", spec=PRIVILEGED)),
    "a privileged pod through a Deployment": ("MA-PSS-001", lambda w: deploy(w, PRIVILEGED)),
    "the network of the host": ("MA-PSS-002", lambda w: deploy(w, {**POD_SPEC, "hostNetwork": True})),
    "files of the host": ("MA-PSS-003", lambda w: deploy(w, {**POD_SPEC, "volumes": [HOST_PATH]})),
    "a pod through a Deployment": ("MA-GRD-001", lambda w: w.create("Deployment", "apps/v1", spec=SELECTOR)),
    "a pod through a ReplicaSet": ("MA-GRD-001", lambda w: w.create("ReplicaSet", "apps/v1", spec=SELECTOR)),
    "a pod through a DaemonSet": ("MA-GRD-001", lambda w: w.create("DaemonSet", "apps/v1", spec=SELECTOR)),
    "a pod through a StatefulSet": (
        "MA-GRD-001",
        lambda w: w.create("StatefulSet", "apps/v1", spec={**SELECTOR, "serviceName": "s"}),
    ),
    "a pod through a Job": ("MA-GRD-001", lambda w: w.create("Job", "batch/v1", spec={"template": JOB_TEMPLATE})),
    "a pod through a CronJob": (
        "MA-GRD-001",
        lambda w: w.create(
            "CronJob", "batch/v1", spec={"schedule": "* * * * *", "jobTemplate": {"spec": {"template": JOB_TEMPLATE}}}
        ),
    ),
    "a pod through a ReplicationController": (
        "MA-GRD-001",
        lambda w: w.create("ReplicationController", spec={"selector": {"a": "b"}, "template": TEMPLATE}),
    ),
    "the scale subresource": (
        "MA-GRD-001",
        lambda w: w.attempt("scale", "deployment", w.app, "-n", w.home, "--replicas=5"),
    ),
    "editing a child": (
        "MA-GRD-001",
        lambda w: w.patch("deployment", w.app, {"spec": {"template": {"spec": {"hostIPC": True}}}}, "-n", w.home),
    ),
    "deleting a policy": (
        "MA-GRD-001",
        lambda w: w.attempt("delete", "networkpolicy", "default-deny", "-n", w.home),
    ),
    "an allow-all policy": (
        "MA-NET-001",
        lambda w: w.create("NetworkPolicy", "networking.k8s.io/v1", group=EMERGENCY, spec=OPEN_POLICY),
    ),
    "rights for everybody": (
        "MA-TEN-004",
        lambda w: w.create(
            "RoleBinding",
            f"{RBAC}/v1",
            group=EMERGENCY,
            roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"},
            subjects=[{"apiGroup": RBAC, "kind": "Group", "name": "system:authenticated"}],
        ),
    ),
    "a node port": (
        "MA-SVC-001",
        lambda w: w.create("Service", group=EMERGENCY, spec={"type": "NodePort", "ports": [{"port": 80}]}),
    ),
    "an external address": (
        "MA-SVC-001",
        lambda w: w.create("Service", group=EMERGENCY, spec={"externalIPs": ["203.0.113.7"], "ports": [{"port": 80}]}),
    ),
    "an account with a token": ("MA-SAT-001", lambda w: w.create("ServiceAccount", group=EMERGENCY)),
    "relabelling the namespace": (
        "MA-GRD-003",
        lambda w: w.attempt("label", "namespace", w.home, "microapps.dev/app-uid-"),
    ),
    "lowering Pod Security": (
        "MA-GRD-003",
        lambda w: w.attempt(
            "label", "namespace", w.home, "--overwrite", "pod-security.kubernetes.io/enforce=privileged"
        ),
    ),
    "passing a namespace off as an app's": (
        "MA-GRD-003",
        lambda w: w.attempt("label", "namespace", w.tenant, "microapps.dev/app-uid=forged"),
    ),
    "deleting the namespace": ("MA-GRD-003", lambda w: w.attempt("delete", "namespace", w.home, "--wait=false")),
    "forging the status": (
        "MA-GRD-002",
        lambda w: w.patch("mapp", w.app, STATUS, "-n", w.tenant, "--subresource=status"),
    ),
    "taking the finalizer away": (
        "MA-GRD-002",
        lambda w: w.patch("mapp", w.app, {"metadata": {"finalizers": []}}, "-n", w.tenant),
    ),
    "a shell in production": ("MA-EXE-001", lambda w: w.attempt("exec", "-n", w.home, w.pod, "--", "sh")),
    "a debug container in production": (
        "MA-GRD-001",
        lambda w: w.attempt("debug", "-n", w.home, w.pod, f"--image={IMAGE}", "--attach=false", "--profile=restricted"),
    ),
    "changing production by hand": (
        "MA-GIT-001",
        lambda w: w.patch("mapp", w.app, {"spec": {"runtime": {"port": 9090}}}, "-n", w.tenant),
    ),
    "deleting production by hand": (
        "MA-GIT-001",
        lambda w: w.attempt("delete", "mapp", w.app, "-n", w.tenant, "--wait=false"),
    ),
    "an image by tag in production": (
        "MA-IMG-001",
        lambda w: w.apply_app("tagged", GITOPS, stage="production", runtime={"image": "registry.example.com/a/b:1"}),
    ),
    "an image from elsewhere": (
        "MA-IMG-002",
        lambda w: w.apply_app("other", runtime={"image": IMAGE.replace("example", "evil")}),
    ),
    "data beyond the tier": ("MA-CLS-002", lambda w: w.apply_app("beyond", dataClassification="restricted")),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_is_denied_with_its_rule(world: World, attack: str) -> None:
    rule, attempt = ATTACKS[attack]
    said = attempt(world)
    assert rule in (rules(said) | ({"PodSecurity"} if "violates PodSecurity" in said else set())), said


def test_all_violations_come_in_one_answer(world: World) -> None:
    pod = {"hostNetwork": True, "hostPID": True, "containers": [{"name": "c", "image": "docker.evil.org/x"}]}
    refused = deploy(world, pod)
    assert rules(refused) >= {"MA-PSS-002", "MA-PSS-005", "MA-PSS-006", "MA-IMG-001", "MA-IMG-002", "MA-SAT-001"}
    assert "Why:" in refused
    assert "Fix:" in refused


RAW: dict[str, tuple[bytes, int]] = {
    "invalid UTF-8": (b'{"kind": "MicroApp", "metadata": {"name": "\xff\xfe"}}', 400),
    "deeply nested JSON": (b'{"spec": {"description": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", 400),
    "three megabytes and more": (b'{"spec": {"description": "' + b"x" * 3_500_000 + b'"}}', 413),
    "no JSON at all": (b"kind: MicroApp", 400),
}


@pytest.mark.parametrize("attack", RAW)
def test_what_is_no_object_reaches_nobody(world: World, cluster: Cluster, attack: str) -> None:
    body, code = RAW[attack]
    api = Api(cluster)
    mallory = Account("mallory@example.com", groups=(admission.ANYONE,))
    path = f"/apis/microapps.dev/v1alpha1/namespaces/{world.tenant}/microapps"
    assert api("POST", path, body, account=mallory)[0] == code
    api.close()
    assert world.webhook.ready()


def test_an_old_api_version_is_no_way_round(world: World) -> None:
    for version in ("apps/v1beta1", "apps/v1beta2", "extensions/v1beta1"):
        assert "no matches for kind" in world.create("Deployment", version, spec=SELECTOR)


def test_what_is_fine_is_let_in(world: World) -> None:
    assert world.apply_app("fine") == ""
    world.kubectl("wait", "--for=condition=Ready", "mapp/fine", "-n", world.tenant, "--timeout=60s")
    assert world.attempt("delete", "mapp", "fine", "-n", world.tenant) == ""


def test_production_is_changed_by_gitops(world: World) -> None:
    change = {"spec": {"description": "changed through Git"}}
    assert world.patch("mapp", world.app, change, "-n", world.tenant, user=GITOPS) == ""


def test_a_huge_object_gets_an_answer(world: World) -> None:
    env = [{"name": f"V{i}", "value": "x" * 100_000} for i in range(25)]
    said = deploy(world, {**POD_SPEC, "hostPID": True, "containers": [{**POD_SPEC["containers"][0], "env": env}]})
    assert "MA-PSS-002" in said or "the policies gave no answer" in said


def test_a_dry_run_is_judged_too(world: World) -> None:
    said = world.attempt("label", "namespace", world.home, "microapps.dev/app-uid-", "--dry-run=server")
    assert rules(said) == {"MA-GRD-003"}


@contextmanager
def _unwatched(world: World, kubectl: Kubectl) -> Iterator[str]:
    """A namespace labelled as an app's that no operator restores and no Pod Security label protects."""
    name = f"orphan-{uuid.uuid4().hex[:6]}"
    labels = {"microapps.dev/app-uid": "orphan"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    assert world.attempt("create", "-f", "-", group=EMERGENCY, **namespace) == ""
    try:
        kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
        yield name
    finally:
        kubectl("delete", "namespace", name, "--timeout=60s")


def test_floor_holds_with_every_webhook_dead(world: World, kubectl: Kubectl) -> None:
    world.webhook.stop(signal.SIGKILL)
    try:
        assert rules(world.create("Pod", spec=POD_SPEC)) == {"MA-GRD-001"}
        assert rules(world.attempt("label", "namespace", world.home, "microapps.dev/app-uid-")) == {"MA-GRD-003"}
        assert rules(world.patch("mapp", world.app, STATUS, "-n", world.tenant, "--subresource=status")) == {
            "MA-GRD-002"
        }
        closed = world.create("ConfigMap", group=EMERGENCY, data={"a": "b"})
        assert "failed calling webhook" in closed
        for namespace in ("default", "kube-system", world.tenant):
            made = world.attempt("create", "configmap", f"c{uuid.uuid4().hex[:6]}", "-n", namespace)
            assert made == "", namespace
        kubectl("delete", "validatingwebhookconfiguration", admission.CONFIGURATION)
        with _unwatched(world, kubectl) as namespace:
            for rule, spec in WORST:
                pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": namespace}}
                said = world.attempt("create", "-f", "-", group=EMERGENCY, **pod, spec=spec)
                assert rules(said) == {rule}, said
    finally:
        world.webhook.start()
        world.register()
        kubectl("wait", "--for=condition=Ready", f"mapp/{world.app}", "-n", world.tenant, "--timeout=60s")
