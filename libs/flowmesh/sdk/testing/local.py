"""A local execution: the engine and clock of a dry run with real handlers."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.dryrun.attempts import Answer
from flowmesh.dryrun.mocks import Mocks, Signal
from flowmesh.dryrun.run import EXECUTION_ID, DryRun
from flowmesh.engine import (
    DeliveryLost,
    NodeState,
    Record,
    Suspend,
    TaskEnded,
    Transition,
    replay,
)
from flowmesh.plan import Plan, inline, render_input, render_items
from flowmesh.sandbox import Sandbox
from flowmesh.sdk.testing.faults import Chance
from flowmesh.sdk.transport.payload_store import Payloads
from flowmesh.sdk.values.payloads import decode_bytes
from flowmesh.sdk.worker.handlers import Handler
from flowmesh.sdk.worker.task_runner import TaskRunner

THREADS = 8
PROCESSES = 2


class LocalPayloads(Payloads):
    """Large values in memory, by digest."""

    def __init__(self) -> None:
        super().__init__()
        self._stored: dict[str, tuple[str, bytes]] = {}

    async def put(self, data: bytes, encoding: str = "") -> payload_pb2.Payload:
        digest = hashlib.sha256(data).hexdigest()
        self._stored[digest] = encoding, data
        payload = payload_pb2.Payload(encoding=encoding)
        payload.reference.digest, payload.reference.size_bytes = digest, len(data)
        return payload

    async def get(self, digest: str) -> tuple[str, bytes]:
        return self._stored[digest]


class LocalRun(DryRun):
    """An execution whose tasks are mocked or run by handlers; `chance` injects faults."""

    def __init__(
        self,
        plan: Plan,
        mocks: Mocks,
        signals: Sequence[Signal],
        sandbox: Sandbox,
        start_us: int,
        *,
        handlers: Mapping[str, Handler],
        chance: Chance,
    ) -> None:
        super().__init__(plan, mocks, signals, sandbox, start_us)
        self._handlers = handlers
        self._chance = chance
        self._results: dict[str, asyncio.Future[task_pb2.TaskResult]] = {}
        self._decided: dict[str, list[Transition]] = {}
        self._runner = TaskRunner(
            handlers=dict(handlers),
            payloads=LocalPayloads(),
            threads=THREADS,
            processes=PROCESSES,
            finished=self._finished_task,
            heartbeat=lambda *_: None,
            record=self._recorded,
            now_us=lambda: self._now,
            patience_s=0.0,
        )

    async def close(self) -> None:
        await self._runner.close()

    async def _do(self, command: Any) -> None:
        await super()._do(command)
        if self._chance.owner_dies() and not self._state.ended:
            # The next owner has only the committed history.
            self._state = replay(EXECUTION_ID, self._plan, self.events)
            self._render_items()

    def _render_items(self) -> None:
        """Render the items of maps again, as the history does not contain them."""
        for scope in self._state.all_scopes():
            for node in scope.nodes.values():
                if node.map is not None and node.planned.kind == plan_pb2.NODE_KIND_MAP:
                    node.map.items = render_items(self._state, node, inline)

    async def dispatch(self, node: NodeState) -> list[Transition]:
        spec = node.planned.spec
        assert spec is not None
        handled = spec.task_type in self._handlers and not self._mocks.has(node)
        if not handled:
            return await super().dispatch(node)
        self._begun += 1
        task = self._task(node)
        given = decode_bytes(task.input.data)
        self._timeline.attempt_started(node.id, Answer(input=given, source="run"))
        token = task.token
        if self._chance.worker_dies(token):
            return [self.decide(DeliveryLost(node.id, node.attempt))]
        result, decided = await self._run(task, spec.config)
        if result is None or self._chance.worker_dies(token):
            return [*decided, self.decide(DeliveryLost(node.id, node.attempt))]
        return [*decided, *self._ended(node, result)]

    async def _run(
        self, task: task_pb2.Task, config: bytes
    ) -> tuple[task_pb2.TaskResult | None, list[Transition]]:
        """Run a task; return its result (None if the worker died) and its transitions."""
        token = task.token
        self._results[token] = asyncio.get_running_loop().create_future()
        decided = self._decided[token] = []
        self._runner.accept(task, config)
        try:
            result = await self._results[token]
        finally:
            del self._results[token], self._decided[token]
        failure = result.failure
        return (None if getattr(failure, "class") == _DIED else result), decided

    def _ended(self, node: NodeState, result: task_pb2.TaskResult) -> list[Transition]:
        if result.HasField("suspended"):
            asked = result.suspended
            command = Suspend(
                node.id,
                node.attempt,
                asked.records,
                known=asked.known,
                began_at_us=asked.began_at_us,
                started_at_us=self._now,
            )
            return [self.decide(command)]
        failed = result.HasField("failure")
        ended = TaskEnded(
            node.id,
            node.attempt,
            output=None if failed else result.output,
            failure=result.failure if failed else self._chance.failure(),
            metadata=result.metadata,
            started_at_us=self._now,
        )
        for _ in range(1 + self._chance.repeats()):
            self._later(0, ended)
        return []

    def _finished_task(self, result: task_pb2.TaskResult) -> None:
        waiting = self._results.get(result.token)
        if waiting is not None and not waiting.done():
            waiting.set_result(result)

    def _recorded(self, asked: task_pb2.TaskRecords) -> None:
        """Commit the records of a handler and deliver them to it."""
        token = asked.token
        decided = self._decided.get(token)
        if decided is None:
            return
        if self._chance.worker_dies(token):
            self._die(token)
            return
        node_id, _, attempt = token.rpartition("#")
        command = Record(
            node_id,
            int(attempt.partition(".")[0]),
            asked.records,
            known=asked.known,
            began_at_us=asked.began_at_us,
            started_at_us=self._now,
        )
        done = self.decide(command)
        decided.append(done)
        if self._chance.worker_dies(token):
            self._die(token)
            return
        for node, known in (done.handler_updates or {}).values():
            assert node.journal is not None
            update = task_pb2.TaskRecorded(token=token, start=known)
            update.records.extend(node.journal.records[known:])
            self._runner.recorded(update)
        if done.cancel:
            self._runner.cancel(token)

    def _die(self, token: str) -> None:
        """End a task as by the death of its worker."""
        result = task_pb2.TaskResult(token=token)
        setattr(result.failure, "class", _DIED)
        self._finished_task(result)
        asyncio.get_running_loop().call_soon(self._runner.cancel, token)

    def _task(self, node: NodeState) -> task_pb2.Task:
        state, planned, journal = self._state, node.planned, node.journal
        assert planned.spec is not None
        task = task_pb2.Task(
            token=f"{node.id}#{node.attempt}.{node.delivery}",
            namespace=state.plan.namespace,
            execution_id=state.execution_id,
            workflow_id=state.plan.workflow_id,
            node=node.id,
            attempt=node.attempt,
            task_type=planned.spec.task_type,
            input=render_input(state, node),
            spec_digest=planned.spec.digest,
            idempotency_key=f"{state.execution_id}/{node.id}",
            timeout_ms=planned.timeout_ms,
            queue=planned.queue,
        )
        if journal is not None:
            task.journal.records.extend(journal.records)
            task.journal.began_at_us = journal.began_at_us
        return task


_DIED = "worker died"
