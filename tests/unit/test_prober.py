"""The rounds of probing against a cluster that behaves badly: what it must tell, and what must not end it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from microapp_operator.decide.isolation import NOT_YET, Isolation
from microapp_operator.desired.probe import TargetPod
from microapp_operator.errors import Transient
from microapp_operator.metrics import Metrics
from microapp_operator.model import Manifest
from microapp_operator.probe.wire import Report, write_report
from microapp_operator.reasons import Reason
from microapp_operator.reconcile.prober import Prober
from microapp_operator.settings import ProbeSettings

SETTINGS = ProbeSettings("registry.example.com/operator@sha256:" + "a" * 64, "microapp-probe", interval=0)
GOOD = write_report(Report((), (), 0.5))
LEAK = write_report(Report(("the API server",), (), None))


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 6, 1, tzinfo=UTC)


@dataclass
class Ground:
    """answers: what each round's pods say, by node; the last one for ever. An exception is raised."""

    answers: list[Any]
    recorded: list[Isolation] = field(default_factory=list)
    before: Isolation | None = None
    target_pods: tuple[TargetPod, ...] = (TargetPod("a", ("10.0.0.1",)),)
    rounds: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0

    async def nodes(self) -> Sequence[str]:
        self.rounds += 1
        if self.rounds == len(self.answers) + 2:
            self.enough.set()
        if isinstance(self._current(), Exception):
            raise self._current()
        return list(self._current())

    async def targets(self) -> Sequence[TargetPod]:
        return self.target_pods

    async def run(self, pod: Manifest, *, within: float) -> str:  # noqa: ARG002
        terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        node = terms["nodeSelectorTerms"][0]["matchFields"][0]["values"][0]
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        said = self._current()[node]
        if isinstance(said, Exception):
            raise said
        return str(said)

    async def sweep(self) -> None:
        pass

    async def recall(self) -> Isolation | None:
        return self.before

    async def record(self, verdict: Isolation) -> None:
        self.recorded.append(verdict)

    def _current(self) -> Any:
        return self.answers[min(self.rounds, len(self.answers)) - 1]


async def verdicts(ground: Ground, monkeypatch: pytest.MonkeyPatch, metrics: Metrics | None = None) -> list[Isolation]:
    """What is told over the rounds that ``ground`` has answers for, and two more."""
    monkeypatch.setattr("microapp_operator.reconcile.prober._LEAST_PAUSE", 0.0)
    told: list[Isolation] = []
    prober = Prober(ground, SETTINGS, Clock(), metrics or Metrics(), told.append)
    await prober.recall()
    task = asyncio.create_task(prober.run())
    async with asyncio.timeout(10):
        await ground.enough.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return told


async def test_only_changes_are_told_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    ground = Ground([{"a": GOOD}, {"a": GOOD}, {"a": LEAK}, {"a": GOOD}])
    told = await verdicts(ground, monkeypatch)
    reasons = [v.reason for v in told]
    assert reasons == [Reason.PROBE_INCONCLUSIVE, Reason.PROBE_PASSED, Reason.LEAK_DETECTED, Reason.PROBE_PASSED]
    assert ground.recorded == told[1:]


async def test_a_restart_keeps_the_verdict_until_it_has_looked_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = Isolation(Reason.PROBE_PASSED, "On 1 node a fresh pod reaches what it is allowed to, and nothing else.")
    ground = Ground([Transient("503"), {"a": GOOD}], before=passed)
    assert await verdicts(ground, monkeypatch) == [passed]
    assert ground.recorded == []


async def test_without_a_record_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = await verdicts(Ground([Transient("503")]), monkeypatch)
    assert told[0] == NOT_YET
    assert {v.reason for v in told} == {Reason.PROBE_INCONCLUSIVE}


@pytest.mark.parametrize("bad", [Transient("503"), RuntimeError("a bug")])
async def test_a_round_that_fails_does_not_end_the_probing(monkeypatch: pytest.MonkeyPatch, bad: Exception) -> None:
    told = await verdicts(Ground([{"a": GOOD}, bad, {"a": LEAK}]), monkeypatch)
    assert told[-1].reason is Reason.LEAK_DETECTED


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Transient("pod check-x has not ended after 55 s: ImagePullBackOff"), "ImagePullBackOff"),
        ("Killed", "without a report: Killed"),
        ("", "without a report: no word"),
    ],
)
async def test_a_node_without_a_report_is_doubt_that_says_why(
    monkeypatch: pytest.MonkeyPatch, said: object, why: str
) -> None:
    told = await verdicts(Ground([{"a": GOOD, "b": said}]), monkeypatch)
    assert told[-1].reason is Reason.PROBE_INCONCLUSIVE
    assert why in told[-1].message


async def test_silence_is_no_proof_while_no_target_is_there_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    told = await verdicts(Ground([{"a": GOOD}], target_pods=()), monkeypatch)
    assert told[-1].reason is Reason.PROBE_INCONCLUSIVE
    assert "silence proves nothing" in told[-1].message


async def test_a_node_that_went_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    told = await verdicts(Ground([{"a": GOOD, "b": LEAK}, {"a": GOOD}]), monkeypatch, metrics)
    assert told[-1].reason is Reason.PROBE_PASSED
    gauge = "microapp_operator_isolation_enforced"
    assert metrics.registry.get_sample_value(gauge, {"node": "a"}) == 1
    assert metrics.registry.get_sample_value(gauge, {"node": "b"}) is None


async def test_many_nodes_are_not_probed_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ground = Ground([{f"n{i}": GOOD for i in range(50)}])
    assert (await verdicts(ground, monkeypatch))[-1].reason is Reason.PROBE_PASSED
    assert 1 < ground.most_at_once <= 8
