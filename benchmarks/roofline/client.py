"""The load generator of the roofline: unary calls and a session without the SDK."""

import asyncio
import sys
from types import TracebackType
from typing import Any, Self

import grpc.aio
import uvloop

from benchmarks.answering import Handlers, answer
from benchmarks.load import Metrics, closed_loop, throughput
from benchmarks.unary import WARM_COUNT, UnaryLoad
from benchmarks.workloads import IN_FLIGHT
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.sdk.values.ids import new_request_id


class Session:
    """A session stream; starts of one iteration of the event loop share a frame."""

    def __init__(self, load: UnaryLoad) -> None:
        self._payload = load.payload
        self._stream: Any = pb_grpc.ExecutionServiceStub(load.channel).Session()
        self._frame = pb.SessionRequest()
        self._wake = asyncio.Event()
        self._starting: dict[int, asyncio.Future[None]] = {}
        self._running: dict[int, asyncio.Future[None]] = {}
        self._last = 0

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        self._stream.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def start(self) -> None:
        """Start a sleeper and wait for the acknowledgement."""
        await self._send("sleeper", self._starting)

    async def run(self) -> None:
        """Run a chain of three steps to its end."""
        await self._send("chain-3", self._running)

    async def _send(self, workflow_id: str, waiting: dict[int, asyncio.Future[None]]) -> None:
        self._last += 1
        done = waiting[self._last] = asyncio.get_running_loop().create_future()
        request = pb.StartExecutionRequest(
            workflow_id=workflow_id, input=self._payload, request_id=new_request_id()
        )
        wants_result = waiting is self._running
        self._frame.starts.add(call_id=self._last, start=request, want_result=wants_result)
        self._wake.set()
        await done

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            full, self._frame = self._frame, pb.SessionRequest()
            await self._stream.write(full)

    async def _read(self) -> None:
        while (frame := await self._stream.read()) is not grpc.aio.EOF:
            for started in frame.started:
                if waiter := self._starting.pop(started.call_id, None):
                    waiter.set_result(None)
            for result in frame.results:
                self._running.pop(result.call_id).set_result(None)


class RooflineLoad(UnaryLoad):
    """The unary and the stream workloads."""

    async def warm(self, workload: str) -> None:
        await (self.w1s(WARM_COUNT) if workload == "W1s" else super().warm(workload))

    async def w1s(self, count: int) -> Metrics:
        async with Session(self) as session:
            return await throughput(session.run, count, IN_FLIGHT)

    async def w6s(self, count: int) -> Metrics:
        async with Session(self) as session:
            rate, _ = await closed_loop(session.start, count, IN_FLIGHT)
        return {"starts_per_s": rate}

    def handlers(self) -> Handlers:
        more: Handlers = {"W1s": self.w1s, "W6s": self.w6s}
        return {**super().handlers(), **more}


async def main(address: str) -> None:
    load = RooflineLoad(address)
    try:
        await answer(load.handlers())
    finally:
        await load.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
