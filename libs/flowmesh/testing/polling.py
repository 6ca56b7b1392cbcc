"""Bounded waits for observable conditions, and the speed of the machine.

The only module of the tests that sleeps, always between two checks or two attempts.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

POLL_S = 0.02
TURNS = 1_000_000
TURNS_S = 0.025
"""The duration of that many turns of a loop on the reference machine."""
SAMPLE_TURNS = 40_000
SAMPLE_EVERY_S = 0.05


def slowness() -> float:
    """Return how much slower this machine is than the reference machine now, at least 1."""
    return max(1.0, 1 / max(_speed(TURNS) for _ in range(3)))


@asynccontextmanager
async def speeds() -> AsyncIterator[list[float]]:
    """Sample the speed of a core during the block, relative to the reference machine.

    Other processes of this machine do not affect it, but its host does. It costs 2 % of a core.
    """
    seen: list[float] = []

    async def sample() -> None:
        while True:
            seen.append(_speed(SAMPLE_TURNS))
            await pause(SAMPLE_EVERY_S)

    sampling = asyncio.create_task(sample())
    try:
        yield seen
    finally:
        sampling.cancel()


def target_s(job: Callable[[], object], tries: int) -> float:
    """Return the CPU time of a job on the reference machine: the best of some runs.

    Each run is divided by the slowness measured right before it, as that changes by the second.
    """
    spent = []
    for _ in range(tries):
        factor = slowness()
        began = time.thread_time()
        job()
        spent.append((time.thread_time() - began) / factor)
    return min(spent)


def _speed(turns: int) -> float:
    began = time.thread_time()
    total = 0
    for turn in range(turns):
        total += turn & 7
    return turns / TURNS * TURNS_S / (time.thread_time() - began)


def allowed_s(target_s: float) -> float:
    """Stretch a target by the current load per core."""
    return target_s * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


async def pause(seconds: float) -> None:
    """Sleep before another attempt, as a client does."""
    await asyncio.sleep(seconds)


async def until(
    expected: str,
    condition: Callable[[], Awaitable[object]],
    *,
    within_s: float,
    poll_s: float = POLL_S,
) -> float:
    """Wait for a condition and return the seconds; fail with `expected` after `within_s`."""
    started = time.monotonic()
    while not await condition():
        took = time.monotonic() - started
        assert took < within_s, f"not {expected} within {within_s} s"
        await pause(poll_s)
    return time.monotonic() - started


async def done(expected: str, condition: Callable[[], object], *, within_s: float) -> float:
    """Wait as `until` does, for a synchronous condition."""

    async def holds() -> object:
        return condition()

    return await until(expected, holds, within_s=within_s)
