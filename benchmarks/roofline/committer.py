"""The bare path: commands, one SQL statement, then responses, tasks and one event message.

The docs call it the roofline: no plans, templates, validation, leases or traces.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from importlib.resources.abc import Traversable
from typing import Any

import asyncpg
import nats.js.client

from benchmarks.roofline.state import BatchedExecution, Execution, Ids
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.api.worker.v1 import task_pb2

BATCH_COMMANDS_MAX = 500
LINGER_COMMANDS = 24
LINGER_STEP_S = 0.001
LINGER_STEPS_MAX = 5
SUBJECT = "roofline.events"
STREAM = "ROOFLINE"

OnStart = Callable[[Execution], None]
Start = tuple[pb.StartExecutionRequest, OnStart]
Result = tuple[task_pb2.TaskResult, Callable[[], None] | None]


class Committer:
    """Commits one batch at a time; waits after a large batch while commands arrive."""

    def __init__(
        self,
        *,
        connection: "asyncpg.Connection[asyncpg.Record]",
        statement: Traversable,
        stream: nats.js.client.JetStreamContext,
        dispatch: Callable[[list[task_pb2.Task]], None],
    ) -> None:
        self._connection = connection
        self._sql = statement.read_text()
        self._stream = stream
        self._dispatch = dispatch
        self._inbox: deque[Start | Result] = deque()
        self._wake = asyncio.Event()
        self._ids = Ids()
        self._executions: dict[str, Execution] = {}
        self._position = 0
        self._last_commands = 0

    def submit(self, command: Start | Result) -> None:
        """Queue a start with its callback, or a result; the last of a frame has the
        acknowledgement."""
        self._inbox.append(command)
        self._wake.set()

    async def run(self) -> None:
        statement = await self._connection.prepare(self._sql)
        while True:
            if not self._inbox:
                self._wake.clear()
                await self._wake.wait()
            await self._commit(statement)
            await self._linger()

    async def _linger(self) -> None:
        if self._last_commands < LINGER_COMMANDS:
            return
        waiting = len(self._inbox)
        for _ in range(LINGER_STEPS_MAX):
            await asyncio.sleep(LINGER_STEP_S)
            if len(self._inbox) == waiting or waiting >= BATCH_COMMANDS_MAX:
                return
            waiting = len(self._inbox)

    async def _commit(self, statement: Any) -> None:
        now_us = time.time_ns() // 1_000
        batched: dict[str, BatchedExecution] = {}
        started: list[tuple[Execution, OnStart]] = []
        acknowledge: list[Callable[[], None]] = []
        inbox = self._inbox
        count = min(len(inbox), BATCH_COMMANDS_MAX)
        for _ in range(count):
            command = inbox.popleft()
            if isinstance(command[0], pb.StartExecutionRequest):
                one = self._start(command, now_us)
                batched[one.execution.id] = one
                started.append((one.execution, command[1]))
                continue
            self._result(command, batched, now_us)
            if command[1] is not None:
                acknowledge.append(command[1])
        self._last_commands = count
        batch = await self._persist(statement, list(batched.values()), [e for e, _ in started])
        self._leave(list(batched.values()), started, acknowledge)
        await self._stream.publish_async(SUBJECT, batch.SerializeToString())

    def _start(self, command: Start, now_us: int) -> BatchedExecution:
        execution_id, partition = self._ids.make(now_us)
        execution = Execution(execution_id, partition, command[0])
        self._executions[execution_id] = execution
        one = BatchedExecution(execution)
        one.start(now_us)
        return one

    def _result(self, command: Result, batched: dict[str, BatchedExecution], now_us: int) -> None:
        execution_id, node, _ = command[0].token.split("|")
        one = batched.get(execution_id)
        if one is None:
            one = batched[execution_id] = BatchedExecution(self._executions[execution_id])
        one.result(command[0], node, now_us)

    async def _persist(
        self, statement: Any, batched: list[BatchedExecution], started: list[Execution]
    ) -> history_service_pb2.EventBatch:
        encoded = [one.events.SerializeToString() for one in batched]
        partitions = sorted({one.execution.partition for one in batched})
        row = await statement.fetchrow(
            self._position,
            partitions,
            [1] * len(partitions),
            [one.id for one in started],
            [one.request.workflow_id for one in started],
            [one.request.request_id for one in started],
            [one.execution.id for one in batched if one.execution.ended],
            [one.execution.id for one in batched],
            [one.first_seq for one in batched],
            encoded,
            [one.execution.partition for one in batched],
            self._position - BATCH_COMMANDS_MAX,
        )
        if not row["applied"] or len(row["started"]) != len(started):
            raise AssertionError("the commit did not apply as a whole")
        self._position += 1
        batch = history_service_pb2.EventBatch(incarnation=1, position=self._position)
        for one, events in zip(batched, encoded, strict=True):
            batch.rows.add(
                namespace="default",
                execution_id=one.execution.id,
                workflow_id=one.execution.request.workflow_id,
                first_sequence=one.first_seq,
                events=events,
            )
        return batch

    def _leave(
        self,
        batched: list[BatchedExecution],
        started: list[tuple[Execution, OnStart]],
        acknowledge: list[Callable[[], None]],
    ) -> None:
        """Send responses, tasks and events right after the commit."""
        for execution, on_start in started:
            on_start(execution)
        tasks = [task for one in batched for task in one.tasks]
        if tasks:
            self._dispatch(tasks)
        for call in acknowledge:
            call()
        for one in batched:
            if one.execution.ended:
                del self._executions[one.execution.id]
                for answer in one.execution.on_end:
                    answer(one.execution)
