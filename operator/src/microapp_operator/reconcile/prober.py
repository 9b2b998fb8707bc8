"""Probes every node at an interval with a fresh pod, and tells the engine when the verdict changes.

Long-lived pods would prove little: an enforcer that has died leaves its old rules behind, and only a new pod shows it.
Must not import adapters, kopf or any client library.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from microapp_operator.decide.isolation import NOT_YET, Isolation, NodeProbe, judge_nodes
from microapp_operator.desired.probe import TargetPod, build_probe_pod, build_targets
from microapp_operator.errors import OperatorError
from microapp_operator.metrics import Metrics
from microapp_operator.ports import Clock, ProbeGround
from microapp_operator.probe.wire import Report, read_report
from microapp_operator.settings import ProbeSettings

log = structlog.get_logger(__name__)
_AT_ONCE: Final = 8
"""Nodes probed at the same time; a cluster of a hundred takes a minute or so a round."""
_STARTING: Final = 45.0
"""Seconds a probe's pod may take to be scheduled, pulled and started."""
_USUAL_START: Final = 5.0
"""Seconds of these it takes as a rule."""
_LEAST_PAUSE: Final = 1.0
_STALE: Final = 3
"""Rounds after which a report proves nothing any more."""


@dataclass(slots=True)
class Prober:
    """The probing of one process that leads. on_verdict: is told of each verdict that differs from the one before."""

    ground: ProbeGround
    settings: ProbeSettings
    clock: Clock
    metrics: Metrics
    on_verdict: Callable[[Isolation], None]
    _probes: dict[str, NodeProbe | None] = field(default_factory=dict)
    _verdict: Isolation | None = None

    async def recall(self) -> None:
        """Take up the verdict of the process before, which holds until this one has looked for itself."""
        try:
            self._verdict = await self.ground.recall()
        except OperatorError as error:
            log.warning("verdict_not_recalled", why=str(error))
        self.on_verdict(self._verdict or NOT_YET)

    async def run(self) -> None:
        """Probe until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            begin = loop.time()
            try:
                await self._round()
            except OperatorError as error:
                log.warning("probe_round_failed", why=str(error))
            except Exception:  # a bug must not end the probing: without rounds the last verdict would stand for ever
                log.exception("probe_round_crashed")
            await self._judge()
            await asyncio.sleep(max(_LEAST_PAUSE, begin + self._period() - loop.time()))

    def _period(self) -> float:
        """From the start of a round to the next: the end of that one must come within the interval."""
        return self.settings.interval - self.settings.deadline - _USUAL_START

    async def _round(self) -> None:
        nodes, targets = await self.ground.nodes(), tuple(await self.ground.targets())
        for gone in set(self._probes) - set(nodes):
            del self._probes[gone]
            self.metrics.node_gone(gone)
        self._probes |= {node: self._probes.get(node) for node in nodes}
        await self.ground.sweep()
        gate = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._probe(node, targets, gate) for node in nodes))

    async def _probe(self, node: str, targets: Sequence[TargetPod], gate: asyncio.Semaphore) -> None:
        async with gate:
            self._probes[node] = probe = await self._look(node, tuple(targets))
        outcome = "leak" if probe.leaks else "inconclusive" if probe.failure or probe.unreached else "passed"
        self.metrics.probed(node, outcome)
        if outcome != "passed":
            log.warning("probe", node=node, leaks=probe.leaks, unreached=probe.unreached, failure=probe.failure)
        if probe.leaks:
            await self._judge()  # told at once; everything else when the round is over

    async def _look(self, node: str, pods: tuple[TargetPod, ...]) -> NodeProbe:
        targets = build_targets(node, pods, self.settings.outside)
        pod = build_probe_pod(node, targets, self.settings)
        try:
            said = await self.ground.run(pod, within=_STARTING + self.settings.deadline)
        except OperatorError as error:
            return NodeProbe(self.clock.now(), failure=error.finding.message)
        report = read_report(said)
        if report is None:
            return NodeProbe(self.clock.now(), failure=f"the probe ended without a report: {said[:200] or 'no word'}")
        return self._reported(report, proves=any(t.open for t in targets))

    def _reported(self, report: Report, *, proves: bool) -> NodeProbe:
        if report.confined_after is not None:
            self.metrics.confined(report.confined_after)
        failure = "" if proves else "no target pod is ready, so silence proves nothing"
        return NodeProbe(self.clock.now(), report.leaks, report.unreached, failure)

    async def _judge(self) -> None:
        if not self._probes and self._verdict is not None:
            return  # nothing could be learned yet; what was recalled still holds
        patience = timedelta(seconds=_STALE * self.settings.interval + _STARTING + self.settings.deadline)
        verdict = judge_nodes(self._probes, self.clock.now(), patience)
        if verdict == self._verdict:
            return
        log.info("isolation", verdict=verdict.reason, message=verdict.message)
        self._verdict = verdict
        self.on_verdict(verdict)
        try:
            await self.ground.record(verdict)
        except OperatorError as error:
            log.warning("verdict_not_recorded", why=str(error))
