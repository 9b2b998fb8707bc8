"""What the nodes' last probes say about isolation in this cluster, as one verdict. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from microapp_operator.reasons import Finding, Reason

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class NodeProbe:
    """The last probe of one node. leaks: what answered and must not. unreached: what had to answer and didn't.

    failure: why there is no report, or empty.
    """

    at: datetime
    leaks: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Isolation:
    """The verdict. reason: ProbePassed, LeakDetected, ProbeInconclusive or NoProbe."""

    reason: Reason
    message: str = ""

    @property
    def leak(self) -> Finding | None:
        """The fault, when something answered that must not."""
        return Finding(self.reason, "", self.message) if self.reason is Reason.LEAK_DETECTED else None


UNPROBED = Isolation(Reason.NO_PROBE, "Nothing probes the network here.")
"""Where no probe is installed."""


NOT_YET = Isolation(Reason.PROBE_INCONCLUSIVE, "No node has been probed yet.")
"""Until the first reports are in."""


def judge_nodes(probes: Mapping[str, NodeProbe | None], now: datetime, patience: timedelta) -> Isolation:
    """The verdict over all schedulable nodes, by name; None for one that has not been probed yet.

    One leak anywhere counts: pods may be moved to that node at any time. Silence proves nothing: a report older than
    ``patience``, or one whose control failed, makes the verdict inconclusive. The message names no times, so that
    the same findings make the same status.
    """
    leaks = {n: p.leaks for n, p in probes.items() if p is not None and p.leaks}
    if leaks:
        return Isolation(Reason.LEAK_DETECTED, _told("From node", leaks, "a fresh pod reaches what it must not"))
    open_ends = {n: (_doubt(p, now, patience),) for n, p in probes.items() if _doubt(p, now, patience)}
    if open_ends or not probes:
        message = _told("Not proven on node", open_ends, "") if open_ends else "There is no node to probe."
        return Isolation(Reason.PROBE_INCONCLUSIVE, message)
    nodes = "node" if len(probes) == 1 else "nodes"
    message = f"On {len(probes)} {nodes} a fresh pod reaches what it is allowed to, and nothing else."
    return Isolation(Reason.PROBE_PASSED, message)


def _doubt(probe: NodeProbe | None, now: datetime, patience: timedelta) -> str:
    """Why ``probe`` proves nothing, or empty."""
    if probe is None:
        return "not probed yet"
    if now - probe.at > patience:
        return "the last report is too old"
    if probe.failure:
        return probe.failure
    return f"the control failed: no answer from {', '.join(probe.unreached)}" if probe.unreached else ""


def _told(head: str, by_node: Mapping[str, tuple[str, ...]], what: str) -> str:
    parts = []
    for node in sorted(by_node)[:_SHOWN]:
        named = "; ".join(sorted(set(by_node[node])))
        parts.append(f"{head} {node} {what}: {named}." if what else f"{head} {node}: {named}.")
    more = len(by_node) - _SHOWN
    return " ".join([*parts, f"And on {more} more nodes."] if more > 0 else parts)
