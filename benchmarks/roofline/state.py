"""Executions without an engine: sequential or parallel steps, and their events."""

from collections.abc import Callable

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.api.worker.v1 import task_pb2

PARTITION_COUNT = 64
NOOP = "bench.noop"
PLAN_DIGEST = "0" * 64

Answer = Callable[["Execution"], None]


class Execution:
    """An execution of a workflow such as `chain-3`, `fan-200` or `sleeper`."""

    __slots__ = ("ended", "id", "left", "on_end", "output", "partition", "request", "seq", "steps")

    def __init__(
        self, execution_id: str, partition: int, request: pb.StartExecutionRequest
    ) -> None:
        self.id = execution_id
        self.partition = partition
        self.request = request
        self.seq = 0
        self.ended = False
        self.on_end: list[Answer] = []
        self.output = payload_pb2.Payload()
        kind, _, size = request.workflow_id.partition("-")
        # The number of sequential stages; the second of a fan-out is the join.
        self.steps = {"chain": int(size or 0), "fan": 2}.get(kind, 0)
        self.left = int(size) if kind == "fan" else 1


class BatchedExecution:
    """The events that one batch adds to an execution."""

    __slots__ = ("events", "execution", "first_seq", "tasks")

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.events = history_event_pb2.HistoryEvents()
        self.first_seq = execution.seq + 1
        self.tasks: list[task_pb2.Task] = []

    def start(self, now_us: int) -> None:
        request = self.execution.request
        body = self._event(now_us).workflow_started
        body.namespace = "default"
        body.workflow_id = request.workflow_id
        body.version = 1
        body.plan_digest = PLAN_DIGEST
        body.input.CopyFrom(request.input)
        body.request_id = request.request_id
        if self.execution.steps:
            self._schedule(now_us, self.execution.left)

    def result(self, result: task_pb2.TaskResult, node: str, now_us: int) -> None:
        """Add the end of a step; the last parallel step starts the next stage."""
        execution = self.execution
        started = self._event(now_us).task_started
        started.node, started.attempt, started.worker_id = node, 1, result.worker_id
        completed = self._event(now_us).task_completed
        completed.node, completed.attempt = node, 1
        completed.output.CopyFrom(result.output)
        execution.left -= 1
        if execution.left:
            return
        execution.steps -= 1
        if execution.steps:
            execution.left = 1
            self._schedule(now_us, 1)
            return
        execution.ended = True
        execution.output = result.output
        self._event(now_us).workflow_completed.output.CopyFrom(result.output)

    def _schedule(self, now_us: int, count: int) -> None:
        execution = self.execution
        for number in range(count):
            node = f"s{execution.steps}-{number}"
            body = self._event(now_us).task_scheduled
            body.node, body.attempt = node, 1
            token = f"{execution.id}|{node}|1"
            task = task_pb2.Task(
                token=token,
                namespace="default",
                execution_id=execution.id,
                workflow_id=execution.request.workflow_id,
                node=node,
                attempt=1,
                task_type=NOOP,
                spec_digest=PLAN_DIGEST,
                input=execution.request.input,
                idempotency_key=token,
                partition=execution.partition,
                epoch=1,
            )
            self.tasks.append(task)

    def _event(self, now_us: int) -> history_event_pb2.HistoryEvent:
        self.execution.seq += 1
        return self.events.events.add(sequence=self.execution.seq, at_us=now_us)


class Ids:
    """Generates ids ordered by time, with the partition at the end."""

    def __init__(self) -> None:
        self._count = 0

    def make(self, now_us: int) -> tuple[str, int]:
        self._count += 1
        partition = self._count % PARTITION_COUNT
        return f"exec-{now_us // 1_000:011x}{self._count:08x}{partition:02x}", partition
