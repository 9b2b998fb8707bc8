"""Policies that don't behave, as the API server meets them: always a refusal, and never at the others' expense."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.bundles import ENDLESS, GREEDY, compiled
from tests.support.reviews import (
    OneApp,
    Reply,
    body_of,
    read_reply,
    request_of,
    small_cluster,
    small_court,
    violating_pod,
)

from microapp_operator.adapters.rego import Limits, RegoEngine, packaged_bundle
from microapp_operator.admission.judge import Judge
from microapp_operator.admission.metrics import WebhookMetrics
from microapp_operator.errors import Transient


@dataclass
class Court:
    """A judge, and what it reported."""

    engine: RegoEngine
    judge: Judge
    outcomes: list[str] = field(default_factory=list)

    async def ask(self, request: dict[str, Any]) -> Reply:
        answer = await self.judge.answer(body_of(request))
        assert answer.status == 200
        return read_reply(answer.body, request["uid"])


@asynccontextmanager
async def court(bundle: bytes, limits: Limits) -> AsyncIterator[Court]:
    engine = RegoEngine(bundle, limits)
    sitting = Court(engine, small_court(engine, small_cluster()))
    sitting.judge.on_review = lambda _kind, outcome, _seconds: sitting.outcomes.append(outcome)
    yield sitting
    sitting.judge.close()
    engine.close()


def pod(**spec: Any) -> dict[str, Any]:
    request = request_of("pod")
    request["object"]["spec"] |= spec
    return request


def endless() -> dict[str, Any]:
    return pod(numbers=list(range(300)))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compiled(tmp_path_factory.mktemp("slow"), ENDLESS)


@pytest.fixture(scope="module")
def greedy(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compiled(tmp_path_factory.mktemp("greedy"), GREEDY)


def refused(reply: Reply) -> str:
    """Why, when it was for want of an answer."""
    assert (reply.allowed, reply.code, reply.rules) == (False, 500, frozenset())
    return reply.message


async def test_a_policy_that_never_ends_is_a_refusal(slow: bytes) -> None:
    async with court(slow, Limits(seconds=0.2)) as sitting:
        assert "no answer within 0.2 s" in refused(await sitting.ask(endless()))
        assert sitting.outcomes == ["error"]
        assert (await sitting.ask(pod())).allowed


async def test_others_are_answered_while_one_never_ends(slow: bytes) -> None:
    async with court(slow, Limits(seconds=3)) as sitting:
        never = asyncio.create_task(sitting.ask(endless()))
        await asyncio.sleep(0)  # it goes first
        for _ in range(10):
            assert (await sitting.ask(pod())).allowed
            assert (await sitting.ask(violating_pod())).code == 403
        assert not never.done()
        refused(await never)
        assert sitting.outcomes == ["allowed", "denied"] * 10 + ["error"]


async def test_as_many_endless_ones_as_threads_delay_the_others_and_dont_refuse_them(slow: bytes) -> None:
    async with court(slow, Limits(seconds=0.3)) as sitting:
        *never, fine, wrong = await asyncio.gather(
            *map(sitting.ask, [endless()] * 4), sitting.ask(pod()), sitting.ask(violating_pod())
        )
        for each in never:
            refused(each)
        assert fine.allowed
        assert wrong.rules == {"MA-TST-001"}


async def test_a_policy_that_eats_memory_is_a_refusal(greedy: bytes) -> None:
    async with court(greedy, Limits(seconds=30, memory=8 * 2**20)) as sitting:
        for _ in range(5):
            refused(await sitting.ask(pod(greedy=True)))
            assert (await sitting.ask(pod())).allowed
            assert (await sitting.ask(violating_pod())).code == 403


async def test_an_object_beyond_the_memory_is_a_refusal(greedy: bytes) -> None:
    async with court(greedy, Limits(memory=2 * 2**20)) as sitting:
        refused(await sitting.ask(pod(much="x" * 4 * 2**20)))
        assert (await sitting.ask(pod())).allowed


async def test_a_new_bundle_ends_what_the_old_one_never_would(slow: bytes, greedy: bytes) -> None:
    async with court(slow, Limits(seconds=0.3)) as sitting:
        never = [asyncio.create_task(sitting.ask(endless())) for _ in range(2)]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(sitting.engine.reload, greedy)
        for each in never:
            refused(await each)
        reply = await sitting.ask(violating_pod())
        assert (reply.code, reply.bundle) == (403, sitting.engine.digest)


async def test_a_namespace_that_cannot_be_read_is_a_refusal(slow: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: Any) -> None:
        raise Transient("connection refused")

    monkeypatch.setattr(OneApp, "read", unreachable)
    request = pod()
    async with court(slow, Limits()) as sitting:
        assert (await sitting.ask(request)).allowed
        why = refused(await sitting.ask({**request, "namespace": "new"}))
    assert "connection refused" in why
    assert "Nothing was changed" in why


@pytest.mark.parametrize("depth", [200, 300, 1000])
async def test_an_object_too_deep_is_a_refusal_or_judged(slow: bytes, depth: int) -> None:
    request = violating_pod()
    request["object"]["spec"]["deep"] = "HERE"
    body = body_of(request).replace(b'"HERE"', b'{"a":' * depth + b"1" + b"}" * depth)
    async with court(slow, Limits()) as sitting:
        answer = await sitting.judge.answer(body)
        reply = read_reply(answer.body, request["uid"])
        assert (reply.allowed, reply.code) == (False, 403 if depth == 200 else 500)
        assert (await sitting.ask(pod())).allowed


async def test_every_violation_is_counted_under_its_rule() -> None:
    metrics = WebhookMetrics()
    async with court(packaged_bundle(), Limits()) as sitting:
        sitting.judge.on_denial = metrics.denied
        await sitting.ask(pod(hostNetwork=True, hostPID=True, hostIPC=True))
        await sitting.ask(violating_pod())
    assert metrics.registry.get_sample_value("microapp_webhook_denials_total", {"rule": "MA-PSS-002"}) == 4
