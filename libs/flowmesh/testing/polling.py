"""Waiting on points that can be observed: bounded, and it says what it waited for.

The one place of the tests where time is let pass, always between two looks or two tries.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

POLL_S = 0.02


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
