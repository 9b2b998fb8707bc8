"""The API server reaches a webhook that runs in the cluster by its Service, on the other node."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from hack.kubectl import KubectlError
from hack.lab.nodelab import NodeLab
from tests.support.eventually import eventually
from tests.support.pods import Pods

PORT = 8443


def serve_webhook(pods: Pods, node: str, certificate: trustme.LeafCert) -> None:
    """agnhost's webhook, whose /always-deny says what it is called; ready when it accepts connections."""
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems).decode()
    pair = {"tls.crt": chain, "tls.key": certificate.private_key_pem.bytes().decode()}
    metadata = {"name": "hook"}
    pods.apply(
        {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "stringData": pair}
    )
    pod = pods.manifest("hook", node=node)
    (container,) = pod["spec"]["containers"]
    files = ("--tls-cert-file=/tls/tls.crt", "--tls-private-key-file=/tls/tls.key")
    container["args"] = ["webhook", f"--port={PORT}", *files]
    container["readinessProbe"] = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    container["volumeMounts"] = [{"name": "tls", "mountPath": "/tls", "readOnly": True}]
    pod["spec"]["volumes"] = [{"name": "tls", "secret": {"secretName": "hook"}}]
    pods.apply(pod)
    pods.kubectl("wait", "-n", pods.namespace, "--for=condition=Ready", "pod/hook", "--timeout=60s")
    spec = {"selector": {"app": "hook"}, "ports": [{"port": 443, "targetPort": PORT}]}
    pods.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def configuration(pods: Pods, authority: trustme.CA) -> dict[str, Any]:
    """Ask it about every ConfigMap of the namespace, and refuse those it isn't asked about."""
    service = {"name": "hook", "namespace": pods.namespace, "path": "/always-deny"}
    bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": pods.namespace},
        "webhooks": [
            {
                "name": "hook.example.com",
                "clientConfig": {"service": service, "caBundle": bundle},
                "rules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pods.namespace}},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "failurePolicy": "Fail",
                "timeoutSeconds": 5,
            }
        ],
    }


@pytest.fixture
def no_webhook_left(pods: Pods) -> Iterator[None]:
    yield
    pods.kubectl("delete", "validatingwebhookconfiguration", pods.namespace, "--ignore-not-found")


@pytest.mark.usefixtures("no_webhook_left")
def test_a_webhook_in_the_cluster_decides(pods: Pods, lab: NodeLab) -> None:
    authority = trustme.CA()
    serve_webhook(pods, lab.nodes[1].name, authority.issue_cert(f"hook.{pods.namespace}.svc"))
    pods.apply(configuration(pods, authority))

    def refusal() -> str:
        try:
            pods.kubectl("create", "configmap", "asked", "-n", pods.namespace, "--dry-run=server")
        except KubectlError as error:
            return str(error)
        return ""

    eventually(lambda: "this webhook denies all requests" in refusal())
