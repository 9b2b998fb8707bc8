"""Pods of Kubernetes' test image in one namespace: started where a test says, asked what they can reach."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hack.kubectl import Kubectl, KubectlError

PORT = 8080
"""What every pod here answers on, by TCP (HTTP) and UDP."""


@dataclass(frozen=True)
class Pods:
    """Acts in ``namespace``; ``image`` is agnhost."""

    kubectl: Kubectl
    namespace: str
    image: str

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Create or change any object of the namespace."""
        self.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=json.dumps(manifest))

    def serve(self, *names: str, node: str | None = None) -> None:
        """Start a server of each name, labelled with it; returns when they are ready."""
        for name in names:
            self.apply(self.manifest(name, node=node))
        everyone = [f"pod/{name}" for name in names]
        self.kubectl("wait", "-n", self.namespace, "--for=condition=Ready", *everyone, "--timeout=60s")

    def expose(self, name: str) -> str:
        """Make a Service of the same name in front of a server; returns its ClusterIP."""
        ports = [{"name": protocol.lower(), "port": PORT, "protocol": protocol} for protocol in ("TCP", "UDP")]
        spec = {"selector": {"app": name}, "ports": ports}
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
        return self.kubectl("get", "service", name, "-n", self.namespace, "-o", "jsonpath={.spec.clusterIP}")

    def manifest(self, name: str, *, node: str | None = None) -> dict[str, Any]:
        """The pod ``serve`` makes: hardened as apps are."""
        container = {
            "name": "agnhost",
            "image": self.image,
            "args": ["netexec", f"--http-port={PORT}", f"--udp-port={PORT}"],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 1},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
        spec = {
            "containers": [container],
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            **({"nodeName": node} if node else {}),
        }
        metadata = {"name": name, "labels": {"app": name}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    def get(self, name: str) -> dict[str, Any]:
        """The pod as it is."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "pod", name, "-n", self.namespace, "-o", "json"))
        return found

    def address(self, name: str) -> str:
        """Its IP."""
        return str(self.get(name)["status"]["podIP"])

    def execute(self, name: str, *command: str) -> str:
        """What ``command`` printed in the pod; KubectlError when it fails."""
        return self.kubectl("exec", "-n", self.namespace, name, "--", *command)

    def reaches(self, name: str, host: str, port: int = PORT, *, protocol: str = "tcp") -> bool:
        """Whether a connection (udp: an answer) comes about within two seconds; KubectlError when it wasn't tried."""
        command = ("/agnhost", "connect", "--timeout=2s", f"--protocol={protocol}", f"{host}:{port}")
        try:
            self.execute(name, *command)
        except KubectlError as error:
            if not any(word in str(error) for word in ("TIMEOUT", "REFUSED")):
                raise
            return False
        return True

    def dial(self, name: str, target: str, request: str) -> list[str]:
        """What ``target`` answers to the HTTP request of ``name``: ``clientip``, ``hostname``. Empty without one."""
        query = f"host={target}&port={PORT}&protocol=http&request={request}&tries=1"
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}:{PORT}/proxy/dial?{query}"
        answers: list[str] = json.loads(self.kubectl("get", "--raw", path)).get("responses", [])
        return answers
