"""The context of a handler: facts of its task, heartbeats, cancellation and logging."""

import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract.json_value import Json
from flowmesh.sdk.values.failures import TaskCancelled
from flowmesh.sdk.values.payloads import decode_bytes
from flowmesh.sdk.worker.task_log import TaskLog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class TaskContext:
    """Attempt, keys, heartbeat, cancellation and logger of one task.

    `deadline` is in seconds on the monotonic clock of `asyncio` loops and `time.monotonic()`; None
    means no limit.
    """

    def __init__(
        self,
        task: task_pb2.Task,
        *,
        config: bytes,
        deadline: float | None,
        monotonic: Callable[[], float],
        report: Callable[[str, Json], None],
    ) -> None:
        self._task = task
        self._config = config
        self._monotonic = monotonic
        self._report = report
        self.deadline = deadline
        # Created by the first entry.
        self.task_log: TaskLog | None = None

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 1."""
        return self._task.attempt

    @property
    def idempotency_key(self) -> str:
        """A key that all attempts of this node share; pass it to the services that you call."""
        return self._task.idempotency_key

    @property
    def execution_id(self) -> str:
        return self._task.execution_id

    @property
    def workflow_id(self) -> str:
        return self._task.workflow_id

    @property
    def namespace(self) -> str:
        return self._task.namespace

    @property
    def node(self) -> str:
        return self._task.node

    @property
    def task_type(self) -> str:
        return self._task.task_type

    @property
    def traceparent(self) -> str:
        """The W3C trace context of the execution."""
        return self._task.traceparent

    @property
    def timeout_ms(self) -> int:
        """The time limit of the attempt; 0 means none."""
        return self._task.timeout_ms

    @property
    def portable(self) -> tuple[bytes, bytes, float | None]:
        """Task, config and deadline, from which another process creates its context."""
        return self._task.SerializeToString(), self._config, self.deadline

    @cached_property
    def config(self) -> Json:
        """The `params` of the task in the definition, not rendered."""
        return decode_bytes(self._config)

    @cached_property
    def cancelled(self) -> threading.Event:
        """An event, set when the task is canceled; async handlers also get CancelledError."""
        return threading.Event()

    def raise_if_cancelled(self) -> None:
        """Raise TaskCancelled if the task is canceled."""
        if self.cancelled.is_set():
            raise TaskCancelled(f"task {self.node} of {self.execution_id} is no longer wanted")

    def heartbeat(self, details: Json = None) -> None:
        """Report that the task is alive; raises TaskCancelled if it is canceled."""
        self.raise_if_cancelled()
        self._report(self._task.token, details)

    @property
    def remaining_s(self) -> float | None:
        """The seconds left of the time limit of the attempt; None means no limit."""
        return None if self.deadline is None else max(0.0, self.deadline - self._monotonic())

    def log(self, message: str, level: str = "info", **fields: Json) -> None:
        """Add a line to the log of the node, and write it to `logger`.

        `level` is debug, info, warning or error; about 16 KiB per attempt are stored.
        """
        if self.task_log is None:
            self.task_log = TaskLog()
        self.task_log.log(level, message, fields)
        getattr(self.logger, level)(message, **fields)

    def metric(self, name: str, value: float = 1) -> None:
        """Add `value` to a metric of the node."""
        if self.task_log is None:
            self.task_log = TaskLog()
        self.task_log.metric(name, value)

    @cached_property
    def logger(self) -> "FilteringBoundLogger":
        """A structlog logger with the ids of the task bound."""
        import structlog  # imported late, as most handlers do not log

        logger: Any = structlog.get_logger("flowmesh.task")
        bound: FilteringBoundLogger = logger.bind(
            execution_id=self.execution_id,
            workflow_id=self.workflow_id,
            node=self.node,
            attempt=self.attempt,
        )
        return bound
