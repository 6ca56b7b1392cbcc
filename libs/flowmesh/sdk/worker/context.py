"""What a handler is told of its task, and what it can tell back."""

import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flowmesh.api.worker.v1 import task_pb2
from flowmesh.sdk.failures import TaskCancelled
from flowmesh.sdk.payloads import Json, decode_bytes
from flowmesh.sdk.worker.task_log import Notes

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class TaskContext:
    """Attempt, keys, heartbeat, cancellation and logger of one task.

    `deadline` is on the same monotonic clock as `asyncio` loops and `time.monotonic()`,
    in seconds; None is no limit.
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
        # Set by the first that there is to note.
        self.notes: Notes | None = None

    @property
    def attempt(self) -> int:
        """1 for the first try."""
        return self._task.attempt

    @property
    def idempotency_key(self) -> str:
        """The same on every attempt of this node: pass it on to what you call."""
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
        """W3C trace context of the execution."""
        return self._task.traceparent

    @property
    def timeout_ms(self) -> int:
        """Limit of the attempt; 0 is none."""
        return self._task.timeout_ms

    @property
    def portable(self) -> tuple[bytes, bytes, float | None]:
        """Task, config and deadline: what a context in another process is made of."""
        return self._task.SerializeToString(), self._config, self.deadline

    @cached_property
    def config(self) -> Json:
        """What the definition gives this task type beside its input (`params`), not rendered."""
        return decode_bytes(self._config)

    @cached_property
    def cancelled(self) -> threading.Event:
        """Set when the task is no longer wanted; async handlers also get CancelledError."""
        return threading.Event()

    def raise_if_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise TaskCancelled(f"task {self.node} of {self.execution_id} is no longer wanted")

    def heartbeat(self, details: Json = None) -> None:
        """Says that the task is alive; raises TaskCancelled when it is no longer wanted."""
        self.raise_if_cancelled()
        self._report(self._task.token, details)

    @property
    def remaining_s(self) -> float | None:
        """What is left of the attempt's time; None is no limit."""
        return None if self.deadline is None else max(0.0, self.deadline - self._monotonic())

    def log(self, message: str, level: str = "info", **fields: Json) -> None:
        """A line that is shown with the node, and written to `logger`.

        `level` is debug, info, warning or error; some 16 KiB of an attempt are kept.
        """
        if self.notes is None:
            self.notes = Notes()
        self.notes.log(level, message, fields)
        getattr(self.logger, level)(message, **fields)

    def metric(self, name: str, value: float = 1) -> None:
        """Adds to a figure that is shown with the node."""
        if self.notes is None:
            self.notes = Notes()
        self.notes.metric(name, value)

    @cached_property
    def logger(self) -> "FilteringBoundLogger":
        """A structlog logger with the task's ids bound."""
        import structlog  # most handlers do not log

        logger: Any = structlog.get_logger("flowmesh.task")
        bound: FilteringBoundLogger = logger.bind(
            execution_id=self.execution_id,
            workflow_id=self.workflow_id,
            node=self.node,
            attempt=self.attempt,
        )
        return bound
