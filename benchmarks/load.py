"""Load generation (closed loop, open loop, sequential) and percentiles."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

TIMER_GRAIN_S = 0.002
Call = Callable[[], Awaitable[object]]
Metrics = dict[str, float]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the measured value at a percentile, given as a share of 1."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


async def _timed(call: Call) -> float:
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1_000


def latencies(taken_ms: Sequence[float]) -> Metrics:
    return {
        "latency_p50_ms": percentile(taken_ms, 0.5),
        "latency_p99_ms": percentile(taken_ms, 0.99),
    }


async def closed_loop(
    call: Call, count: int, in_flight: int, *, spread_s: float = 0.0
) -> tuple[float, list[float]]:
    """Run `count` calls with `in_flight` open; return calls per second and the ms of each.

    The first calls start spread over `spread_s`, so that they are not in step.
    """
    left = count
    taken: list[float] = []

    async def lane(number: int) -> None:
        nonlocal left
        await asyncio.sleep(spread_s * number / in_flight)
        while left > 0:
            left -= 1
            taken.append(await _timed(call))

    began = time.perf_counter()
    await asyncio.gather(*(lane(number) for number in range(in_flight)))
    return count / (time.perf_counter() - began), taken


async def throughput(call: Call, count: int, in_flight: int) -> Metrics:
    rate, taken = await closed_loop(call, count, in_flight)
    return {"workflows_per_s": rate, **latencies(taken)}


async def open_loop(
    call: Callable[[int], Awaitable[object]], count: int, per_s: float
) -> tuple[list[float], float]:
    """Start calls at a fixed rate, independent of responses; return latencies and the rate.

    Latencies in ms count from the due time, so that a slow load generator is visible; a delay
    within the timer granularity does not count.
    """
    taken = [0.0] * count
    calls: list[asyncio.Task[None]] = []

    async def timed(number: int, began: float) -> None:
        await call(number)
        taken[number] = (time.perf_counter() - began) * 1_000

    start = time.perf_counter()
    for number in range(count):
        due = start + number / per_s
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        now = time.perf_counter()
        began = now if now - due < TIMER_GRAIN_S else due
        calls.append(asyncio.create_task(timed(number, began)))
    await asyncio.gather(*calls)
    return taken, count / (time.perf_counter() - start)


async def one_by_one(call: Call, count: int) -> list[float]:
    """Make `count` calls sequentially and return the ms of each."""
    return [await _timed(call) for _ in range(count)]


async def warm_seconds(call: Call, count: int) -> Metrics:
    """Return the median of sequential calls, after an uncounted one."""
    await call()
    return {"seconds": median(await one_by_one(call, count)) / 1_000}
