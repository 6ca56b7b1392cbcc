"""Keys that wait for a worker."""

import asyncio

import pytest

from flowmesh.operator.work_queue import WorkQueue


class Clock:
    """Time that a test sets, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_queue() -> tuple[WorkQueue[str], Clock]:
    clock = Clock()
    return WorkQueue(now_s=clock, jitter=lambda: 1.0), clock


async def is_waiting(queue: WorkQueue[str]) -> bool:
    """Return whether no key is due."""
    try:
        async with asyncio.timeout(0.01):
            await queue.take()
    except TimeoutError:
        return True
    return False


async def test_a_key_is_there_once() -> None:
    """However often it was added."""
    queue, _ = a_queue()
    for key in "aab":
        queue.add(key)
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    assert await is_waiting(queue)


async def test_a_key_that_changes_during_its_work_comes_again() -> None:
    """And no second worker takes it meanwhile."""
    queue, _ = a_queue()
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a")
    assert await is_waiting(queue)
    queue.done("a")
    assert await queue.take() == "a"


@pytest.mark.parametrize(("failures", "delay_s"), [(1, 0.1), (2, 0.2), (5, 1.6), (40, 300.0)])
async def test_a_failed_key_comes_later_each_time(failures: int, delay_s: float) -> None:
    """The delay is doubled, to five minutes at most; a success ends that."""
    queue, clock = a_queue()
    queue.add("a")
    for _ in range(failures):
        clock.now += 301
        assert await queue.take() == "a"
        queue.done("a", failed=True)
    clock.now += delay_s - 0.05
    assert len(queue) == 1
    assert queue.age_s < 0
    clock.now += 0.1
    assert await queue.take() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_change_brings_a_failed_key_forward() -> None:
    """A new spec may succeed at once."""
    queue, _ = a_queue()
    queue.add("a")
    await queue.take()
    queue.done("a", failed=True)
    queue.add("a")
    assert await queue.take() == "a"
