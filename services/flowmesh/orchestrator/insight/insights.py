"""Reports made of histories, and explanations by the owners of executions.

Reports are made in threads: a long history takes a while, and the event loop commits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.api.history.v1 import insight_service_pb2 as pb
from flowmesh.api.history.v1 import insight_service_pb2_grpc as pb_grpc
from flowmesh.engine.state.state import (
    EXECUTION_COMPLETED,
    EXECUTION_CONTINUED,
    EXECUTION_TERMINATED,
)
from flowmesh.errors import Invalid, NotFound, TooLarge, Unavailable, Violation
from flowmesh.insight import bottlenecks, comparison, explaining, traces, watching
from flowmesh.insight.cases import Case
from flowmesh.insight.diagnosing import diagnose
from flowmesh.insight.inputs import Stored, node_inputs
from flowmesh.insight.parts import Part, encode
from flowmesh.insight.times import read
from flowmesh.orchestrator.commit.starts import Starts
from flowmesh.orchestrator.insight.replays import HistoryReplays
from flowmesh.orchestrator.insight.subjects import Subject, Subjects
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.operations.live_workers import Workers
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.ownership.peers import FORWARDED
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.stores.execution_store import ExecutionStore
from flowmesh.rpc import namespace_of, valid_id

REPORTS_AT_ONCE = 2
"""Concurrent reports, because histories are large; further requests wait."""

EXECUTIONS_DEFAULT = 100
EXECUTIONS_MAX = 1_000
ANALYZED_EVENTS_MAX = 500_000
"""Executions that are analyzed together, and the sum of their events."""

PAYLOAD_BYTES_MAX = 32 << 20
"""Bytes of stored payloads that one report reads."""

ENDED_STATUSES = [*range(EXECUTION_COMPLETED, EXECUTION_TERMINATED + 1), EXECUTION_CONTINUED]

REPORT_BYTES_MAX = 8 << 20
"""Size of one response message."""


class Insights:
    """Reads committed events; any instance serves any execution."""

    def __init__(
        self,
        *,
        subjects: Subjects,
        reader: ExecutionReader,
        workers: Workers,
        ownership: Ownership,
        starts: Starts,
        plans: PlanCache,
        payloads: Payloads,
        store: ExecutionStore,
        stub_at: Callable[[str], pb_grpc.InsightServiceAsyncStub],
    ) -> None:
        self._reader = reader
        self._workers = workers
        self._ownership = ownership
        self._starts = starts
        self._plans = plans
        self._payloads = payloads
        self._store = store
        self._stub_at = stub_at
        self._subjects = subjects
        self._making = asyncio.Semaphore(REPORTS_AT_ONCE)
        self.state_at = HistoryReplays(self._subjects).state_at

    async def trace(self, request: pb.AnalyzeTraceRequest) -> bytes:
        """Report how an execution spent its time."""
        async with self._making:
            return await self._trace(request)

    async def _trace(self, request: pb.AnalyzeTraceRequest) -> bytes:
        subject = await self._subjects.shown(namespace_of(request), request.execution_id)
        now_us = self._ownership.now_us()
        tasks_max = min(request.task_count_max or traces.TASKS_SHOWN, traces.TASKS_SHOWN_MAX)
        return await self._report(
            lambda: traces.trace_of(
                subject.execution_id,
                subject.plan,
                subject.events,
                now_us=now_us,
                tasks_max=tasks_max,
                truncated=subject.truncated,
            )
        )

    async def compare(self, request: pb.CompareExecutionsRequest) -> bytes:
        """Report the differences between two executions of a namespace."""
        async with self._making:
            return await self._compare(request)

    async def _compare(self, request: pb.CompareExecutionsRequest) -> bytes:
        namespace = namespace_of(request)
        sides = [
            await self._subjects.shown(namespace, execution_id)
            for execution_id in (request.execution_id, request.other_execution_id)
        ]
        now_us = self._ownership.now_us()

        def make(stored: Stored) -> Part:
            left, right = (
                comparison.Compared(side.execution_id, side.plan, side.events, stored, now_us)
                for side in sides
            )
            report = comparison.compare(left, right)
            report.truncated |= any(side.truncated for side in sides)
            return report

        return await self._with_payloads(namespace, make)

    async def watch(self, request: pb.WatchVariableRequest) -> bytes:
        """Report the values of a path along the chain of nodes."""
        async with self._making:
            return await self._watch(request)

    async def _watch(self, request: pb.WatchVariableRequest) -> bytes:
        namespace = namespace_of(request)
        subject = await self._subjects.shown(namespace, request.execution_id)

        def make(stored: Stored) -> Part:
            return watching.watch(
                subject.execution_id,
                subject.plan,
                subject.events,
                request.path,
                stored,
                truncated=subject.truncated,
            )

        try:
            return await self._with_payloads(namespace, make)
        except watching.PathInvalid as error:
            raise Invalid(
                "REQUEST_INVALID",
                f"path: {error}",
                violations=(Violation("path", str(error), "REQUEST_INVALID"),),
            ) from None

    async def inputs(self, request: pb.RenderInputsRequest) -> bytes:
        """Report the inputs of nodes."""
        namespace = namespace_of(request)
        async with self._making:
            subject = await self._subjects.shown(namespace, request.execution_id)

            def make(stored: Stored) -> Part:
                report = node_inputs(
                    subject.execution_id, subject.plan, subject.events, stored, request.nodes
                )
                report.truncated |= subject.truncated
                return report

            return await self._with_payloads(namespace, make)

    async def _with_payloads(self, namespace: str, make: Callable[[Stored], Part]) -> bytes:
        """Make a report, and again with the stored payloads that it needs, up to a size."""
        stored = Stored()
        report = await self._report(lambda: make(stored))
        if not stored.missing:
            return report
        fetched, size = stored.fetched, 0
        for digest in stored.missing:
            if size > PAYLOAD_BYTES_MAX:
                break
            with contextlib.suppress(NotFound):
                fetched[digest] = await self._payloads.read(namespace, digest)
                size += len(fetched[digest])
        return await self._report(lambda: make(Stored(fetched)))

    async def bottlenecks(self, request: pb.RankBottlenecksRequest) -> bytes:
        """Report how the last executions of a workflow spent their time; reads one history at a
        time.
        """
        async with self._making:
            return await self._bottlenecks(request)

    async def _bottlenecks(self, request: pb.RankBottlenecksRequest) -> bytes:
        namespace = namespace_of(request)
        workflow_id = valid_id(request.workflow_id, "workflow_id")
        ids = await self._store.last_ended(
            namespace,
            workflow_id,
            statuses=ENDED_STATUSES,
            rows_max=min(request.execution_count_max or EXECUTIONS_DEFAULT, EXECUTIONS_MAX),
        )
        if not ids:
            text = f"no execution of {workflow_id!r} has ended in this namespace"
            raise NotFound("WORKFLOW_NOT_FOUND", text)
        ranking, left = bottlenecks.Ranking(workflow_id), ANALYZED_EVENTS_MAX
        for execution_id in ids:
            if left <= 0:
                break
            subject = await self._subjects.shown(namespace, execution_id)
            left -= len(subject.events)
            await asyncio.to_thread(_add, ranking, subject)
        return await self._report(lambda: ranking.report(truncated=left <= 0))

    # --- explanations ---

    async def explain(self, request: pb.ExplainExecutionRequest, *, forwarded: bool) -> bytes:
        """Explain an execution at its owner, or from its rows if the owner does not answer."""
        namespace, execution_id = namespace_of(request), request.execution_id
        state = await self._reader.state(namespace, execution_id)
        partition = partition_of(execution_id)
        assert partition is not None
        ownership = self._ownership
        owned = partition in ownership.epochs and ownership.lease_valid
        address = ownership.owner_address(partition)
        if not (owned or forwarded or state.ended or address is None):
            try:
                stub = self._stub_at(address)
                return (await stub.ExplainExecution(request, metadata=FORWARDED)).report
            except Unavailable:
                # Explain from the rows.
                state = await self._reader.state(namespace, execution_id)
        live = self._workers if owned or state.ended else None
        case = Case(state, ownership.now_us(), live, partition)
        if state.hold is not None and owned:
            case.line = self._starts.holders(state)
        if state.paused:
            async with self._making:
                case.pause = await self._last_pause(namespace, execution_id)
        try:
            return encode(explaining.explain(case, request.node))
        except explaining.NoSuchNode:
            text = f"{state.plan.workflow_id} has no task {request.node[:128]!r}"
            raise NotFound("NODE_NOT_FOUND", text) from None

    async def _last_pause(
        self, namespace: str, execution_id: str
    ) -> history_event_pb2.HistoryEvent | None:
        subject = await self._subjects.shown(namespace, execution_id)
        pauses = (each for each in reversed(subject.events) if each.HasField("workflow_paused"))
        return next(pauses, None)

    async def diagnose(self, request: pb.ExplainWorkflowRequest) -> bytes:
        """Report the reasons that would keep executions of a workflow from ending."""
        workflow_id = valid_id(request.workflow_id, "workflow_id")
        plan = await self._plans.resolve((namespace_of(request), workflow_id, request.version))
        return encode(diagnose(plan, self._workers))

    @staticmethod
    async def _report(make: Callable[[], Part]) -> bytes:
        """Encode a report in a thread. Raises REPORT_TOO_LARGE."""
        report = await asyncio.to_thread(lambda: encode(make()))
        if len(report) > REPORT_BYTES_MAX:
            size, most = len(report) >> 20, REPORT_BYTES_MAX >> 20
            raise TooLarge("REPORT_TOO_LARGE", f"the report has {size} MiB, at most {most} MiB")
        return report


def _add(ranking: bottlenecks.Ranking, subject: Subject) -> None:
    ranking.add(traces.Tracing(subject.plan, read(subject.events), 0))
