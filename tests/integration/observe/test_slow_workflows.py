"""The explanation of a slow workflow, from other services and kept metrics."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.execution.v1 import execution_service_pb2 as execution_pb
from flowmesh.api.execution.v1 import search_service_pb2 as search_pb
from flowmesh.api.history.v1 import insight_service_pb2 as insight_pb
from flowmesh.api.observe.v1 import questions_pb2 as figures
from flowmesh.errors import NotFound
from flowmesh.insight.parts import encode
from flowmesh.observe.questions.slowness import Slowness
from flowmesh.observe.questions.sums import HOUR_US, Range, Sums
from flowmesh.observe.store import SignalStore
from tests.integration.observe.stand_ins import batch, ran, stub, traced
from tests.unit.engine.factories import node, plan

PLAN = plan(node("charge"), node("mail", "charge"))
SHORTER = plan(node("charge"))
LISTED = 30
# The number and median of the executions by version, without one in all.
BEFORE = {"": (40, 100.0), "1": (40, 100.0)}
SINCE = {"": (25, 600.0), "1": (5, 110.0), "2": (20, 700.0)}
Groups = dict[str, tuple[int, float]]


class Orchestrators:
    """Executions of two ranges of time; those of the second one charge longer, and mail."""

    def __init__(self, span: Range, before: Groups, since: Groups) -> None:
        self._span, self._groups = span, {"before": before, "since": since}
        self._begin = datetime.fromtimestamp(span.from_us / 1_000_000, UTC).isoformat()

    def count(self, request: search_pb.CountExecutionsRequest) -> search_pb.CountExecutionsResponse:
        assert request.durations
        by_version = list(request.group_by) == ["version"]
        return search_pb.CountExecutionsResponse(
            groups=[
                search_pb.ExecutionGroup(
                    values=[version] if version else [], count=count, p50_ms=ms
                )
                for version, (count, ms) in self._groups[self._part(request.filter)].items()
                if bool(version) is by_version
            ]
        )

    def listed(
        self, request: execution_pb.ListExecutionsRequest
    ) -> execution_pb.ListExecutionsResponse:
        part = self._part(request.filter)
        count = min(LISTED, request.page_size) if self._groups[part] else 0
        found = execution_pb.ListExecutionsResponse()
        for number in range(count):
            found.executions.add(execution_id=f"{part}-{number}")
        return found

    def trace(self, request: insight_pb.AnalyzeTraceRequest) -> insight_pb.AnalyzeTraceResponse:
        part, _, number = request.execution_id.partition("-")
        if number == "3":
            raise NotFound("EXECUTION_NOT_FOUND", "deleted meanwhile")
        begun_us = self._span.from_us
        if part == "before":
            tasks = [ran("charge", begun_us, ready_ms=0, started_ms=10, ended_ms=60)]
            made = traced(request.execution_id, SHORTER, begun_us, *tasks, ended_ms=100)
        else:
            tasks = [
                ran("charge", begun_us, ready_ms=0, started_ms=20, ended_ms=520),
                ran("mail", begun_us, ready_ms=520, started_ms=521, ended_ms=590),
            ]
            made = traced(request.execution_id, PLAN, begun_us, *tasks, ended_ms=600)
        return insight_pb.AnalyzeTraceResponse(report=encode(made))

    def _part(self, text: str) -> str:
        return "since" if f'started >= "{self._begin}"' in text else "before"


def slowness(
    signals: SignalStore, span: Range, before: Groups = BEFORE, since: Groups = SINCE
) -> Slowness:
    outside = Orchestrators(span, before, since)
    return Slowness(
        sums=Sums(signals),
        definitions=stub(GetWorkflow=lambda _: definition_pb.GetWorkflowResponse()),
        executions=stub(ListExecutions=outside.listed),
        searches=stub(CountExecutions=outside.count),
        insights=stub(AnalyzeTrace=outside.trace),
    )


@pytest.fixture
def span(now_us: int) -> Range:
    """The hour before now."""
    return Range(now_us - HOUR_US, now_us)


async def test_the_parts_of_a_slower_workflow(signals: SignalStore, span: Range) -> None:
    """Medians of 20 executions, one of them deleted meanwhile; the largest change is first."""
    for at_us, count in ((span.from_us - HOUR_US // 2, 100), (span.from_us + HOUR_US // 2, 50)):
        seconds = {"flowmesh_commit_seconds_sum": {"": 0.4}}
        await signals.write(batch(at_us, {**seconds, "flowmesh_commit_seconds_count": {"": count}}))
    found = await slowness(signals, span).explained("n", "orders", span)
    rows: dict[tuple[int, str], Any] = {
        (each.kind, each.name): (
            *(each.before_count, each.before_ms),
            *(each.after_count, each.after_ms),
        )
        for each in found.differences
    }
    assert list(rows)[:2] == [
        (figures.DIFFERENCE_KIND_WORKFLOW, "orders"),
        (figures.DIFFERENCE_KIND_TASK, "charge"),
    ]
    commits = rows.pop((figures.DIFFERENCE_KIND_DATABASE, "commits"))
    assert commits == pytest.approx((100, 4, 50, 8))
    assert rows == {
        (figures.DIFFERENCE_KIND_WORKFLOW, "orders"): (40, 100, 25, 600),
        (figures.DIFFERENCE_KIND_TASK, "charge"): (19, 50, 19, 500),
        (figures.DIFFERENCE_KIND_WAIT, "charge"): (19, 10, 19, 20),
        (figures.DIFFERENCE_KIND_TASK, "mail"): (0, 0, 19, 69),
        (figures.DIFFERENCE_KIND_WAIT, "mail"): (0, 0, 19, 1),
        (figures.DIFFERENCE_KIND_VERSION, "1"): (40, 100, 5, 110),
        (figures.DIFFERENCE_KIND_VERSION, "2"): (0, 0, 20, 700),
    }
    assert found.text == (
        "orders takes 600 ms in the median of 25 executions, 100 ms before; most of it is the task"
        " charge, which runs 500 ms instead of 50 ms; version 2 is new and takes 700 ms"
    )
    assert (found.before_us, found.since_us) == (span.from_us - HOUR_US, span.from_us)
    assert found.until_us == span.until_us


async def test_a_workflow_without_executions(signals: SignalStore, span: Range) -> None:
    """Of before, or since then; without commits their time is 0."""
    new = await slowness(signals, span, before={}).explained("n", "orders", span)
    assert new.text == "orders takes 600 ms in the median of 25 executions, with none before"
    gone = await slowness(signals, span, since={}).explained("n", "orders", span)
    assert gone.text == "orders has completed no execution since then"
    for found in (new, gone):
        (commits,) = [each for each in found.differences if each.name == "commits"]
        assert (commits.before_ms, commits.after_ms, commits.after_count) == (0, 0, 0)
    ended = {each.name: each for each in gone.differences}
    assert (ended["orders"].before_count, ended["orders"].after_count) == (40, 0)
    assert (ended["1"].before_ms, ended["1"].after_ms, ended["1"].after_count) == (100, 0, 0)
