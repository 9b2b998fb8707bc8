"""What is asked: a pod of three containers that breaks no rule, one that breaks all ten, and reviews of both."""

import json
import uuid
from typing import Any

from hack.kubectl import Kubectl
from microapp_operator.constants import (
    LABEL_APP,
    LABEL_APP_UID,
    LABEL_CLASSIFICATION,
    LABEL_MANAGED_BY,
    LABEL_PROFILE,
    LABEL_STAGE,
    LABEL_TENANT,
    LABEL_TIER,
)

REGISTRY = "registry.example.com/"
SETTINGS = {"registries": [REGISTRY]}
BASELINE = "bench-baseline"
"""A namespace like the governed ones, but for the one label that the webhook selects by."""
_LABELS = {
    LABEL_TENANT: "bench",
    LABEL_APP: "bench",
    LABEL_TIER: "medium",
    LABEL_STAGE: "production",
    LABEL_CLASSIFICATION: "internal",
    LABEL_PROFILE: "container",
}
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_WORST = {
    "allowPrivilegeEscalation": True,
    "capabilities": {"add": ["SYS_ADMIN", "NET_RAW"]},
    "privileged": True,
    "runAsNonRoot": False,
    "seccompProfile": {"type": "Unconfined"},
}


def namespace_manifest(name: str, *, governed: bool) -> dict[str, Any]:
    """An app's namespace in production; not ``governed``: the same without the label of the selector."""
    labels = {**_LABELS, LABEL_APP_UID: "bench"} if governed else {**_LABELS, "bench.example.com/app-uid": "bench"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod_manifest(namespace: str, *, compliant: bool) -> dict[str, Any]:
    """A pod of three containers."""
    containers = [_container(name, compliant=compliant) for name in ("web", "worker", "cache")]
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": containers,
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }
    if not compliant:
        spec |= {"hostNetwork": True, "hostPID": True}
        spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    labels = {"app.kubernetes.io/name": "bench", LABEL_MANAGED_BY: "microapp-operator"}
    metadata = {"name": "bench-7d9c5b8f6-x2x9k", "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def build_review(pod: dict[str, Any], namespace: str) -> bytes:
    """The AdmissionReview that the API server would send for the creation of ``pod`` (defaulted) in ``namespace``."""
    request = {
        "uid": str(uuid.uuid4()),
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
        "requestResource": {"group": "", "version": "v1", "resource": "pods"},
        "name": pod["metadata"]["name"],
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": {"username": "microapp-lab:admin", "groups": ["system:masters", "system:authenticated"]},
        "object": {**pod, "metadata": {**pod["metadata"], "namespace": namespace}},
        "oldObject": None,
        "dryRun": True,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "dryRun": ["All"]},
    }
    review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
    return json.dumps(review, separators=(",", ":")).encode()


def defaulted(kubectl: Kubectl, *, compliant: bool) -> dict[str, Any]:
    """The pod as the API server hands it to webhooks, managed fields included."""
    flags = ("--dry-run=server", "-o", "json", "--show-managed-fields", "-f", "-")
    stdin = json.dumps(pod_manifest(BASELINE, compliant=compliant))
    pod: dict[str, Any] = json.loads(kubectl("create", *flags, stdin=stdin))
    return pod


def _container(name: str, *, compliant: bool) -> dict[str, Any]:
    image = f"{REGISTRY}bench/{name}@sha256:{'b' * 64}" if compliant else f"docker.io/bench/{name}:latest"
    return {
        "name": name,
        "image": image,
        "env": [{"name": f"SETTING_{number}", "value": f"value {number}"} for number in range(3)],
        "ports": [{"name": "http", "containerPort": {"web": 8080, "worker": 8081, "cache": 8082}[name]}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "100m", "memory": "128Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
        "securityContext": _RESTRICTED if compliant else _WORST,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
