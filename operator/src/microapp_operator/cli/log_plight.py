"""Why an app's records can't be read, or not all of them, and what to do about it. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from microapp_operator.desired.pod import CONTAINER
from microapp_operator.errors import OperatorError
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.model.microapp import LogSource
from microapp_operator.reasons import ConditionType

FILE: Final = "/logs/app.log"
"""Where an app of source file writes to."""
_ELSEWHERE: Final = {
    LogSource.FILE: f"appends its records to {FILE}, which a sidecar reads",
    LogSource.OTLP: "sends its records to a sidecar",
}


class Unreadable(Exception):
    """Nothing can be shown: what it is that can't be read and why, and what to do about it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def no_credentials(error: OperatorError) -> Unreadable:
    """Neither a kubeconfig nor a pod's account."""
    return Unreadable(f"{_because(error)}.", "Set KUBECONFIG to the file that kubectl uses.")


def no_app(where: str, error: OperatorError) -> Unreadable:
    """No such MicroApp, or a cluster without the kind."""
    fix = "Look at `kubectl get mapp -A`; -n takes the namespace the MicroApp is in, not that of its pods."
    return Unreadable(f"MicroApp {where}: {_because(error)}.", fix)


def app_forbidden(where: str, namespace: str, error: OperatorError) -> Unreadable:
    """The MicroApp itself may not be read."""
    fix = f"Have an admin bind ClusterRole microapps-view to you in namespace {namespace}."
    return Unreadable(f"MicroApp {where}: {_because(error)}.", fix)


def pods_forbidden(app: MicroApp, home: str, error: OperatorError) -> Unreadable:
    """Pods or their logs may not be read."""
    fix = (
        f"Members of the group {app.spec.owner.team} (spec.owner.team) may read them; for anyone else an admin binds "
        f"ClusterRole microapps-owner-production in namespace {home}."
    )
    return Unreadable(f"{_name(app)}: {_because(error)}.", fix)


def not_answered(what: str, host: str, error: OperatorError) -> Unreadable:
    """The API server is away, doesn't know the caller, or says what isn't understood."""
    fix = f"See whether `kubectl get mapp -A` works, which asks {host} with the same kubeconfig."
    return Unreadable(f"{what}: {_because(error)}.", fix)


def home_of(app: MicroApp) -> str:
    """The app's own namespace. Unreadable while it has none."""
    if app.status.namespace is None:
        raise Unreadable(f"{_name(app)} has no namespace yet, and so no pods: {_said(app)}", _look(app))
    return app.status.namespace.name


def sort_out(app: MicroApp, pods: Sequence[Manifest], *, previous: bool) -> tuple[list[str], list[str]]:
    """(names of pods that have a log, what is to be said of the others). Unreadable when none has."""
    if not pods:
        raise Unreadable(f"{_name(app)} has no pods in namespace {home_of(app)}: {_why_none(app)}", _look(app))
    silent = {str(pod["metadata"]["name"]): _silence(pod, previous=previous) for pod in pods}
    notes = [f"pod {name}: {why}." for name, why in silent.items() if why]
    if len(notes) < len(pods):
        return [name for name, why in silent.items() if not why], notes
    fix = "Leave --previous out." if previous else f"See `kubectl describe pods -n {home_of(app)}`."
    raise Unreadable(f"{_name(app)}: {' '.join(notes)}", fix)


def build_failure(pod: str, home: str, error: OperatorError) -> str:
    """What to say of a pod whose log was asked for in vain."""
    fix = f"Try again; if it lasts, look at its node (`kubectl get pod {pod} -n {home} -o wide`)."
    return f"pod {pod}: {_because(error)}. Fix: {fix}"


def build_notes(app: MicroApp, *, shown: int, more: bool) -> Iterator[str]:
    """What a reader has to know of what is shown."""
    if app.spec.logging.source in _ELSEWHERE:
        yield (
            f"{_name(app)} {_ELSEWHERE[app.spec.logging.source]} (spec.logging.source): find them where the platform "
            "forwards them to. This is what else its container wrote to standard output."
        )
    if not shown:
        yield "no record fits."
    elif more:
        yield f"these are the newest {shown}; there are more: raise --tail, or narrow it down by --since or --trace."


def _silence(pod: Manifest, *, previous: bool) -> str:
    """Why the app's container in ``pod`` has no log; empty when it has one.

    Rule: the kubelet gives that of a container which waits to be started again, as long as there is one before it.
    """
    status = pod.get("status") or {}
    found = [each for each in status.get("containerStatuses") or () if each["name"] == CONTAINER]
    container = found[0] if found else {}
    state, last = container.get("state") or {}, container.get("lastState") or {}
    if previous:
        return "" if "terminated" in last else "its container hasn't run before"
    if {"running", "terminated"} & state.keys() or "terminated" in last:
        return ""
    waiting = state.get("waiting") or {}
    return f"its container hasn't started ({waiting.get('reason') or status.get('phase') or 'Unknown'})"


def _why_none(app: MicroApp) -> str:
    if app.spec.suspend:
        return "spec.suspend is true."
    return "spec.runtime.replicas is 0." if app.spec.runtime.replicas == 0 else _said(app)


def _said(app: MicroApp) -> str:
    """What its condition Ready says."""
    ready = [c for c in app.status.conditions if c.type == ConditionType.READY]
    return f"{ready[0].reason}: {ready[0].message}" if ready else "the operator hasn't looked at it."


def _look(app: MicroApp) -> str:
    return f"See `kubectl describe mapp {app.metadata.name} -n {app.metadata.namespace}`."


def _because(error: OperatorError) -> str:
    return error.finding.message.rstrip(".")


def _name(app: MicroApp) -> str:
    return f"MicroApp {app.metadata.namespace}/{app.metadata.name}"
