"""The load generator of Temporal, with its own SDK."""

import asyncio
import sys
import time
import uuid
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from benchmarks.answering import Handlers, answer
from benchmarks.load import Metrics, latencies, one_by_one, throughput
from benchmarks.temporal.workflows import TASK_QUEUE, Chain, Recorded
from benchmarks.workloads import EDGE_STEPS, IN_FLIGHT, PAYLOAD, STEPS_W5

WARM_COUNT = 40
WARM_W2 = 5
AGAIN_S = 0.05


class TemporalLoad:
    """The compared workloads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._recovering: list[WorkflowHandle[Any, Any]] = []

    async def run(self, steps: int) -> WorkflowHandle[Chain, object]:
        """Start a workflow, wait for its result and return the handle."""
        handle = await self._client.start_workflow(
            Chain.run, args=[steps, PAYLOAD], id=uuid.uuid4().hex, task_queue=TASK_QUEUE
        )
        await handle.result()
        return handle

    async def warm(self, workload: str) -> None:
        del workload
        await throughput(lambda: self.run(3), WARM_COUNT, IN_FLIGHT)

    async def w1(self, count: int) -> Metrics:
        return await throughput(lambda: self.run(3), count, IN_FLIGHT)

    async def w2(self, count: int) -> Metrics:
        await one_by_one(lambda: self.run(1), WARM_W2)
        return latencies(await one_by_one(lambda: self.run(1), count))

    async def w5(self, count: int) -> int:
        """Start all workflows; `w5_end` waits for their end."""
        self._recovering = await asyncio.gather(
            *(
                self._client.start_workflow(
                    Recorded.run,
                    args=[STEPS_W5, PAYLOAD],
                    id=uuid.uuid4().hex,
                    task_queue=TASK_QUEUE,
                )
                for _ in range(count)
            )
        )
        return count

    async def w5_end(self, within_s: float) -> dict[str, float]:
        """Return the time of the last result and the number of lost ones."""
        until = time.monotonic() + within_s
        came = await asyncio.gather(*(self._result(one, until) for one in self._recovering))
        return {"last_at": time.monotonic(), "lost": came.count(False)}

    async def _result(self, handle: WorkflowHandle[Any, Any], until: float) -> bool:
        while (left_s := until - time.monotonic()) > 0:
            try:
                return bool(await asyncio.wait_for(handle.result(), left_s) == PAYLOAD)
            except RPCError:
                await asyncio.sleep(AGAIN_S)  # the server is starting
            except TimeoutError:
                break
        return False

    async def w4(self, steps: int) -> Metrics:
        began = time.perf_counter()
        handle = await self.run(steps)
        found = {"steps_per_s": steps / (time.perf_counter() - began)}
        ends = [
            event.event_time.ToMilliseconds()
            for event in (await handle.fetch_history()).events
            if event.HasField("activity_task_completed_event_attributes")
        ]
        edge = min(EDGE_STEPS, (len(ends) - 1) // 2)
        found["first_ms"] = (ends[edge] - ends[0]) / edge
        found["last_ms"] = (ends[-1] - ends[-1 - edge]) / edge
        return found


async def main(address: str) -> None:
    load = TemporalLoad(await Client.connect(address))
    handlers: Handlers = {
        "warm": load.warm,
        "W1": load.w1,
        "W2": load.w2,
        "W4": load.w4,
        "W5": load.w5,
        "W5-end": load.w5_end,
    }
    await answer(handlers)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
