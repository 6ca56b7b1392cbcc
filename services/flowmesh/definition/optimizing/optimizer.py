"""Proposes changes of a stored workflow, and rehearses them. It stores and changes nothing."""

import asyncio
import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as executions_pb
from flowmesh.api.history.v1 import insight_service_pb2 as insight_pb
from flowmesh.contract.json_value import Json
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.limits import (
    OPTIMIZE_EXECUTIONS,
    OPTIMIZE_EXECUTIONS_MAX,
    OPTIMIZE_S,
    PROPOSALS_MAX,
    REHEARSED_MAX,
    REPLAYS_MAX,
)
from flowmesh.definition.optimizing.rehearsal import Past, past_of, repeats_of
from flowmesh.dryrun.report import Report
from flowmesh.dryrun.run import dry_run
from flowmesh.dryrun.source import stand_ins
from flowmesh.errors import FlowmeshError, Invalid, Timeout, Violation
from flowmesh.insight.bottlenecks import Bottlenecks
from flowmesh.insight.optimizing.report import Optimization, Proposal, Replay
from flowmesh.insight.optimizing.rules import Draft, drafts, edited
from flowmesh.insight.parts import decode, encode
from flowmesh.rpc import namespace_of, valid_id
from flowmesh.sandbox import Sandbox, on_behalf_of
from flowmesh.sandbox.turns import Turns

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub
    from flowmesh.api.history.v1.insight_service_pb2_grpc import InsightServiceAsyncStub

NATIVE = "native"


class Optimizer:
    """Optimizes one workflow at a time, in turn by namespace."""

    def __init__(
        self,
        *,
        catalog: DefinitionCatalog,
        sandbox: Sandbox,
        executions: "ExecutionServiceAsyncStub",
        insights: "InsightServiceAsyncStub",
    ) -> None:
        self._catalog, self._sandbox = catalog, sandbox
        self._executions, self._insights = executions, insights
        self._turns = Turns(1)

    async def run(self, request: pb.OptimizeWorkflowRequest) -> bytes:
        """Return the report as JSON."""
        namespace = namespace_of(request)
        workflow_id = valid_id(request.workflow_id, "workflow_id")
        try:
            async with asyncio.timeout(OPTIMIZE_S), self._turns.turn(namespace):
                with on_behalf_of(namespace):
                    return encode(
                        await self._run(namespace, workflow_id, request.execution_count_max)
                    )
        except TimeoutError:
            message = f"the optimization takes longer than {OPTIMIZE_S:.0f} s"
            raise Timeout("DEADLINE_EXCEEDED", message) from None

    async def _run(self, namespace: str, workflow_id: str, count: int) -> Optimization:
        stored = await self._catalog.workflow(namespace, workflow_id, 0)
        if stored.format != NATIVE:
            text = f"{workflow_id} has the format {stored.format}; convert it to native first"
            raise Invalid(
                "REQUEST_INVALID",
                text,
                violations=(Violation("workflow_id", text, "REQUEST_INVALID"),),
            )
        if count > OPTIMIZE_EXECUTIONS_MAX:
            text = (
                f"an optimization reads at most {OPTIMIZE_EXECUTIONS_MAX} executions, not {count}"
            )
            raise Invalid("REQUEST_INVALID", text, violations=(Violation("executions", text),))
        count = count or OPTIMIZE_EXECUTIONS
        answer = await self._insights.RankBottlenecks(
            insight_pb.RankBottlenecksRequest(
                namespace=namespace, workflow_id=workflow_id, execution_count_max=count
            )
        )
        ranking = decode(answer.report, Bottlenecks)
        rehearsal = _Rehearsal(
            namespace,
            workflow_id,
            await self._catalog.plan(namespace, workflow_id, stored.version),
            await self._past(namespace, workflow_id),
            self._catalog,
            self._sandbox,
        )
        await rehearsal.begin()
        document: dict[str, Json] = orjson.loads(stored.definition)
        found = [
            draft
            for draft in list(drafts(document, ranking, rehearsal.repeats()))[:PROPOSALS_MAX]
            if await rehearsal.valid(edited(document, [draft]))
        ]
        changed = edited(document, found)
        replays = await rehearsal.replays(changed) if changed != document else []
        proposals = [await rehearsal.proposal(document, draft) for draft in found]
        before, after = _yaml(document), _yaml(changed)
        return Optimization(
            workflow=workflow_id,
            version=stored.version,
            executions=ranking.executions,
            proposals=sorted(proposals, key=lambda each: -each.gain_ms),
            replays=replays,
            verified=bool(replays) and all(each.same for each in replays),
            diff=_diff(workflow_id, stored.version, before, after),
            source=after if changed != document else "",
        )

    async def _past(self, namespace: str, workflow_id: str) -> list[Past]:
        """Return the last executions that completed and that a rehearsal can repeat."""
        answer = await self._executions.ListExecutions(
            executions_pb.ListExecutionsRequest(
                namespace=namespace,
                workflow_id=workflow_id,
                statuses=[execution_pb2.EXECUTION_STATUS_COMPLETED],
                page_size=REHEARSED_MAX,
                with_nodes=True,
            )
        )
        found = (past_of(each) for each in answer.executions)
        return [each for each in found if each is not None]


class _Rehearsal:
    """Dry runs of past executions, before and after changes."""

    def __init__(
        self,
        namespace: str,
        workflow_id: str,
        plan: plan_pb2.Plan,
        past: Sequence[Past],
        catalog: DefinitionCatalog,
        sandbox: Sandbox,
    ) -> None:
        self._namespace, self._workflow_id, self._plan = namespace, workflow_id, plan
        self._past, self._catalog, self._sandbox = past, catalog, sandbox
        self._before: list[tuple[Past, Report]] = []

    async def begin(self) -> None:
        """Rehearse the stored version; leave out executions that it does not repeat."""
        for past in self._past:
            try:
                report = await self._dry_run(self._plan, past)
            except FlowmeshError:
                continue
            if report.status == "completed":
                self._before.append((past, report))

    def repeats(self) -> Any:
        """Return the repeated inputs of tasks, by id."""
        return repeats_of(
            {
                node.id: (node.input, node.output)
                for node in report.nodes
                if node.id in past.mocks and node.status == "completed"
            }
            for past, report in self._before
        )

    async def valid(self, document: dict[str, Json]) -> bool:
        """Return whether a changed definition could be applied."""
        try:
            await self._changed(document)
        except FlowmeshError:
            return False
        return True

    async def _changed(self, document: dict[str, Json]) -> plan_pb2.Plan:
        return await self._catalog.plan_of(
            self._namespace, orjson.dumps(document), "application/json", self._workflow_id
        )

    async def proposal(self, document: dict[str, Json], draft: Draft) -> Proposal:
        """Return a draft with the gain that a rehearsal of its edit shows."""
        gain_ms = draft.gain_ms
        if draft.kind == "parallel" and self._before:
            found = await self.replays(edited(document, [draft]))
            gain_ms = max(0.0, sum(each.before_ms - each.after_ms for each in found) / len(found))
        return Proposal(
            kind=draft.kind,
            task=draft.task,
            text=draft.text,
            evidence=draft.evidence,
            gain_ms=round(gain_ms, 1),
            edits=draft.edit is not None,
        )

    async def replays(self, document: dict[str, Json]) -> list[Replay]:
        """Rehearse a changed definition with the inputs of the past."""
        try:
            plan = await self._changed(document)
        except FlowmeshError as error:
            return [_failed(past, report, error) for past, report in self._before[:REPLAYS_MAX]]
        found = []
        for past, before in self._before[:REPLAYS_MAX]:
            try:
                after = await self._dry_run(plan, past)
            except FlowmeshError as error:
                found.append(_failed(past, before, error))
                continue
            same = (before.status, before.output) == (after.status, after.output)
            found.append(
                Replay(
                    execution_id=past.execution_id,
                    same=same,
                    before_ms=before.duration_ms,
                    after_ms=after.duration_ms,
                )
            )
        return found

    async def _dry_run(self, plan: plan_pb2.Plan, past: Past) -> Report:
        mocks, signals = stand_ins(past.mocks, [], plan)
        return await dry_run(plan, past.given, sandbox=self._sandbox, mocks=mocks, signals=signals)


def _failed(past: Past, before: Report, error: FlowmeshError) -> Replay:
    return Replay(
        execution_id=past.execution_id,
        same=False,
        before_ms=before.duration_ms,
        after_ms=before.duration_ms,
        problem=error.message,
    )


def _yaml(document: dict[str, Json]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _diff(workflow_id: str, version: int, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"{workflow_id} (version {version})",
        f"{workflow_id} (proposed)",
    )
    return "".join(lines)
