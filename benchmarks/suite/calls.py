"""Workloads of the suite: unary calls with generated stubs, sessions with the SDK."""

import asyncio
import json
import time
from typing import Any

from benchmarks.answering import Handlers
from benchmarks.load import Metrics, closed_loop, latencies, throughput, warm_seconds
from benchmarks.suite.workflows import (
    BUILTIN,
    DURABLE,
    RECORDED,
    STAMP,
    WORK,
    chain,
    echo,
    fan,
    limited,
    mapped,
    sleeper,
)
from benchmarks.unary import WARM_COUNT, UnaryLoad
from benchmarks.workloads import (
    CHAIN,
    EDGE_STEPS,
    IN_FLIGHT,
    MAP_ITEMS,
    PAYLOAD,
    REPEATED,
    STEPS_W5,
    STEPS_W8,
    STEPS_W10,
)
from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as definition_grpc
from flowmesh.api.event.v1 import event_service_pb2 as event_pb2
from flowmesh.api.event.v1 import event_service_pb2_grpc as event_grpc
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.api.history.v1 import history_service_pb2 as history_pb2
from flowmesh.api.history.v1 import history_service_pb2_grpc as history_grpc
from flowmesh.sdk import Client

PAGE_EVENTS = 10_000
MAPPED = f"fan-{MAP_ITEMS}"
LIMITED = "limited-3"


class SuiteLoad(UnaryLoad):
    """The unary workloads and those that use further calls of the suite."""

    def __init__(self, address: str, client: Client) -> None:
        super().__init__(address)
        self._client = client
        self._items = payload_pb2.Payload()
        self._events = event_grpc.EventServiceStub(self.channel)
        self._history = history_grpc.HistoryServiceStub(self.channel)

    async def define(self, fan_outs: list[int], chains: list[int]) -> None:
        """Register the workflows of all workloads."""
        stub = definition_grpc.DefinitionServiceStub(self.channel)
        sizes = {1, 3, STEPS_W8, *chains}
        workflows: list[dict[str, Any]] = [chain(f"chain-{size}", size) for size in sizes]
        workflows += [
            chain(f"{REPEATED}-{size}", size, repeatable=True) for size in (STEPS_W8, *chains[:1])
        ]
        workflows += [fan(f"fan-{width}", width) for width in fan_outs if width < MAP_ITEMS]
        workflows += [
            chain("builtin-3", 3, BUILTIN),
            limited(LIMITED, 3),
            chain("recorded", STEPS_W5, RECORDED),
            chain("stamped", STEPS_W8, STAMP),
            chain("work", STEPS_W10, WORK),
            echo("echo"),
            sleeper("nap", "{{context.ms}}"),
            sleeper("sleeper"),
        ]
        for workflow in workflows:
            request = definition_pb2.RegisterWorkflowRequest(
                source=json.dumps(workflow).encode(), content_type="application/json"
            )
            await stub.RegisterWorkflow(request, metadata=self.metadata)
        if MAP_ITEMS in fan_outs:
            source = mapped(MAPPED).encode()
            await stub.Apply(
                definition_pb2.ApplyRequest(source=source, content_type="application/yaml")
            )
            self._items = await self._client.payloads.pack({"items": list(range(MAP_ITEMS))})

    def input_of(self, workflow_id: str) -> payload_pb2.Payload:
        return self._items if workflow_id == MAPPED else super().input_of(workflow_id)

    async def warm(self, workload: str) -> None:
        await (self.w1s(WARM_COUNT) if workload == "W1s" else super().warm(workload))

    async def w1s(self, count: int) -> Metrics:
        async with self._client.session() as session:
            return await throughput(lambda: session.run("chain-3", PAYLOAD), count, IN_FLIGHT)

    async def w1l(self, count: int) -> Metrics:
        return await throughput(lambda: self.run(LIMITED), count, IN_FLIGHT)

    async def w4(self, steps: int, chain: str = CHAIN) -> Metrics:
        """Measure the total by the client clock, and the ends of steps by the history."""
        began = time.perf_counter()
        execution_id = await self.run(f"{chain}-{steps}")
        found = {"steps_per_s": steps / (time.perf_counter() - began)}
        ends = await self._ends_us(execution_id)
        edge = min(EDGE_STEPS, (len(ends) - 1) // 2)
        found["first_ms"] = (ends[edge] - ends[0]) / edge / 1_000
        found["last_ms"] = (ends[-1] - ends[-1 - edge]) / edge / 1_000
        return found

    async def w4d(self, steps: int, handler: str = DURABLE) -> Metrics:
        began = time.perf_counter()
        await self._client.run(handler, steps)
        return {"steps_per_s": steps / (time.perf_counter() - began)}

    async def w8d(self, steps: int, repeats: int, handler: str = DURABLE) -> Metrics:
        return await warm_seconds(lambda: self._client.run(handler, steps), repeats)

    async def w6s(self, count: int) -> Metrics:
        async with self._client.session() as session:

            async def start() -> None:
                await session.start("sleeper", PAYLOAD, want_result=False)

            rate, _ = await closed_loop(start, count, IN_FLIGHT)
        return {"starts_per_s": rate}

    async def w7(self, repeats: int) -> Metrics:
        """Measure from the time stamp of a handler to its event, on the same clock."""
        request = event_pb2.WatchEventsRequest(workflow_id="stamped", types=["TaskCompleted"])
        stream = self._events.WatchEvents(request)
        late_ms: list[float] = []
        running: asyncio.Task[None] | None = None
        async for response in stream:
            now_us = time.time_ns() // 1_000
            if response.subscribed:
                running = asyncio.create_task(self._run_stamped(repeats))
                continue
            output = json.loads(response.event.event.task_completed.output.data)
            late_ms.append((now_us - output["ended_at_us"]) / 1_000)
            if len(late_ms) == repeats * STEPS_W8:
                break
        stream.cancel()
        if running is not None:
            await running
        return latencies(late_ms)

    async def _run_stamped(self, repeats: int) -> None:
        for _ in range(repeats):
            await self.run("stamped")

    async def _ends_us(self, execution_id: str) -> list[int]:
        """Return the times at which the steps ended, in order."""
        events = await self._events_of(execution_id)
        return [event.at_us for event in events if event.HasField("task_completed")]

    async def _events_of(self, execution_id: str) -> list[history_event_pb2.HistoryEvent]:
        found: list[history_event_pb2.HistoryEvent] = []
        after = 0
        while True:
            page = await self._history.ListHistoryEvents(
                history_pb2.ListHistoryEventsRequest(
                    execution_id=execution_id, after=after, page_size=PAGE_EVENTS
                )
            )
            found += page.events
            after = page.next_after
            if not after:
                return found

    def handlers(self) -> Handlers:
        more: Handlers = {
            "define": self.define,
            "W1l": self.w1l,
            "W1s": self.w1s,
            "W4d": self.w4d,
            "W6s": self.w6s,
            "W7": self.w7,
            "W8d": self.w8d,
        }
        return {**super().handlers(), **more}
