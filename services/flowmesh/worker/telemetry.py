"""Metrics and spans of built-in attempts; labels are task types and failure classes."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from flowmesh.api.worker.v1.task_pb2 import Task
from flowmesh.executors import failures
from flowmesh.telemetry import Metrics, Spans, child_traceparent, trace

# User code has its own names of failures; they share one label.
_CLASSES = frozenset(
    {
        failures.TIMEOUT, failures.NETWORK, failures.RATE_LIMIT, failures.AUTHENTICATION,
        failures.CLIENT, failures.SERVER, failures.VALIDATION, failures.CANCELLED,
        failures.EGRESS_BLOCKED, failures.INTERNAL, failures.CIRCUIT_OPEN,
        failures.SECRET_UNAVAILABLE,
    }
)  # fmt: skip
COMPLETED = "completed"


class PoolTelemetry:
    """Metrics, spans and the log of the pool."""

    def __init__(self, metrics: Metrics, spans: Spans, log: Any) -> None:
        self._attempts = metrics.counter(
            "flowmesh_attempts_total", "Built-in attempts, by outcome.", ("task_type", "outcome")
        )
        self._seconds = metrics.histogram(
            "flowmesh_attempt_seconds", "Time of a built-in attempt.", ("task_type",)
        )
        self._spans = spans
        self._log = log
        self._counted: dict[tuple[str, str], Any] = {}
        self._timed: dict[str, Any] = {}

    def count(self, task_type: str, outcome: str) -> None:
        key = (task_type, outcome if outcome in _CLASSES or outcome == COMPLETED else "UserError")
        child = self._counted.get(key)
        if child is None:
            child = self._counted[key] = self._attempts.labels(*key)
        child.inc()

    @contextmanager
    def attempt(self, task: Task) -> Iterator[None]:
        """Measure an attempt and open its span; calls inside belong to it."""
        timed = self._timed.get(task.task_type)
        if timed is None:
            timed = self._timed[task.task_type] = self._seconds.labels(task.task_type)
        started = time.perf_counter()
        try:
            with ExitStack() as stack:
                for context in self._contexts(task):
                    stack.enter_context(context)
                yield
        finally:
            timed.observe(time.perf_counter() - started)

    def fault(self, task: Task, error: Exception) -> None:
        """Log an unexpected error of an executor."""
        self._log.error("executor_fault", task_type=task.task_type, exc_info=error)

    def _contexts(self, task: Task) -> tuple[AbstractContextManager[object], ...]:
        parent = task.traceparent or child_traceparent()
        attributes: dict[str, str | int] = {
            "flowmesh.execution_id": task.execution_id,
            "flowmesh.node": task.node,
            "flowmesh.attempt": task.attempt,
        }
        name = f"task {task.task_type}"
        return trace(parent), self._spans.span(name, parent=parent, attributes=attributes)
