"""Workloads of the suite only: recovery, bursts of timers, large payloads."""

import asyncio
import time
from functools import partial
from statistics import fmean

from benchmarks.answering import Handlers
from benchmarks.load import Metrics, closed_loop, median, one_by_one, percentile, throughput
from benchmarks.suite.calls import SuiteLoad
from benchmarks.unary import WARM_COUNT
from benchmarks.workloads import (
    IN_FLIGHT,
    PAYLOAD,
    STEPS_W10,
    WORK_MS,
)
from flowmesh.sdk import Client, Session, SessionCall
from flowmesh.sdk.values.ids import new_request_id

BURST_AFTER_S = 8.0
"""The delay from the first start of a burst to its first timer."""
PAYLOAD_REPEATS = 20
PAYLOAD_REPEATS_LARGE = 5
LARGE_BYTES = 1 << 20


class ExtremeLoad(SuiteLoad):
    """W1b, W5, W10, bursts and payloads."""

    def __init__(self, address: str, client: Client) -> None:
        super().__init__(address, client)
        self._session: Session | None = None
        self._recovering: list[SessionCall] = []

    async def warm(self, workload: str) -> None:
        await (self.w1b(WARM_COUNT) if workload == "W1b" else super().warm(workload))

    async def w1b(self, count: int) -> Metrics:
        return await throughput(lambda: self.run("builtin-3"), count, IN_FLIGHT)

    async def w5(self, count: int) -> int:
        """Start all workflows; `w5_end` waits for their end."""
        self._session = await self._client.session().__aenter__()
        ids = [new_request_id() for _ in range(count)]
        self._recovering = [
            self._session.submit("recorded", PAYLOAD, request_id=one) for one in ids
        ]
        return len([await call.started() for call in self._recovering])

    async def w5_end(self, within_s: float) -> dict[str, float]:
        """Return the time of the last result, on a shared clock, and the number of lost ones."""
        assert self._session is not None
        results = [asyncio.ensure_future(call.result()) for call in self._recovering]
        _, pending = await asyncio.wait(results, timeout=within_s)
        last_at = time.monotonic()
        lost = len(pending) + sum(1 for one in results if one.done() and one.exception())
        for one in pending:
            one.cancel()
        await self._session.close(flush=False)
        return {"last_at": last_at, "lost": lost}

    async def w10(self, count: int) -> Metrics:
        """Measure the mean overhead of a workflow over its steps, with 200 in flight."""
        work_ms = STEPS_W10 * WORK_MS
        run = partial(self.run, "work")
        _, taken_ms = await closed_loop(run, count, IN_FLIGHT, spread_s=work_ms / 1_000)
        return {"overhead_percent": (fmean(taken_ms) / work_ms - 1) * 100}

    async def timers(self, count: int, within_s: float) -> Metrics:
        """Measure timers that are due evenly in a period, by the histories."""
        first = time.monotonic() + BURST_AFTER_S
        async with self._client.session() as session:

            async def nap(number: int) -> str:
                due = first + number * within_s / count
                left_ms = round((due - time.monotonic()) * 1_000)
                call = session.submit("nap", {"ms": left_ms})
                await call.result()
                return await call.started()

            ids = await asyncio.gather(*(nap(number) for number in range(count)))
        times = [await self._due_and_fired_us(execution_id) for execution_id in ids]
        late_ms = [(fired - due) / 1_000 for due, fired in times]
        first_due, last_due = min(due for due, _ in times), max(due for due, _ in times)
        return {
            "early": sum(1 for late in late_ms if late < 0),
            "late_p50_ms": percentile(late_ms, 0.5),
            "late_p99_ms": percentile(late_ms, 0.99),
            "due_within_s": (last_due - first_due) / 1e6,
            "drained_s": (max(fired for _, fired in times) - first_due) / 1e6,
        }

    async def _due_and_fired_us(self, execution_id: str) -> tuple[int, int]:
        events = await self._events_of(execution_id)
        due = next(one.timer_started.fire_at_us for one in events if one.HasField("timer_started"))
        return due, next(one.at_us for one in events if one.HasField("timer_fired"))

    async def payloads(self, sizes: list[int]) -> Metrics:
        """Measure payloads from the start to the worker and back to the result, sequentially."""
        found: Metrics = {}
        for size in sizes:
            blob = "x" * size

            async def call(blob: str = blob) -> None:
                await self._client.run("echo", {"blob": blob})

            large = size >= LARGE_BYTES
            await call()
            taken_ms = await one_by_one(call, PAYLOAD_REPEATS_LARGE if large else PAYLOAD_REPEATS)
            found[f"payload_{size >> 10}_kib_ms"] = median(taken_ms)
        return found

    def handlers(self) -> Handlers:
        more: Handlers = {
            "W1b": self.w1b,
            "W5": self.w5,
            "W5-end": self.w5_end,
            "W10": self.w10,
            "timers": self.timers,
            "payloads": self.payloads,
        }
        return {**super().handlers(), **more}
