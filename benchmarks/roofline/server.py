"""The roofline as a process: the committer behind gRPC, with PostgreSQL and NATS as children.

It implements the contracts of the suite that the workloads need: starts that wait, the session
stream, and the stream of one worker. The handlers write to streams instead of yielding, which
grpc.aio allows and its type stubs do not; hence the ignored overrides.
"""

import asyncio
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from importlib.resources import files
from typing import Any

import asyncpg
import grpc.aio
import nats
import uvloop
from nats.js.api import StorageType, StreamConfig

from benchmarks.answering import report_ready
from benchmarks.roofline.committer import STREAM, SUBJECT, Committer
from benchmarks.roofline.state import Execution
from benchmarks.unary import COMPLETED
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.api.worker.v1 import task_pb2, worker_service_pb2, worker_service_pb2_grpc
from flowmesh.embedded import EmbeddedServers
from flowmesh.rpc import SERVER_OPTIONS
from flowmesh.runtime.collector import tune_collector

FRAME_ITEMS_MAX = 1_000

_SQL = files("benchmarks.roofline")


class Outgoing:
    """Wakes a writer once per iteration of the event loop."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def iterations(self) -> AsyncIterator[None]:
        while True:
            await self._wake.wait()
            self._wake.clear()
            yield


class Workers(worker_service_pb2_grpc.WorkerServiceServicer):
    """The stream of one worker: tasks up to its slots, results in acknowledged frames."""

    def __init__(self) -> None:
        self.committer: Committer | None = None
        self._ready: deque[task_pb2.Task] = deque()
        self._outgoing = Outgoing()
        self._free = 0
        self._acknowledged = 0

    def dispatch(self, tasks: list[task_pb2.Task]) -> None:
        self._ready.extend(tasks)
        self._outgoing.wake()

    async def Work(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]
        writer = asyncio.create_task(self._write(context))
        try:
            while (frame := await context.read()) is not grpc.aio.EOF:
                self._take(frame)
        finally:
            writer.cancel()

    def _take(self, frame: worker_service_pb2.WorkRequest) -> None:
        assert self.committer is not None
        if frame.HasField("hello"):
            self._free = frame.hello.slots
            self._outgoing.wake()
        last = len(frame.results) - 1
        for index, result in enumerate(frame.results):
            number = frame.results_frame
            done = (lambda number=number: self._acknowledge(number)) if index == last else None
            self.committer.submit((result, done))
        self._free += last + 1
        if self._ready:
            self._outgoing.wake()

    def _acknowledge(self, number: int) -> None:
        self._acknowledged = number
        self._outgoing.wake()

    async def _write(self, context: Any) -> None:
        sent = 0
        async for _ in self._outgoing.iterations():
            count = min(len(self._ready), self._free, FRAME_ITEMS_MAX)
            tasks = [self._ready.popleft() for _ in range(count)]
            self._free -= count
            if not tasks and self._acknowledged == sent:
                continue
            sent = self._acknowledged
            await context.write(
                worker_service_pb2.WorkResponse(tasks=tasks, acknowledged_frame=sent)
            )
            if self._ready and self._free:
                self._outgoing.wake()


class Executions(pb_grpc.ExecutionServiceServicer):
    """Starts by unary calls and by streams."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    async def StartExecution(
        self, request: pb.StartExecutionRequest, context: Any
    ) -> pb.StartExecutionResponse:
        answered: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()

        def on_start(execution: Execution) -> None:
            if request.wait_ms:
                execution.on_end.append(answered.set_result)
            else:
                answered.set_result(execution)

        self._committer.submit((request, on_start))
        execution = await answered
        response = pb.StartExecutionResponse(execution_id=execution.id, created=True)
        if request.wait_ms:
            response.execution.execution_id = execution.id
            response.execution.workflow_id = request.workflow_id
            response.execution.status = COMPLETED
            response.execution.output.CopyFrom(execution.output)
        return response

    async def Session(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]
        outgoing = Outgoing()
        frame = pb.SessionResponse()

        def take(start: pb.SessionStart) -> None:
            def on_end(execution: Execution) -> None:
                frame.results.add(
                    call_id=start.call_id,
                    execution_id=execution.id,
                    status=COMPLETED,
                    output=execution.output,
                )
                outgoing.wake()

            def on_start(execution: Execution) -> None:
                frame.started.add(call_id=start.call_id, execution_id=execution.id, created=True)
                outgoing.wake()
                if start.want_result:
                    execution.on_end.append(on_end)

            self._committer.submit((start.start, on_start))

        async def write() -> None:
            nonlocal frame
            async for _ in outgoing.iterations():
                full, frame = frame, pb.SessionResponse()
                await context.write(full)

        writer = asyncio.create_task(write())
        try:
            while (request := await context.read()) is not grpc.aio.EOF:
                for start in request.starts:
                    take(start)
        finally:
            writer.cancel()


async def main(data_dir: str) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        servers = EmbeddedServers(data_dir, only=("postgres", "nats"))
        await stack.enter_async_context(servers)
        connection = await asyncpg.connect(servers.postgres)
        stack.push_async_callback(connection.close)
        await connection.execute((_SQL / "schema.sql").read_text())
        bus = await nats.connect(servers.nats, pending_size=32 << 20)
        stack.push_async_callback(bus.close)
        stream = bus.jetstream()
        await stream.add_stream(
            StreamConfig(name=STREAM, subjects=[SUBJECT], storage=StorageType.FILE)
        )
        workers = Workers()
        committer = Committer(
            connection=connection,
            statement=_SQL / "commit.sql",
            stream=stream,
            dispatch=workers.dispatch,
        )
        workers.committer = committer
        server = grpc.aio.server(options=SERVER_OPTIONS)
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(workers, server)
        # The base class responds UNIMPLEMENTED to all other calls.
        executions = Executions(committer)  # type: ignore[abstract]
        pb_grpc.add_ExecutionServiceServicer_to_server(executions, server)
        port = server.add_insecure_port("127.0.0.1:0")
        running = asyncio.create_task(committer.run())
        running.add_done_callback(lambda _: stopped.set())
        await server.start()
        tune_collector()
        report_ready(f"127.0.0.1:{port} {servers.postgres}")
        await stopped.wait()
        running.cancel()
        await server.stop(None)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
