"""Filters hold as written, wherever they are evaluated, and never keep the event loop."""

import asyncio
import time
from typing import Any

import pytest

from flowmesh.expressions import RenderError
from flowmesh.sandbox import CpuLedger, Sandbox
from flowmesh.testing.polling import pause
from flowmesh.triggers import Filter

# 40,000 values that are compared with themselves: a quarter of a second with the lock held.
LARGE = {"m": {str(number): number for number in range(20_000)}}
COSTLY = "event.m == event.m"
# What a busy machine may add to a turn of the loop.
NOISE_S = 0.5


async def longest_turn(work: Any) -> tuple[Any, float]:
    """Return the result of a coroutine, and the longest time in which no other task ran."""
    running = asyncio.ensure_future(work)
    longest, before = 0.0, time.monotonic()
    while not running.done():
        await pause(0.001)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
    return await running, longest


async def test_a_costly_filter_leaves_the_event_loop() -> None:
    """Other tasks run while a sandbox evaluates it."""
    async with Sandbox() as sandbox:
        made = Filter(COSTLY, "event", "a", sandbox)
        holds, longest = await longest_turn(made.holds(LARGE))
    assert holds is True
    assert longest < NOISE_S


async def test_a_filter_that_does_not_end_fails_in_bounded_time() -> None:
    """Its namespace has CPU time of its own; small filters of others hold meanwhile."""
    slow = "event.l.exists(x, event.l.exists(y, y.matches(r'[01]*1[01]{900}$') && x == y + 'a'))"
    events = {"l": ["01" * 2_000 + str(number) for number in range(60)]}
    async with Sandbox() as sandbox:
        costly, small = (Filter(each, "event", "a", sandbox) for each in (slow, "event.l == 1"))
        failing = asyncio.ensure_future(costly.holds(events))
        await pause(0)
        begun = time.monotonic()
        assert not await small.holds({"l": 2})
        assert time.monotonic() - begun < NOISE_S
        with pytest.raises(RenderError):
            await failing


async def test_a_namespace_without_cpu_time_gets_an_error_of_its_filter() -> None:
    """It is a problem of this consumer alone, and no failure of the event."""
    cpu = CpuLedger(execution_ms_max=0, namespace_ms_max=1, monotonic_ms=lambda: 0.0)
    async with Sandbox(cpu=cpu) as sandbox:
        made = Filter(COSTLY, "event", "a", sandbox)
        assert await made.holds(LARGE)
        with pytest.raises(RenderError, match="CPU time"):
            await made.holds(LARGE)
        assert await Filter(COSTLY, "event", "b", sandbox).holds(LARGE)
