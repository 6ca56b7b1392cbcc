"""A request as spans: kept calls of its trace, its executions, and attempts of tasks on workers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowmesh.api.history.v1 import history_service_pb2 as history_pb
from flowmesh.api.history.v1 import insight_service_pb2 as insight_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import NotFound
from flowmesh.insight.parts import ErrorPart, decode
from flowmesh.insight.traces import AttemptTrace, TaskTrace, Trace
from flowmesh.observe.filters import Where
from flowmesh.observe.limits import EXECUTIONS_OF_TRACE_MAX, FIELDS_BYTES_MAX, RECORDS_OF_TRACE_MAX
from flowmesh.observe.store import SignalStore
from flowmesh.telemetry.context import trace_id_of

if TYPE_CHECKING:
    from flowmesh.api.history.v1.history_service_pb2_grpc import HistoryServiceAsyncStub
    from flowmesh.api.history.v1.insight_service_pb2_grpc import InsightServiceAsyncStub

_OPEN: Final = ("pending", "running", "paused")
_BAD: Final = ("failed", "canceled")


class Requests:
    """Reads what belongs to a request, of one namespace."""

    def __init__(
        self,
        *,
        store: SignalStore,
        histories: "HistoryServiceAsyncStub",
        insights: "InsightServiceAsyncStub",
    ) -> None:
        self._store = store
        self._histories = histories
        self._insights = insights

    async def of_execution(self, namespace: str, execution_id: str) -> pb.ListSpansResponse:
        """Return the request that started an execution. Raises EXECUTION_NOT_FOUND."""
        first = await self._histories.ListHistoryEvents(
            history_pb.ListHistoryEventsRequest(
                namespace=namespace, execution_id=execution_id, page_size=1
            )
        )
        started = first.events[0].workflow_started if first.events else None
        trace_id = trace_id_of(started.traceparent) if started else ""
        found = await self._kept(namespace, trace_id, execution_id)
        await self._add_execution(found, namespace, execution_id)
        return await self._completed(found, namespace, {execution_id})

    async def of_trace(self, namespace: str, trace_id: str) -> pb.ListSpansResponse:
        """Return the request of a trace, with what is left of it."""
        found = await self._kept(namespace, trace_id, "")
        return await self._completed(found, namespace, set())

    async def _kept(self, namespace: str, trace_id: str, execution_id: str) -> pb.ListSpansResponse:
        """Return the kept calls and log records of a trace, and those that name an execution."""
        parts = []
        if trace_id:
            parts.append(f'trace = "{trace_id}"')
        if execution_id:
            parts.append(f'execution = "{execution_id}"')
        text, most = " OR ".join(parts), RECORDS_OF_TRACE_MAX
        calls = await self._store.calls(Where(text, "calls", now_us=0, namespace=namespace), most)
        logs = await self._store.logs(
            Where(text, "logs", now_us=0, namespace=namespace), most, after=0
        )
        return pb.ListSpansResponse(
            trace_id=trace_id,
            spans=[_call(each) for each in calls],
            logs=logs,
            truncated=most in (len(calls), len(logs)),
        )

    async def _completed(
        self, found: pb.ListSpansResponse, namespace: str, known: set[str]
    ) -> pb.ListSpansResponse:
        """Add the other executions that the records name, and order everything by time."""
        named = {each.execution_id for each in found.spans}
        named |= {each.execution_id for each in found.logs}
        named -= known | {""}
        for execution_id in sorted(named)[:EXECUTIONS_OF_TRACE_MAX]:
            try:
                await self._add_execution(found, namespace, execution_id)
            except NotFound:
                # Deleted, or only asked for.
                continue
        found.truncated = found.truncated or len(named) > EXECUTIONS_OF_TRACE_MAX
        found.spans.sort(key=lambda each: (each.start_us, -each.duration_ms))
        found.logs.sort(key=lambda each: each.at_us)
        return found

    async def _add_execution(
        self, found: pb.ListSpansResponse, namespace: str, execution_id: str
    ) -> None:
        answer = await self._insights.AnalyzeTrace(
            insight_pb.AnalyzeTraceRequest(namespace=namespace, execution_id=execution_id)
        )
        trace = decode(answer.report, Trace)
        if not trace.started_at:
            return
        start_us = round(trace.started_at.timestamp() * 1_000_000)
        found.spans.add(
            kind=pb.SPAN_KIND_EXECUTION,
            name=trace.workflow,
            process="orchestrator",
            start_us=start_us,
            duration_ms=trace.duration_ms,
            code=trace.status,
            failed=trace.status in _BAD,
            open=trace.status in _OPEN,
            execution_id=execution_id,
        )
        for task in trace.tasks:
            for attempt in task.attempts:
                span = _attempt(trace, task, attempt, start_us)
                found.spans.append(span)
                found.logs.extend(_lines(found.trace_id, task, attempt, span))
        found.truncated = found.truncated or trace.truncated or trace.omitted > 0


def _call(call: pb.CallRecord) -> pb.Span:
    """Return the span of a call, whose record has the time of its end."""
    return pb.Span(
        kind=pb.SPAN_KIND_CALL,
        name=call.method,
        process=call.service,
        start_us=call.at_us - round(call.duration_ms * 1_000),
        duration_ms=call.duration_ms,
        code=call.code,
        failed=call.code != "OK",
        execution_id=call.execution_id,
    )


def _attempt(trace: Trace, task: TaskTrace, attempt: AttemptTrace, start_us: int) -> pb.Span:
    begun_ms = attempt.started_ms or attempt.ready_ms
    open_ = not attempt.ended_ms
    last = attempt is task.attempts[-1]
    failed = bool(attempt.error)
    return pb.Span(
        kind=pb.SPAN_KIND_ATTEMPT,
        name=task.name,
        process=attempt.worker_id or task.type,
        start_us=start_us + round(begun_ms * 1_000),
        duration_ms=(attempt.ended_ms or trace.duration_ms) - begun_ms,
        code=task.status if last else "failed" if failed else "ended",
        failed=failed,
        open=open_,
        execution_id=trace.execution_id,
        node=task.id,
        attempt=attempt.attempt,
        wait_ms=attempt.wait_ms or 0,
    )


def _lines(
    trace_id: str, task: TaskTrace, attempt: AttemptTrace, span: pb.Span
) -> Iterator[pb.LogRecord]:
    """Yield the lines of a task's log, which are stored with the end of its attempt."""
    details: Any = attempt.error.details if isinstance(attempt.error, ErrorPart) else None
    if attempt is task.attempts[-1] and not isinstance(details, dict):
        details = task.metadata
    lines = details.get("log") if isinstance(details, dict) else None
    for line in lines if isinstance(lines, list) else []:
        if isinstance(line, dict):
            yield _line(trace_id, task, span, line)
    if isinstance(attempt.error, ErrorPart):
        text = f"{attempt.error.class_}: {attempt.error.message}"
        yield _line(trace_id, task, span, {"level": "error", "message": text})


def _line(trace_id: str, task: TaskTrace, span: pb.Span, line: dict[str, Any]) -> pb.LogRecord:
    fields = msgspec.json.encode(line.get("fields") or {})
    return pb.LogRecord(
        at_us=span.start_us + round(span.duration_ms * 1_000),
        level=str(line.get("level", "info")),
        service=task.type,
        instance_id=span.process,
        event=str(line.get("message", "")),
        execution_id=span.execution_id,
        trace_id=trace_id,
        fields=fields.decode() if len(fields) <= FIELDS_BYTES_MAX else '{"shortened": true}',
    )
