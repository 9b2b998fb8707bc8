"""Pods of apps, as far as the gateway is concerned: in a labelled namespace, with an address of this machine."""

import itertools
import json
import os
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from hack.kubectl import Kubectl

from tests.support.eventually import eventually
from tests.support.gateway import Gateway
from tests.support.otlp import Receiver, value

SEED: Final = {
    "timestamp": "2026-01-18T14:32:05Z",
    "app_id": "expense-helper-v2",
    "tenant_id": "finance",
    "user_id": "alice@example.com",
    "action": "expense_submit",
    "resource": "db.expenses",
    "outcome": "success",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}
"""A record as auditors want it."""
_NUMBERS: Final = itertools.count(1)


def fresh_address() -> str:
    """One of 127.0.0.0/8 that no other pod has."""
    number = next(_NUMBERS)
    return f"127.{64 + os.getpid() % 64}.{number // 200 + 1}.{number % 200 + 2}"


@dataclass(frozen=True)
class Pod:
    """One that runs, seen from outside."""

    name: str
    namespace: str
    uid: str
    address: str


@dataclass
class AppPods:
    """What a test makes of them; gone afterwards."""

    kubectl: Kubectl
    namespaces: list[str] = field(default_factory=list)

    def namespace(self, app: str, tenant: str, *, tier: str = "low", days: str = "30") -> str:
        """A namespace as the operator makes them; returns its name."""
        name = f"log-{uuid.uuid4().hex[:8]}"
        labels = {
            "app": app,
            "tenant": tenant,
            "tier": tier,
            "classification": "internal",
            "log-retention-days": days,
        }
        self._apply("Namespace", {"name": name, "labels": {f"microapps.dev/{k}": v for k, v in labels.items()}})
        self.namespaces.append(name)
        return name

    def pod(self, namespace: str, address: str = "", labels: dict[str, str] | None = None) -> Pod:
        """A pod of the app there, running at an address."""
        address, name = address or fresh_address(), f"pod-{uuid.uuid4().hex[:8]}"
        labels = {"microapps.dev/app": "any"} if labels is None else labels
        container = {"name": "app", "image": "example.com/app:1"}
        spec = {"containers": [container], "automountServiceAccountToken": False}
        self._apply("Pod", {"name": name, "namespace": namespace, "labels": labels}, spec)
        self.kubectl("wait", "-n", namespace, "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        status = json.dumps({"status": {"podIP": address, "podIPs": [{"ip": address}]}})
        self.kubectl("patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", status)
        return Pod(
            name,
            namespace,
            self.kubectl("get", "pod", name, "-n", namespace, "-o", "jsonpath={.metadata.uid}"),
            address,
        )

    def delete(self, pod: Pod) -> None:
        """It is gone when this returns."""
        self.kubectl("delete", "pod", pod.name, "-n", pod.namespace, "--wait=true")

    def close(self) -> None:
        """All of it."""
        for name in self.namespaces:
            self.kubectl("delete", "namespace", name, "--wait=false")

    def _apply(self, kind: str, metadata: dict[str, Any], spec: dict[str, Any] | None = None) -> None:
        manifest = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **({"spec": spec} if spec else {})}
        self.kubectl("create", "-f", "-", stdin=json.dumps(manifest))


def request(pod: Pod | None, *records: dict[str, Any], **resource: str) -> dict[str, Any]:
    """An ExportLogsServiceRequest of records that came by the sidecar of ``pod``. resource: further attributes."""
    known = {"k8s.pod.uid": pod.uid, **resource} if pod else resource
    attributes = [{"key": key, "value": {"stringValue": text}} for key, text in known.items()]
    return {
        "resourceLogs": [
            {"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": list(records)}]},
        ]
    }


def record(body: Any, uid: str = "", **attributes: Any) -> dict[str, Any]:
    """One as a launcher sends it."""
    known = {"log.record.uid": uid or uuid.uuid4().hex, **attributes}
    return {
        "observedTimeUnixNano": str(1_768_748_400 * 10**9),
        "body": any_value(body),
        "attributes": [{"key": key, "value": any_value(each)} for key, each in known.items()],
    }


def any_value(plain: Any) -> dict[str, Any]:
    """The AnyValue (opentelemetry-proto, common.proto) that holds ``plain``."""
    if isinstance(plain, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": any_value(each)} for key, each in plain.items()]}}
    if isinstance(plain, list):
        return {"arrayValue": {"values": [any_value(each) for each in plain]}}
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue"}
    return {kinds.get(type(plain), "stringValue"): str(plain) if type(plain) is int else plain}


@dataclass(frozen=True)
class Line:
    """From one pod through the gateway to what stands for a SIEM."""

    gateway: Gateway
    siem: Receiver
    pod: Pod

    def deliver(self, *records: dict[str, Any], **resource: str) -> list[dict[str, Any]]:
        """What becomes of the records, in their order; the gateway may have to hear of the pod first."""
        return self.delivered(request(self.pod, *records, **resource), len(records))

    def delivered(self, sent: dict[str, Any] | bytes, count: int) -> list[dict[str, Any]]:
        """What becomes of the records of one request, of which there are ``count``."""
        self.siem.clear()
        eventually(lambda: self.gateway.post(self.pod.address, sent), 200)
        eventually(lambda: len(self.siem.records), count)
        return list(self.siem.records)

    def bodies(self, *bodies: Any) -> list[dict[str, Any]]:
        """What becomes of records with these bodies."""
        return [value(each["body"]) for each in self.deliver(*map(record, bodies))]
