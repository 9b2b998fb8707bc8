"""Reads what a Deployment or Knative Service reports, and why pods don't come up. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from microapp_operator.desired.context import WorkloadKind
from microapp_operator.desired.serverless import is_stopped
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.ports import Observed
from microapp_operator.reasons import Reason
from microapp_operator.view import Workload


def judge_workload(app: MicroApp, kind: WorkloadKind, observed: Observed | None) -> Workload:
    """The state of ``app``'s workload as ``observed`` reports it."""
    if kind is WorkloadKind.DEPLOYMENT:
        status = observed.status if observed is not None else None
        return _judge_deployment(app, status or {"generation": 1})
    if is_stopped(app):
        return Workload(Reason.SUSPENDED if app.spec.suspend else Reason.SCALED_TO_ZERO, "No pod is asked for.")
    status = observed.status if observed is not None else None
    return _judge_knative(status or {"generation": 1})


def _conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {c["type"]: c for c in status.get("conditions", ())}


def _judge_deployment(app: MicroApp, status: Mapping[str, Any]) -> Workload:
    wanted = 0 if app.spec.suspend else app.spec.runtime.replicas
    conditions = _conditions(status)
    failure = conditions.get("ReplicaFailure", {})
    quota = failure.get("message", "") if "exceeded quota" in failure.get("message", "") else ""
    if quota and failure.get("status") == "True":
        return Workload(Reason.WORKLOAD_PROGRESSING, f"Pods are refused: {quota}", quota_message=quota)
    # No counts while pods come up: each new message would be a write, and a rollout is many events.
    coming = Workload(Reason.WORKLOAD_PROGRESSING, f"Not all of {wanted} replicas are up to date and available yet.")
    if status.get("observedGeneration", 0) < status["generation"]:
        return coming
    total, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    ready = status.get("availableReplicas", 0)
    if total == updated == ready == wanted:
        if app.spec.suspend:
            return Workload(Reason.SUSPENDED, "The app is suspended: no pod runs.")
        if wanted == 0:
            return Workload(Reason.SCALED_TO_ZERO, "No replica is asked for.")
        return Workload(Reason.AVAILABLE, f"{ready} of {wanted} replicas are available.")
    progressing = conditions.get("Progressing", {})
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Workload(Reason.WORKLOAD_UNAVAILABLE, f"{ready} of {wanted} replicas are available.")
    if failure.get("status") == "True":
        return Workload(Reason.WORKLOAD_PROGRESSING, f"Pods are refused: {failure.get('message', '')}")
    return coming


def _judge_knative(status: Mapping[str, Any]) -> Workload:
    if status.get("observedGeneration", 0) < status["generation"]:
        return Workload(Reason.WORKLOAD_PROGRESSING, "Knative has not seen the change yet.")
    ready = _conditions(status).get("Ready", {})
    message = f"{ready.get('reason', '')} {ready.get('message', '')}".strip()
    match ready.get("status"):
        case "True":
            return Workload(Reason.AVAILABLE, "The Knative Service is ready.")
        case "False":
            return Workload(Reason.WORKLOAD_UNAVAILABLE, message or "The Knative Service is not ready.")
        case _:
            return Workload(Reason.WORKLOAD_PROGRESSING, message or "The Knative Service is not ready yet.")


def explain_pods(pods: Sequence[Manifest]) -> str:
    """Why the first pod that isn't well isn't, in one sentence; empty when all are well."""
    for pod in sorted(pods, key=lambda p: p["metadata"]["name"]):
        why = next(_complaints(pod.get("status", {})), "")
        if why:
            return f"Pod {pod['metadata']['name']}: {why}"
    return ""


def _complaints(status: Mapping[str, Any]) -> Iterator[str]:
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            yield f"container {container['name']} {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
        ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
        if ended and ended.get("exitCode"):
            yield f"container {container['name']} ended with exit code {ended['exitCode']} ({ended.get('reason', '')})"
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"{condition.get('reason', '')}: {condition.get('message', '')}"
