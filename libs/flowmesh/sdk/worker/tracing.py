"""Trace spans of the tasks of a worker.

Uses the tracer provider of the program if it has set one. Otherwise FLOWMESH_OTLP_ENDPOINT or
OTEL_EXPORTER_OTLP_ENDPOINT names the collector. Without either, no spans are created.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

from flowmesh.api.worker.v1 import task_pb2
from flowmesh.sdk.worker.task_runner import TaskRunner
from flowmesh.telemetry import Span, SpanExport, Spans, endpoint_of, open_export

SERVICE = "flowmesh-worker"
Finished = Callable[[task_pb2.TaskResult], None]


class WorkerTracing:
    """The spans of one worker, with their exporter unless the program provides one.

    Raises TelemetryMissing if a collector is named and OpenTelemetry is not installed.
    """

    def __init__(self, worker_id: str) -> None:
        self._export = SpanExport()
        provider = _provider_of_program()
        if provider is not None:
            self._spans = Spans(provider)
            return
        endpoint = endpoint_of(os.environ.get("FLOWMESH_OTLP_ENDPOINT", ""), "TRACES")
        self._export = open_export(endpoint)
        service = os.environ.get("OTEL_SERVICE_NAME") or SERVICE
        self._spans = self._export.of(service, worker_id)

    def runner(self, *, finished: Finished, **arguments: Any) -> TaskRunner:
        """Return a task runner, with a span per task if spans are exported."""
        if not self._spans.enabled:
            return TaskRunner(finished=finished, **arguments)
        return TracedRunner(self._spans, finished=finished, **arguments)

    async def close(self) -> None:
        """Export the remaining spans."""
        await asyncio.to_thread(self._export.close)


class TracedRunner(TaskRunner):
    """Runs each task in a span, a child of the span of its execution."""

    def __init__(self, spans: Spans, *, finished: Finished, **arguments: Any) -> None:
        super().__init__(finished=self._finished_with_span, **arguments)
        self._spans = spans
        self._forward = finished
        self._open: dict[str, Span] = {}

    def accept(self, task: task_pb2.Task, config: bytes) -> None:
        span = self._open[task.token] = self._spans.begin(
            f"task {task.task_type}",
            parent=task.traceparent,
            kind="CONSUMER",
            attributes={
                "flowmesh.execution_id": task.execution_id,
                "flowmesh.workflow_id": task.workflow_id,
                "flowmesh.node": task.node,
                "flowmesh.attempt": task.attempt,
            },
        )
        # Handlers in other processes do not inherit the span from this context.
        task.traceparent = span.traceparent
        with span.active():
            super().accept(task, config)

    def _finished_with_span(self, result: task_pb2.TaskResult) -> None:
        self._close(result.token, getattr(result.failure, "class"))
        self._forward(result)

    def _end(self, token: str, result: task_pb2.TaskResult | None) -> None:
        super()._end(token, result)
        # A durable handler that continues on another worker has no result here.
        self._close(token, "")

    def _close(self, token: str, failure: str) -> None:
        span = self._open.pop(token, None)
        if span is not None:
            if failure:
                span.fail(failure)
            span.end()


def _provider_of_program() -> Any:
    """Return the tracer provider that the program has set, or None."""
    api = sys.modules.get("opentelemetry.trace")
    sdk = sys.modules.get("opentelemetry.sdk.trace")
    if api is None or sdk is None:
        return None
    provider = api.get_tracer_provider()
    return provider if isinstance(provider, sdk.TracerProvider) else None
