"""The spans of a request, from kept records and the traces of executions."""

from typing import Any

import pytest

from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.api.history.v1 import history_service_pb2 as history_pb
from flowmesh.api.history.v1 import insight_service_pb2 as insight_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import NotFound
from flowmesh.insight.parts import ErrorPart, encode
from flowmesh.insight.traces import Trace
from flowmesh.observe.spans import Requests
from flowmesh.observe.store import SignalStore
from tests.integration.observe.stand_ins import ran, stub, traced
from tests.unit.engine.factories import node, plan

TRACE = "0123456789abcdef" * 2
PARENT = f"00-{TRACE}-{'1' * 16}-01"


class Executions:
    """Histories and traces of executions, with their requests."""

    def __init__(self, *traces: Trace, traceparent: str = PARENT) -> None:
        self._traces = {each.execution_id: each for each in traces}
        self._traceparent = traceparent

    def requests(self, signals: SignalStore) -> Requests:
        return Requests(
            store=signals,
            histories=stub(ListHistoryEvents=self._events),
            insights=stub(AnalyzeTrace=self._trace),
        )

    def _events(self, request: Any) -> history_pb.ListHistoryEventsResponse:
        assert request.page_size == 1
        started = history.WorkflowStarted(traceparent=self._traceparent)
        events = [history.HistoryEvent(workflow_started=started)]
        return history_pb.ListHistoryEventsResponse(events=events if self._traceparent else [])

    def _trace(self, request: Any) -> insight_pb.AnalyzeTraceResponse:
        if request.execution_id not in self._traces:
            raise NotFound("EXECUTION_NOT_FOUND", "deleted")
        return insight_pb.AnalyzeTraceResponse(report=encode(self._traces[request.execution_id]))


def simple(execution_id: str, begun_us: int) -> Trace:
    """A task that waited 20 ms and ran 60 ms."""
    task = ran("charge", begun_us, ready_ms=10, started_ms=30, ended_ms=90)
    return traced(execution_id, plan(node("charge")), begun_us, task, ended_ms=100)


def shown(found: pb.ListSpansResponse) -> list[tuple[str, int, float, str]]:
    return [(each.name, each.start_us, each.duration_ms, each.code) for each in found.spans]


@pytest.fixture
async def begun_us(signals: SignalStore, now_us: int) -> int:
    """The begin of the executions; a call of their trace started one, and another one failed."""
    request = pb.RecordSignalsRequest(instance_id="i")
    end_us = now_us + 2_500
    request.calls.add(
        at_us=end_us, service="gateway", method="Start", code="OK", duration_ms=5, namespace="n",
        trace_id=TRACE,
    )  # fmt: skip
    request.calls.add(
        at_us=now_us + 200_000, service="ExecutionService", method="Wait", code="INTERNAL",
        duration_ms=100, namespace="n", execution_id="e",
    )  # fmt: skip
    request.calls.add(
        at_us=now_us, service="gateway", method="Hidden", code="OK", namespace="other",
        trace_id=TRACE,
    )  # fmt: skip
    await signals.write(request)
    return now_us


async def test_the_request_of_an_execution(signals: SignalStore, begun_us: int) -> None:
    """Its calls by their begins, the execution, and its attempt when a worker started it."""
    found = await Executions(simple("e", begun_us)).requests(signals).of_execution("n", "e")
    assert found.trace_id == TRACE
    assert shown(found) == [
        ("Start", begun_us - 2_500, 5, "OK"),
        ("w", begun_us, 100, "completed"),
        ("charge", begun_us + 30_000, 60, "success"),
        ("Wait", begun_us + 100_000, 100, "INTERNAL"),
    ]
    assert [each.failed for each in found.spans] == [False, False, False, True]
    attempt = found.spans[2]
    assert (attempt.process, attempt.node, attempt.attempt) == ("worker-1", "charge", 1)
    assert (attempt.wait_ms, attempt.open, attempt.execution_id) == (20, False, "e")
    assert not found.truncated


async def test_an_execution_without_a_trace(signals: SignalStore, begun_us: int) -> None:
    """Only what names it."""
    outside = Executions(simple("e", begun_us), traceparent="")
    found = await outside.requests(signals).of_execution("n", "e")
    assert found.trace_id == ""
    assert [each.name for each in found.spans] == ["w", "charge", "Wait"]


async def test_other_executions_of_a_trace(signals: SignalStore, begun_us: int) -> None:
    """The first ten that its records name, unless they are deleted; log lines are by time."""
    request = pb.RecordSignalsRequest(instance_id="i")
    for number in reversed(range(10)):
        request.logs.add(
            at_us=begun_us + number, event=f"e{number}", execution_id=f"e{number}", namespace="n",
            trace_id=TRACE, fields="{}",
        )  # fmt: skip
    await signals.write(request)
    traces = [simple(f"e{number}", begun_us) for number in range(1, 12)]
    requests = Executions(*traces).requests(signals)
    found = await requests.of_trace("n", TRACE)
    assert [each.event for each in found.logs] == [f"e{number}" for number in range(10)]
    named = [each.execution_id for each in found.spans if each.kind == pb.SPAN_KIND_EXECUTION]
    assert named == [f"e{number}" for number in range(1, 10)]
    assert not found.truncated
    request.logs.add(execution_id="f", namespace="n", trace_id=TRACE, fields="{}")
    await signals.write(request)
    assert (await requests.of_trace("n", TRACE)).truncated


async def test_log_lines_of_attempts(signals: SignalStore, begun_us: int) -> None:
    """Those of the metadata or of the failure, at the end of the attempt."""
    trace = simple("e", begun_us)
    (task,) = trace.tasks
    lines = [
        {"message": "half", "fields": {"share": 0.5}},
        "no line",
        {"level": "debug", "message": "long", "fields": {"text": "x" * 5_000}},
    ]
    task.metadata = {"log": lines}
    found = await Executions(trace).requests(signals).of_execution("n", "e")
    logs = [(each.at_us - begun_us, each.level, each.event, each.fields) for each in found.logs]
    assert logs == [
        (90_000, "info", "half", '{"share":0.5}'),
        (90_000, "debug", "long", '{"shortened": true}'),
    ]
    assert {(each.service, each.instance_id) for each in found.logs} == {("work", "worker-1")}
    (attempt,) = task.attempts
    attempt.error = ErrorPart(class_="Refused", message="no card", details={"log": lines[:1]})
    found = await Executions(trace).requests(signals).of_execution("n", "e")
    assert [each.event for each in found.logs] == ["half", "Refused: no card"]
    assert found.spans[2].failed


async def test_a_trace_of_500_records(signals: SignalStore, begun_us: int) -> None:
    """May have more that are not shown; one of 499 has not."""
    request = pb.RecordSignalsRequest(instance_id="i")
    for _ in range(498):
        request.calls.add(at_us=begun_us, service="S", code="OK", namespace="n", trace_id=TRACE)
    await signals.write(request)
    requests = Executions().requests(signals)
    assert not (await requests.of_trace("n", TRACE)).truncated
    del request.calls[1:]
    await signals.write(request)
    assert (await requests.of_trace("n", TRACE)).truncated
