"""How load is made and summed up: a closed loop, one at a time, percentiles."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

TIMER_GRAIN_S = 0.002
Call = Callable[[], Awaitable[object]]
Metrics = dict[str, float]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the others lies; the nearest one that was measured."""
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
    """Runs `count` calls, always `in_flight` of them open: calls per second, each one's ms.

    The first ones begin spread over a time, so that they need not march in step.
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
    """Makes call n when it is due, whether others have been answered or not.

    Milliseconds of each from when it was due, so that a load generator that cannot keep up shows;
    a timer that wakes within its grain is not late. And the answers per second.
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
    """The milliseconds of each of `count` calls, one after the other."""
    return [await _timed(call) for _ in range(count)]


async def warm_seconds(call: Call, count: int) -> Metrics:
    """Median of calls one after the other, after one that is not counted."""
    await call()
    return {"seconds": median(await one_by_one(call, count)) / 1_000}
