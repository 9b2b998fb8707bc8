"""``ports.ProbeGround`` on the API server."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import aiohttp
import orjson

from microapp_operator.adapters.kubernetes.client import APPLY, Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import CONFIG_MAP, NODE, POD
from microapp_operator.constants import FIELD_MANAGER
from microapp_operator.decide.isolation import Isolation
from microapp_operator.desired.probe import CHECK, LABEL_PROBE, TARGET, TargetPod
from microapp_operator.errors import Gone, OperatorError, Transient
from microapp_operator.model.common import Manifest
from microapp_operator.reasons import Reason

RECORD = "microapp-isolation"
"""ConfigMap with the last verdict."""
_KEEPS_AWAY = ("NoSchedule", "NoExecute")
_ENDED = ("Succeeded", "Failed")


class KubernetesProbeGround:
    """Pods and the record in ``namespace``."""

    def __init__(self, client: KubernetesClient, namespace: str) -> None:
        self._client, self._namespace = client, namespace

    async def nodes(self) -> Sequence[str]:
        """Names of the nodes that are ready, not cordoned, and without a taint that apps' pods don't tolerate."""
        items = (await self._client.read(Call("GET", NODE.collection(), NODE.plural)))["items"]
        return sorted(node["metadata"]["name"] for node in items if _takes_pods(node))

    async def targets(self) -> Sequence[TargetPod]:
        """The target pods that are ready, with one address of each family."""
        return [
            TargetPod(pod["spec"]["nodeName"], tuple(ip["ip"] for ip in pod["status"].get("podIPs", ())))
            for pod in await self._list(TARGET)
            if _condition(pod, "Ready") == "True"
        ]

    async def run(self, pod: Manifest, *, within: float) -> str:
        """Create, wait, delete; Transient when it hasn't ended ``within`` seconds, with what keeps it."""
        created = await self._client.write(Call("POST", POD.collection(self._namespace), POD.plural, body=pod))
        name = created["metadata"]["name"]
        last = created
        try:
            async with asyncio.timeout(within):
                while last["status"].get("phase") not in _ENDED:
                    last = await self._next(name, last)
        except TimeoutError as error:
            raise Transient(f"pod {name} has not ended after {within:.0f} s: {_what_keeps(last)}") from error
        finally:
            await self._delete(name)
        return _message(last)

    async def sweep(self) -> None:
        """Delete all checks that are there."""
        for pod in await self._list(CHECK):
            await self._delete(pod["metadata"]["name"])

    async def recall(self) -> Isolation | None:
        """The verdict that was recorded last; None when there is none, or none that this version knows."""
        try:
            found = await self._client.read(Call("GET", self._record_path(), CONFIG_MAP.plural))
        except Gone:
            return None
        data = found.get("data") or {}
        try:
            return Isolation(Reason(data["reason"]), data["message"])
        except (KeyError, ValueError):
            return None

    async def record(self, verdict: Isolation) -> None:
        """Record ``verdict`` in a ConfigMap."""
        body = {
            "apiVersion": CONFIG_MAP.api_version,
            "kind": CONFIG_MAP.kind,
            "metadata": {"name": RECORD, "namespace": self._namespace},
            "data": {"reason": verdict.reason, "message": verdict.message},
        }
        query = (("fieldManager", FIELD_MANAGER), ("force", "true"))
        await self._client.write(Call("PATCH", self._record_path(), CONFIG_MAP.plural, query, body, APPLY))

    def _record_path(self) -> str:
        return f"{CONFIG_MAP.collection(self._namespace)}/{RECORD}"

    async def _next(self, name: str, last: Manifest) -> Manifest:
        """The pod's next version; Gone when somebody deleted it."""
        query = (
            ("watch", "true"),
            ("fieldSelector", f"metadata.name={name}"),
            ("resourceVersion", last["metadata"]["resourceVersion"]),
            ("timeoutSeconds", "60"),
        )
        try:
            response = await self._client.stream(
                Call("GET", POD.collection(self._namespace), POD.plural, query), total=90
            )
            async with response:
                line = await response.content.readline()
        except (aiohttp.ClientError, OSError) as error:
            raise Transient(f"watch of pod {name}: {type(error).__name__} {error}") from error
        if not line:
            return last
        event = orjson.loads(line)
        if event["type"] in ("DELETED", "ERROR"):
            raise Gone(f"pod {name}: {event['object'].get('message', 'deleted by someone')}")
        found: Manifest = event["object"]
        return found

    async def _list(self, role: str) -> list[Manifest]:
        query = (("labelSelector", f"{LABEL_PROBE}={role}"),)
        answer = await self._client.read(Call("GET", POD.collection(self._namespace), POD.plural, query))
        items: list[Manifest] = answer["items"]
        return items

    async def _delete(self, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
        path = f"{POD.collection(self._namespace)}/{name}"
        with suppress(OperatorError):  # what stays is swept by the next process, and ends by its own deadline
            await self._client.write(Call("DELETE", path, POD.plural, body=body))


def _takes_pods(node: Manifest) -> bool:
    spec = node.get("spec", {})
    tainted = any(t["effect"] in _KEEPS_AWAY for t in spec.get("taints") or ())
    return not spec.get("unschedulable") and not tainted and _condition(node, "Ready") == "True"


def _condition(item: Manifest, kind: str) -> str:
    conditions = item.get("status", {}).get("conditions") or ()
    return next((str(c["status"]) for c in conditions if c["type"] == kind), "")


def _container(pod: Manifest) -> Manifest:
    statuses: list[Manifest] = pod["status"].get("containerStatuses") or [{}]
    return statuses[0]


def _message(pod: Manifest) -> str:
    return str(_container(pod).get("state", {}).get("terminated", {}).get("message", ""))


def _what_keeps(pod: Manifest) -> str:
    """Why it doesn't run, in the cluster's own words."""
    waiting = _container(pod).get("state", {}).get("waiting", {})
    if waiting.get("reason"):
        return f"{waiting['reason']} {waiting.get('message', '')}".strip()
    for condition in pod["status"].get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', '')} {condition.get('message', '')}".strip()
    return f"phase {pod['status'].get('phase', 'unknown')}"
