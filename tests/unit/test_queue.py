"""The queue's promises: once, never twice at a time, edits first, backoff, drain."""

import asyncio

from microapp_operator.reconcile.queue import Key, Priority, WorkQueue

A, B, C = ("ns", "a"), ("ns", "b"), ("ns", "c")


async def take(queue: WorkQueue) -> Key | None:
    return await asyncio.wait_for(queue.get(), 2)


async def test_a_key_added_twice_is_handed_out_once() -> None:
    queue = WorkQueue()
    queue.add(A)
    queue.add(A)
    assert await take(queue) == A
    assert len(queue) == 0


async def test_edits_overtake_the_initial_list() -> None:
    queue = WorkQueue()
    queue.add(A, Priority.INITIAL)
    queue.add(B, Priority.INITIAL)
    queue.add(C, Priority.EDIT)
    queue.add(B, Priority.EDIT)
    assert [await take(queue) for _ in range(3)] == [C, B, A]
    assert len(queue) == 0


async def test_a_running_key_is_not_handed_out_again_until_done() -> None:
    queue = WorkQueue()
    queue.add(A)
    await take(queue)
    queue.add(A)
    queue.add(B)
    assert await take(queue) == B
    queue.done(A)
    assert await take(queue) == A


async def test_backoff_doubles_up_to_its_limit_and_starts_anew_after_success() -> None:
    queue = WorkQueue(base=0.01, limit=0.04)
    assert [queue.retry(A) for _ in range(4)] == [0.01, 0.02, 0.04, 0.04]
    assert queue.failures(A) == 4
    queue.forget(A)
    assert queue.retry(A) == 0.01
    assert queue.retry(B, at_least=0.5) == 0.5


async def test_of_two_delays_the_earlier_counts() -> None:
    queue = WorkQueue()
    queue.add_after(A, 60)
    queue.add_after(A, 0.01)
    queue.add_after(A, 60)
    assert await take(queue) == A


async def test_a_dropped_key_does_not_come_back() -> None:
    queue = WorkQueue()
    queue.add_after(A, 0.01)
    queue.drop(A)
    queue.add_after(B, 0.02)
    assert await take(queue) == B


async def test_close_waits_for_what_runs_and_hands_out_nothing_more() -> None:
    queue = WorkQueue()
    queue.add(A)
    queue.add(B)
    assert await take(queue) == A
    closing = asyncio.create_task(queue.close())
    assert await take(queue) is None
    assert not closing.done()
    queue.done(A)
    await asyncio.wait_for(closing, 2)
    queue.add(C)
    assert await take(queue) is None


async def test_a_waiting_worker_wakes_up() -> None:
    queue = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(A)
    assert await asyncio.wait_for(waiting, 2) == A
