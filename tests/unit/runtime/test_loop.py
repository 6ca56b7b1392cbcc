"""Loops: rounds that fail do not end them, wake starts one at once."""

import asyncio

from flowmesh.runtime import Loop
from flowmesh.telemetry import Metrics


class Counting(Loop):
    """Counts its rounds; the first ones may fail."""

    interval_ms = 60_000

    def __init__(self, failures: int = 0) -> None:
        self.rounds = asyncio.Queue[int]()
        self._count = 0
        self._failures = failures

    async def run_once(self) -> int:
        self._count += 1
        await self.rounds.put(self._count)
        if self._count <= self._failures:
            raise ValueError("not yet")
        return self._count


class Quick(Counting):
    interval_ms = 1


async def run(loop: Counting, rounds: int, *, wake: bool = False) -> str:
    """Runs the loop for some rounds; returns its metrics."""
    metrics = Metrics()
    task = asyncio.create_task(loop.run(metrics))
    for expected in range(1, rounds + 1):
        assert await loop.rounds.get() == expected
        if wake:
            loop.wake()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return metrics.exposition()[0].decode()


async def test_rounds_follow_each_other() -> None:
    """A loop runs again and again at its interval."""
    text = await run(Quick(), 3)
    assert 'flowmesh_loop_rounds_total{loop="Quick",outcome="ok"}' in text


async def test_a_failed_round_is_not_the_last() -> None:
    """Failures are counted and the loop goes on."""
    text = await run(Quick(failures=2), 4)
    assert 'flowmesh_loop_rounds_total{loop="Quick",outcome="failed"} 2.0' in text


async def test_wake_starts_a_round_at_once() -> None:
    """Nobody waits a minute for what is known to be due."""
    await run(Counting(), 3, wake=True)
