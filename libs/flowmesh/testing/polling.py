"""Waiting on points that can be observed: bounded, and it says what it waited for.

The one place of the tests where time is let pass, always between two looks or two tries.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

POLL_S = 0.02
TURNS = 1_000_000
TURNS_S = 0.025
"""What so many turns of a loop take on the machine that targets are meant for."""
LOOK_TURNS = 40_000
LOOK_EVERY_S = 0.05


def slowness() -> float:
    """How many times slower than that machine this one is just now; at least 1."""
    return max(1.0, 1 / max(_speed(TURNS) for _ in range(3)))


@asynccontextmanager
async def speeds() -> AsyncIterator[list[float]]:
    """How fast a core is while the block runs, one figure for each look; 1: as that machine's.

    Others on this machine do not change it, the host of the machine does. Costs 2 % of such a core.
    """
    seen: list[float] = []

    async def look() -> None:
        while True:
            seen.append(_speed(LOOK_TURNS))
            await pause(LOOK_EVERY_S)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()


def target_s(job: Callable[[], object], tries: int) -> float:
    """What a job would take of a core of that machine: the best of some tries.

    Each is divided by how slow the machine was right before it, since that changes by the second.
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
    """A target for a machine of our own, stretched by how many others want each core now."""
    return target_s * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


async def pause(seconds: float) -> None:
    """What a client lets pass before it tries again."""
    await asyncio.sleep(seconds)


async def until(
    what: str,
    condition: Callable[[], Awaitable[object]],
    *,
    within_s: float,
    poll_s: float = POLL_S,
) -> float:
    """Returns how many seconds it took; fails with `what` when the time is over."""
    started = time.monotonic()
    while not await condition():
        took = time.monotonic() - started
        assert took < within_s, f"not {what} within {within_s} s"
        await pause(poll_s)
    return time.monotonic() - started


async def done(what: str, condition: Callable[[], object], *, within_s: float) -> float:
    """As `until`, for a condition that needs no waiting."""

    async def holds() -> object:
        return condition()

    return await until(what, holds, within_s=within_s)
