"""Remote workers and clients as their authors would write them: they keep the contract, no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from random import Random
from typing import TYPE_CHECKING, Any
from zlib import crc32

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.api.worker.v1 import worker_service_pb2 as worker_pb
from flowmesh.errors import FlowmeshError, Overloaded, Timeout, Unavailable
from flowmesh.sdk.durable.host import DurableTask
from tests.simulation.actors.handled import DURABLE_TYPE, durable_task
from tests.simulation.checks.history import Call, Outcome
from tests.simulation.servers.hosts import failed_result
from tests.simulation.servers.loop import Process, elapsed

if TYPE_CHECKING:
    from tests.simulation.servers.world import World

REMOTE_TYPE = "work"
RECONNECT_S = 0.1
PING_S = 3.0
SILENCE_S = 9.0
CLIENT_GIVES_UP_S = 60.0


class RemoteWorker:
    """A worker process: one stream to one worker service, results kept until acknowledged."""

    def __init__(
        self, world: World, name: str, *, slots: int, queues: tuple[str, ...], repeats: float
    ) -> None:
        self.world, self.name, self.slots, self._queues = world, name, slots, queues
        # The rate of results sent twice, and whether canceled handlers continue.
        self._repeats = repeats
        self._deaf = repeats > 0.0
        self.worker_id = self.address = f"{name}-{world.next_number()}"
        self.process = Process(world.loop, self.worker_id)
        self._random = Random(f"{world.seed}/{self.worker_id}")
        self._running: dict[str, asyncio.Task[None] | DurableTask] = {}
        self._records: list[task_pb2.TaskRecords] = []
        self._results: dict[str, task_pb2.TaskResult] = {}
        self._outgoing: list[task_pb2.TaskResult] = []
        self._frames: dict[int, list[str]] = {}
        self._frame = 0
        self._ping = False
        self._wake = asyncio.Event()
        self._call: Any = None
        self._heard_s = 0.0
        self.process.spawn(self._run())

    def move(self) -> None:
        """Ends its stream, to come back through another worker service perhaps."""
        if self._call is not None:
            self._call.cancel()

    async def _run(self) -> None:
        self.process.spawn(self._keep_alive())
        while True:
            address = self.world.any_worker_service(self._random)
            if address is not None:
                with contextlib.suppress(FlowmeshError, asyncio.CancelledError):
                    await self._stream(address)
            await elapsed(RECONNECT_S)

    async def _keep_alive(self) -> None:
        while True:
            await elapsed(PING_S)
            self._ping = True
            self._wake.set()
            if self.world.loop.time() - self._heard_s > SILENCE_S:
                self.move()

    async def _stream(self, address: str) -> None:
        self._wake.set()
        self._wake = asyncio.Event()
        self._frames.clear()
        self._frame = 0
        self._outgoing = list(self._results.values())
        self._records.clear()
        self._heard_s = self.world.loop.time()
        self._call = self.world.network.stub(address).Work(self._requests())
        try:
            async for response in self._call:
                self._heard_s = self.world.loop.time()
                self._receive(response)
        finally:
            self._call = None

    async def _requests(self) -> AsyncIterator[worker_pb.WorkRequest]:
        wake = self._wake
        yield worker_pb.WorkRequest(
            hello=worker_pb.WorkHello(
                worker_id=self.worker_id,
                task_types=[REMOTE_TYPE, DURABLE_TYPE],
                queues=self._queues,
                slots=self.slots,
                held=list(dict.fromkeys((*self._running, *self._results))),
            )
        )
        while wake is self._wake:
            while (frame := self._next_frame()) is not None:
                yield frame
            await wake.wait()
            wake.clear()

    def _next_frame(self) -> worker_pb.WorkRequest | None:
        if not self._outgoing and not self._ping and not self._records:
            return None
        frame = worker_pb.WorkRequest(
            ping=self._ping, results=self._outgoing, records=self._records
        )
        self._ping = False
        self._records.clear()
        if self._outgoing:
            self._frame += 1
            frame.results_frame = self._frame
            self._frames[self._frame] = [result.token for result in self._outgoing]
            self._outgoing = [
                result for result in self._outgoing if self._random.random() < self._repeats
            ]
        return frame

    def _receive(self, response: worker_pb.WorkResponse) -> None:
        for exception in response.exceptions:
            self._results.pop(exception.token, None)
        for number in [n for n in self._frames if n <= response.acknowledged_frame]:
            for token in self._frames.pop(number):
                self._results.pop(token, None)
        for token in response.cancels:
            if token in self._running and not self._deaf:
                # Not before its first step, which would leave it without a result.
                self.process.call(self._running[token].cancel)
        for task in response.tasks:
            if task.token not in self._running and task.token not in self._results:
                self.world.effect(task, self.worker_id)
                copy = task_pb2.Task()
                copy.CopyFrom(task)
                if task.task_type == DURABLE_TYPE:
                    self._running[task.token] = durable_task(self, copy)
                else:
                    self._running[task.token] = self.process.spawn(self._work(copy))
        for recorded in response.recorded:
            handler = self._running.get(recorded.token)
            if isinstance(handler, DurableTask):
                handler.recorded(recorded)

    def say(self, records: task_pb2.TaskRecords) -> None:
        """Send the requests of a durable handler."""
        self._records.append(records)
        self._wake.set()

    async def _work(self, task: task_pb2.Task) -> None:
        duration_s, succeeds = self.world.work.of(task)
        try:
            await elapsed(duration_s)
            if succeeds:
                output = payload_pb2.Payload(data=self.world.work.output(task))
                result = task_pb2.TaskResult(token=task.token, output=output)
            else:
                result = failed_result(task.token, "ServerError", "drawn")
        except asyncio.CancelledError:
            result = failed_result(task.token, "Cancelled", "the task was canceled")
        self.ended(result)

    def handled(self, token: str, result: task_pb2.TaskResult | None) -> None:
        """A durable handler has ended, or resumes elsewhere."""
        if result is not None:
            self.ended(result)
        else:
            del self._running[token]

    def ended(self, result: task_pb2.TaskResult) -> None:
        """A task has its result, which is kept until it is acknowledged."""
        del self._running[result.token]
        result.worker_id = self.worker_id
        self._results[result.token] = result
        self._outgoing.append(result)
        self._wake.set()


class Client:
    """Asks for executions and changes them; repeats what it does not know the outcome of."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.process = Process(world.loop, name)
        self._random = Random(f"{world.seed}/{name}")
        self.open = 0

    def spawn(self, work: Any) -> None:
        self.open += 1
        task = self.process.spawn(work)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.open -= 1
        if not task.cancelled() and task.exception() is not None:
            self.world.problem("client", repr(task.exception()))

    async def call(self, kind: str, method: str, request: Any, content: str = "") -> Any:
        """One call, repeated until it is done or refused for good; every try is recorded."""
        until = self.world.loop.time() + CLIENT_GIVES_UP_S
        while True:
            begun_us = self.world.now_us()
            execution_id = getattr(request, "execution_id", "")
            reason, response, no_room = "", None, False
            try:
                stub = self.world.any_orchestrator(self._random)
                response = await getattr(stub, method)(request)
                outcome = Outcome.OK
                execution_id = getattr(response, "execution_id", "") or execution_id
            except (Unavailable, Timeout) as error:
                outcome, reason = Outcome.UNKNOWN, error.reason
            except FlowmeshError as error:
                outcome, reason = Outcome.FAIL, error.reason
                no_room = isinstance(error, Overloaded)
            self.world.called(
                Call(
                    kind=kind,
                    request_id=getattr(request, "request_id", ""),
                    outcome=outcome,
                    execution_id=execution_id,
                    reason=reason,
                    content=content,
                    begun_us=begun_us,
                    ended_us=self.world.now_us(),
                    tick=self.world.tick(),
                )
            )
            open_yet = outcome is Outcome.UNKNOWN or no_room
            repeatable = open_yet and bool(getattr(request, "request_id", ""))
            if not repeatable or self.world.loop.time() > until:
                return response
            await elapsed(self._random.uniform(0.05, 0.4))

    async def start(self, workflow_id: str, request_id: str, data: bytes = b"{}") -> str:
        """Starts an execution; empty if that did not come about."""
        request = pb.StartExecutionRequest(
            labels={"of": workflow_id},
            workflow_id=workflow_id,
            request_id=request_id,
            input=payload_pb2.Payload(data=data),
            # The same for the same start: half of them may what some tasks need.
            permissions=["pay"] if crc32(request_id.encode()) % 2 else [],
        )
        content = f"{workflow_id} {data.decode()}"
        response = await self.call("start", "StartExecution", request, content)
        return response.execution_id if response is not None else ""
