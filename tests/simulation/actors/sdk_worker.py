"""A remote worker that is the SDK's: its stream and its runner, over simulated connections."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import orjson

from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract.json_value import Json
from flowmesh.sdk import TaskContext, TaskFailure
from flowmesh.sdk.worker.handlers import Handler, Mode
from flowmesh.sdk.worker.task_runner import TaskRunner
from flowmesh.sdk.worker.work_stream import WorkStream
from tests.simulation.actors.handled import DURABLE_TYPE, Inline, durable_handler
from tests.simulation.actors.peers import REMOTE_TYPE
from tests.simulation.servers.loop import Process, elapsed
from tests.simulation.servers.streams import Caller, Channel, Stream

if TYPE_CHECKING:
    from tests.simulation.servers.world import World


class SdkWorker:
    """A worker process, as `flowmesh.sdk.Worker` makes it."""

    def __init__(self, world: World, name: str, *, slots: int, queues: tuple[str, ...]) -> None:
        self.world, self.name, self.slots, self._queues = world, name, slots, queues
        self.worker_id = self.address = f"{name}-{world.next_number()}"
        self.process = Process(world.loop, self.worker_id)
        self._random = Random(f"{world.seed}/{self.worker_id}")
        self._stream: Stream | None = None
        self.process.spawn(self._run())

    def move(self) -> None:
        """Ends its stream, to come back through another worker service perhaps."""
        if self._stream is not None:
            self._stream.cancel()

    async def _run(self) -> None:
        caller: Any = Caller(Channel(self._opened), self.name)
        stream = WorkStream(
            caller=caller,
            worker_id=self.worker_id,
            namespace="",
            queues=self._queues,
            task_types=[REMOTE_TYPE, DURABLE_TYPE],
            slots=self.slots,
            runner=lambda finished, beat, record: _Runner(self, finished, beat, record),
            labels={},
        )
        await stream.open()
        await stream.ended()

    def _opened(self) -> Stream:
        address = self.world.any_worker_service(self._random) or "nowhere"
        self._stream = Stream(self.world.network.stub(address).Work)
        return self._stream


class _Runner(TaskRunner):
    """Tells what has begun, and gives handlers the task that they take their part from."""

    def __init__(self, worker: SdkWorker, finished: Any, beat: Any, record: Any) -> None:
        self._worker, self._world = worker, worker.world
        self._tasks: dict[str, task_pb2.Task] = {}
        handlers = {
            REMOTE_TYPE: Handler(self._handle, Mode.TASK, 2),
            DURABLE_TYPE: Handler(self._handle, Mode.DURABLE, 2),
        }
        super().__init__(
            handlers=handlers,
            payloads=Inline(),
            threads=1,
            processes=1,
            finished=finished,
            heartbeat=beat,
            record=record,
            now_us=self._world.now_us,
        )

    def accept(self, task: task_pb2.Task, config: bytes) -> None:
        self._world.effect(task, self._worker.worker_id)
        kept = task_pb2.Task()
        kept.CopyFrom(task)
        self._tasks[f"{task.execution_id}|{task.node}|{task.attempt}"] = kept
        super().accept(kept, config)

    async def _handle(self, _given: Json, context: TaskContext) -> Json:
        task = self._tasks.pop(f"{context.execution_id}|{context.node}|{context.attempt}")
        duration_s, succeeds = self._world.work.of(task)
        await elapsed(duration_s)
        if not succeeds:
            raise TaskFailure("ServerError", "drawn")
        return orjson.loads(self._world.work.output(task))

    def _durable(self, handler: Handler, task: task_pb2.Task, context: TaskContext) -> Any:
        function = durable_handler(self._world, self._worker.worker_id, task)
        return super()._durable(replace(handler, function=function), task, context)
