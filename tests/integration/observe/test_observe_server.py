"""The calls of the observe service, on a real database."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.execution.v1 import search_service_pb2 as search_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import Invalid, NotFound, Unavailable
from flowmesh.observe.keeping import Keeping
from flowmesh.observe.objective_store import ObjectiveStore
from flowmesh.observe.questions.sums import DAY_US, HOUR_US, Range
from flowmesh.observe.server import ObserveServer
from flowmesh.observe.slos import Slos
from flowmesh.observe.store import SignalStore
from tests.integration.observe.stand_ins import batch, stub

Asked = list[tuple[object, ...]]


def counted(request: search_pb.CountExecutionsRequest) -> search_pb.CountExecutionsResponse:
    """Of ten executions two failed; of the others three were slow."""
    counts = {"completed": 3} if "duration" in request.filter else {"completed": 8, "failed": 2}
    groups = [search_pb.ExecutionGroup(values=[key], count=each) for key, each in counts.items()]
    return search_pb.CountExecutionsResponse(groups=groups)


@pytest.fixture
def slos() -> Slos:
    return Slos(
        searches=stub(CountExecutions=counted),
        definitions=stub(GetWorkflow=lambda _: definition_pb.GetWorkflowResponse()),
    )


@pytest.fixture
def asked() -> Asked:
    """Stand-ins that record the calls of the server and return empty responses."""
    return []


@pytest.fixture
def make(pool: Any, now_us: int, slos: Slos, asked: Asked) -> Callable[[Any], ObserveServer]:
    """Makes a server of a signal store."""

    def question(answer: Callable[[], object]) -> Callable[..., Any]:
        async def called(*values: object) -> object:
            asked.append(values)
            return answer()

        return called

    questions: Any = SimpleNamespace(
        slowness=SimpleNamespace(explained=question(pb.ExplainSlownessResponse)),
        queues=SimpleNamespace(of=question(pb.GetQueueUseResponse)),
        workers=SimpleNamespace(compared=question(pb.CompareWorkersResponse)),
        services=SimpleNamespace(of=question(pb.GetServiceMapResponse)),
    )
    kept = pb.LogRecord(fields='{"exception": "Traceback", "id": 1}')
    requests: Any = SimpleNamespace(
        of_execution=question(lambda: pb.ListSpansResponse(logs=[kept])),
        of_trace=question(lambda: pb.ListSpansResponse(trace_id="t")),
    )

    def made(store: Any) -> ObserveServer:
        return ObserveServer(
            store=store,
            keeping=Keeping(now_us=lambda: now_us, log=structlog.get_logger()),
            slos=slos,
            objectives=ObjectiveStore(pool),
            requests=requests,
            questions=questions,
            now_us=lambda: now_us,
        )

    return made


@pytest.fixture
def server(make: Callable[[Any], ObserveServer], signals: SignalStore) -> ObserveServer:
    return make(signals)


async def test_pages_and_tails_of_log_records(server: ObserveServer, now_us: int) -> None:
    """Pages are newest first and of one namespace; a tail begins after a position."""
    request = pb.RecordSignalsRequest(service="gateway", instance_id="gateway-1")
    for number in range(5):
        request.logs.add(
            at_us=now_us,
            level="error",
            event=f"e{number}",
            namespace="n" if number else "",
            fields='{"exception": "Traceback", "id": 1}',
        )
    await server.RecordSignals(request, None)
    first = await server.ListLogs(pb.ListLogsRequest(namespace="n", page_size=3), None)
    assert [each.event for each in first.logs] == ["e4", "e3", "e2"]
    assert {each.fields for each in first.logs} == {'{"id":1}'}
    assert first.not_kept_since_us == 0
    more = pb.ListLogsRequest(namespace="n", page_size=3, page_token=first.next_page_token)
    second = await server.ListLogs(more, None)
    assert ([each.event for each in second.logs], second.next_page_token) == (["e1"], "")
    after = first.logs[-1].position
    tail = await server.ListLogs(pb.ListLogsRequest(namespace="n", page_size=1, after=after), None)
    assert ([each.event for each in tail.logs], tail.next_page_token) == (["e3"], "")
    for beyond, events in ((2**63 - 1, []), (-(2**63), ["e1", "e2", "e3", "e4"])):
        found = await server.ListLogs(pb.ListLogsRequest(namespace="n", after=beyond), None)
        assert [each.event for each in found.logs] == events
    of_all = await server.ListServiceLogs(pb.ListServiceLogsRequest(filter="level = error"), None)
    assert [each.event for each in of_all.logs] == ["e4", "e3", "e2", "e1", "e0"]
    assert "Traceback" in of_all.logs[0].fields
    wrong = pb.ListLogsRequest(namespace="other", page_token=first.next_page_token)
    with pytest.raises(Invalid, match="page_token"):
        await server.ListLogs(wrong, None)


async def test_pages_of_calls(server: ObserveServer, now_us: int) -> None:
    """Without a size a page has 100, and at most 1,000 with one."""
    request = pb.RecordSignalsRequest(service="gateway", instance_id="gateway-1")
    for number in range(1_000):
        request.calls.add(
            at_us=now_us, service="S", code="OK", duration_ms=number, namespace="n" * (number != 0)
        )
    await server.RecordSignals(request, None)
    page = await server.ListCalls(pb.ListCallsRequest(namespace="n"), None)
    assert [each.duration_ms for each in page.calls] == list(range(999, 899, -1))
    more = await server.ListCalls(
        pb.ListCallsRequest(namespace="n", page_token=page.next_page_token, page_size=5_000), None
    )
    assert [each.duration_ms for each in more.calls] == list(range(899, 0, -1))
    assert not more.next_page_token
    every = await server.ListServiceCalls(pb.ListServiceCallsRequest(page_size=5_000), None)
    assert len(every.calls) == 1_000
    assert every.next_page_token


async def test_series_of_kept_metrics(server: ObserveServer, now_us: int) -> None:
    """Of the last hour by minutes, as they were recorded."""
    minute_us = (now_us - HOUR_US // 2) // 60_000_000 * 60_000_000
    await server.RecordSignals(batch(minute_us, {"calls_total": {"code=OK": 3}}), None)
    found = await server.ListSeries(
        pb.ListSeriesRequest(metric="calls_total", group_by="code"), None
    )
    (series,) = found.series
    assert (found.step_s, series.group) == (60, "OK")
    assert [(each.at_us, each.value) for each in series.points] == [(minute_us, 3)]


async def test_signals_that_are_not_stored(
    make: Callable[[Any], ObserveServer], now_us: int
) -> None:
    """The call fails, and readers see since when."""

    async def fails(_: object) -> None:
        raise OSError("full")

    async def nothing(*_: object, **_named: object) -> list[pb.LogRecord]:
        return []

    server = make(SimpleNamespace(write=fails, logs=nothing))
    request = pb.RecordSignalsRequest(service="gateway", instance_id="gateway-1")
    with pytest.raises(Unavailable) as refused:
        await server.RecordSignals(request, None)
    assert refused.value.reason == "STORAGE_UNAVAILABLE"
    mine = await server.ListLogs(pb.ListLogsRequest(), None)
    every = await server.ListServiceLogs(pb.ListServiceLogsRequest(), None)
    assert mine.not_kept_since_us == every.not_kept_since_us == now_us


async def test_objectives_of_workflows(server: ObserveServer) -> None:
    """With a target in the request its state is computed, without one that of the stored one."""
    with pytest.raises(NotFound):
        await server.GetSlo(pb.GetSloRequest(workflow_id="w"), None)
    tried = await server.GetSlo(pb.GetSloRequest(workflow_id="w", target=50), None)
    assert (tried.slo.good, tried.slo.bad, tried.slo.reached) == (8, 2, 80)
    assert await server.ListSlos(pb.ListSlosRequest(), None) == pb.ListSlosResponse()
    made = await server.SetSlo(
        pb.SetSloRequest(workflow_id="w", target=90, slower_than_ms=5, alert_burn_rate=0.5), None
    )
    assert (made.slo.good, made.slo.bad, made.slo.burning) == (5, 5, True)
    assert (made.slo.window_s, made.slo.alert_burn_rate) == (30 * 86_400, 0.5)
    stored = await server.GetSlo(pb.GetSloRequest(workflow_id="w"), None)
    assert stored.slo == made.slo
    listed = await server.ListSlos(pb.ListSlosRequest(), None)
    assert [each.target for each in listed.slos] == [90]
    await server.DeleteSlo(pb.DeleteSloRequest(workflow_id="w"), None)
    with pytest.raises(NotFound):
        await server.DeleteSlo(pb.DeleteSloRequest(workflow_id="w"), None)


async def test_spans_of_an_execution_or_a_trace(server: ObserveServer, asked: Asked) -> None:
    """One of both is given; readers see no traceback."""
    trace = "0123456789abcdef" * 2
    for both in (
        pb.ListSpansRequest(),
        pb.ListSpansRequest(execution_id="e", trace_id=trace),
        pb.ListSpansRequest(trace_id=trace.upper()),
        pb.ListSpansRequest(trace_id=trace + "0"),
    ):
        with pytest.raises(Invalid):
            await server.ListSpans(both, None)
    found = await server.ListSpans(pb.ListSpansRequest(execution_id="e"), None)
    assert [each.fields for each in found.logs] == ['{"id":1}']
    await server.ListSpans(pb.ListSpansRequest(namespace="n", trace_id=trace), None)
    assert asked == [("default", "e"), ("n", trace)]


async def test_ranges_of_questions(server: ObserveServer, asked: Asked, now_us: int) -> None:
    """By default a day for a slow workflow, and an hour for the others."""
    hour, day = Range(now_us - HOUR_US, now_us), Range(now_us - DAY_US, now_us)
    await server.ExplainSlowness(pb.ExplainSlownessRequest(workflow_id="w"), None)
    await server.GetQueueUse(pb.GetQueueUseRequest(queue="q"), None)
    await server.CompareWorkers(pb.CompareWorkersRequest(), None)
    await server.GetServiceMap(pb.GetServiceMapRequest(), None)
    assert asked == [("default", "w", day), ("default", "q", hour), ("default", hour), (hour,)]
    asked.clear()
    given = {"from_us": now_us - 5, "until_us": now_us - 3}
    await server.GetServiceMap(pb.GetServiceMapRequest(**given), None)
    assert asked == [(Range(now_us - 5, now_us - 3),)]
