"""Insights of an orchestrator: into own executions, those of others, and those without owner."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import insight_service_pb2 as pb
from flowmesh.engine import Erase, TaskEnded, Terminate
from flowmesh.errors import Invalid, NotFound, Unavailable
from flowmesh.orchestrator.composition import compose
from flowmesh.orchestrator.insight import subjects
from flowmesh.orchestrator.insight.insights import Insights
from flowmesh.orchestrator.insight.replays import KEPT_MAX
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.services import insights_of as composed_insights
from flowmesh.orchestrator.storage.archive import Archive
from flowmesh.orchestrator.storage.archive_files import FolderFiles
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.orchestrator.storage.stores import execution_store
from flowmesh.plan import Plan
from tests.integration.orchestrator.core import Core, archiving_of, running
from tests.integration.orchestrator.factories import digested
from tests.unit.engine.factories import node, plan

CHAIN = digested(plan(node("a"), node("b", "a")))


class There:
    """The stub of an orchestrator in this process; without one calls fail."""

    def __init__(self, insights: Insights | None) -> None:
        self.insights = insights

    async def ExplainExecution(
        self, request: pb.ExplainExecutionRequest, metadata: Any
    ) -> pb.ExplainExecutionResponse:
        if self.insights is None:
            raise Unavailable("SERVICE_UNAVAILABLE", "the peer does not answer")
        report = await self.insights.explain(request, forwarded=True)
        return pb.ExplainExecutionResponse(report=report)


def insights_of(core: Core, there: Insights | None = None, folder: Path | None = None) -> Insights:
    stub: Any = There(there)
    composed = core.composed
    if folder is not None:
        composed = compose(replace(core.given, archive=Archive(FolderFiles(folder))))
    return composed_insights(composed, lambda _: stub)


async def ended(core: Core, execution_id: str, output: payload_pb2.Payload) -> None:
    command = TaskEnded("a", 1, output=output)
    await core.ask(lambda reply: PendingCommand(execution_id, 1, command, reply))


async def why(insights: Insights, execution_id: str) -> list[str]:
    request = pb.ExplainExecutionRequest(execution_id=execution_id)
    report = orjson.loads(await insights.explain(request, forwarded=False))
    return [each["cause"] for each in report["findings"]]


async def test_the_owner_explains_for_all(store: OrchestratorStore) -> None:
    """Another orchestrator calls it; while it does not answer, that is the cause."""
    async with running(store) as owner:
        execution_id = await owner.start(CHAIN)
        insights = insights_of(owner)
        assert await why(insights, execution_id) == ["NO_WORKER"]
        async with running(store) as other:
            partition = 1
            assert other.memory.ownership.owner_address(partition)
            assert await why(insights_of(other, insights), execution_id) == ["NO_WORKER"]
            assert await why(insights_of(other), execution_id) == ["PARTITION_UNOWNED"]


async def test_a_process_without_lease_answers_from_rows_only(store: OrchestratorStore) -> None:
    """Its memory of workers may be old: the rows are believed and nothing else."""
    async with running(store) as core:
        execution_id = await core.start(CHAIN)
        core.life.keeper.forget_all()
        assert await why(insights_of(core), execution_id) == ["PARTITION_UNOWNED"]


async def test_histories_are_read_on_from_where_they_were_left(store: OrchestratorStore) -> None:
    """Later commits are included; a replay that was dropped begins again."""
    async with running(store) as core:
        insights = insights_of(core)
        execution_id = await core.start(CHAIN)

        async def sequence() -> int:
            request = pb.GetStateAtRequest(execution_id=execution_id)
            return int(orjson.loads(await insights.state_at(request))["sequence"])

        assert await sequence() == 2
        await ended(core, execution_id, payload_pb2.Payload(data=b"1"))
        assert await sequence() == 5
        for _ in range(KEPT_MAX + 1):
            other = pb.GetStateAtRequest(execution_id=await core.start(CHAIN))
            await insights.state_at(other)
        assert await sequence() == 5
        with pytest.raises(NotFound):
            await insights.state_at(
                pb.GetStateAtRequest(execution_id=execution_id, namespace="another")
            )
        both = pb.GetStateAtRequest(execution_id=execution_id, sequence=1, at_us=1)
        with pytest.raises(Invalid):
            await insights.state_at(both)


async def test_erased_values_are_shown_no_more(store: OrchestratorStore) -> None:
    """Not of moments that were looked at before, and not while the rows have them still."""
    async with running(store) as core:
        insights = insights_of(core)
        execution_id = await core.start(CHAIN)
        await ended(core, execution_id, payload_pb2.Payload(data=b"1"))
        await core.ask(lambda reply: PendingCommand(execution_id, 1, Terminate("enough"), reply))

        async def shown() -> Any:
            request = pb.GetStateAtRequest(execution_id=execution_id, sequence=5)
            return orjson.loads(await insights.state_at(request))["variables"]["tasks"]

        assert await shown() == {"a": 1}
        await core.ask(lambda reply: PendingCommand(execution_id, 1, Erase("she asked"), reply))
        assert await shown() == {"a": None}
        again = insights_of(core)
        trace = await again.trace(pb.AnalyzeTraceRequest(execution_id=execution_id))
        assert orjson.loads(trace)["status"] == "canceled"
        request = pb.GetStateAtRequest(execution_id=execution_id, sequence=5)
        assert orjson.loads(await again.state_at(request))["variables"]["tasks"] == {"a": None}


async def test_stored_payloads_are_compared_by_what_they_hold(store: OrchestratorStore) -> None:
    """They are read for the report, from where they are stored."""
    async with running(store) as core:
        ids = []
        for value in (b'{"k":1,"same":0}', b'{"k":2,"same":0}'):
            ids.append(await core.start(CHAIN))
            stored = await core.memory.payloads.put("default", "", value)
            await ended(core, ids[-1], stored)
        request = pb.CompareExecutionsRequest(execution_id=ids[0], other_execution_id=ids[1])
        report = orjson.loads(await insights_of(core).compare(request))
        assert [each["path"] for each in report["nodes"][0]["output"]] == ["k"]
        watched = pb.WatchVariableRequest(execution_id=ids[0], path="tasks.a.output.k")
        steps = orjson.loads(await insights_of(core).watch(watched))["steps"]
        assert [each["value"] for each in steps if each["action"] == "set"] == [1]


async def test_only_what_has_ended_is_ranked(store: OrchestratorStore) -> None:
    """A workflow without such executions has no comparison."""
    async with running(store) as core:
        await core.start(CHAIN)
        request = pb.RankBottlenecksRequest(workflow_id=CHAIN.workflow_id)
        with pytest.raises(NotFound):
            await insights_of(core).bottlenecks(request)


async def test_a_history_that_is_too_long_to_keep_is_replayed(
    store: OrchestratorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any moment of it is there, and the other reports say that they are cut."""
    monkeypatch.setattr(subjects, "EVENTS_MAX", 3)
    monkeypatch.setattr(execution_store, "HISTORY_ROWS_AT_ONCE", 1)
    async with running(store) as core:
        insights = insights_of(core)
        execution_id = await core.start(CHAIN)
        await ended(core, execution_id, payload_pb2.Payload(data=b"1"))
        for at, wanted in ((0, 5), (1, 1), (4, 4), (9, 5), (2, 2)):
            request = pb.GetStateAtRequest(execution_id=execution_id, sequence=at)
            report = orjson.loads(await insights.state_at(request))
            assert (report["sequence"], report["lastSequence"]) == (wanted, 5)
        early = pb.GetStateAtRequest(execution_id=execution_id, at_us=1)
        with pytest.raises(Invalid):
            await insights.state_at(early)
        trace = await insights.trace(pb.AnalyzeTraceRequest(execution_id=execution_id))
        assert orjson.loads(trace)["truncated"]


async def test_archived_executions_are_still_explained(
    store: OrchestratorStore, tmp_path: Path
) -> None:
    """Its moments and its trace, when no row has it any more."""
    async with running(store) as core:
        execution_id = await core.start(plan_of_one())
        await ended(core, execution_id, payload_pb2.Payload(data=b"1"))
        archiving = archiving_of(store, core.given.plans, Archive(FolderFiles(tmp_path)))
        await archiving.take([execution_id])
        await store.pool.execute("delete from orchestrator.executions")
        insights = insights_of(core, folder=tmp_path)
        request = pb.GetStateAtRequest(execution_id=execution_id, sequence=2)
        assert orjson.loads(await insights.state_at(request))["lastSequence"] == 5
        trace = await insights.trace(pb.AnalyzeTraceRequest(execution_id=execution_id))
        assert orjson.loads(trace)["criticalPath"] == ["a"]


def plan_of_one() -> Plan:
    return digested(plan(node("a")))
