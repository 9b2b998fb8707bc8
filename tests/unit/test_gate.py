"""Writes wait their turn: bounded, the urgent first, and a cancelled waiter blocks nobody."""

import asyncio

from microapp_operator.adapters.kubernetes.gate import UrgencyGate
from microapp_operator.ports import URGENCY


async def enter(gate: UrgencyGate, urgency: int, seen: list[int], leave: asyncio.Event) -> None:
    URGENCY.set(urgency)
    async with gate:
        seen.append(urgency)
        await leave.wait()


async def test_the_most_urgent_of_those_that_wait_goes_first() -> None:
    gate, seen, leave = UrgencyGate(1), list[int](), asyncio.Event()
    tasks = [asyncio.create_task(enter(gate, urgency, seen, leave)) for urgency in (5, 20, 0, 20, 10)]
    await asyncio.sleep(0)
    assert seen == [5]
    leave.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 2)
    assert seen == [5, 0, 10, 20, 20]


async def test_no_more_than_the_limit_are_inside() -> None:
    gate, seen, leave = UrgencyGate(3), list[int](), asyncio.Event()
    tasks = [asyncio.create_task(enter(gate, 0, seen, leave)) for _ in range(7)]
    await asyncio.sleep(0)
    assert len(seen) == 3
    leave.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 2)
    assert len(seen) == 7


async def test_a_cancelled_waiter_hands_its_turn_on() -> None:
    gate, seen, leave = UrgencyGate(1), list[int](), asyncio.Event()
    tasks = [asyncio.create_task(enter(gate, urgency, seen, leave)) for urgency in (0, 1, 2)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    leave.set()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 2)
    assert seen == [0, 2]
