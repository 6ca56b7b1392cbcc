"""Executions as callers start and read them."""

from __future__ import annotations

from typing import Literal

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import NotFound
from flowmesh.orchestrator.commit.inbox import Inbox
from flowmesh.orchestrator.model.messages import execution_message
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.operations.outcomes import Outcomes
from flowmesh.orchestrator.operations.runs import Runs
from flowmesh.orchestrator.operations.start_service import StartService
from flowmesh.orchestrator.storage.archiving import Archiving

ONLY_BY_ORCHESTRATORS: tuple[Literal["link", "signals", "plan_digest"], ...] = (
    "link",
    "signals",
    "plan_digest",
)
"""Fields of a start that name the origin of an execution; removed from calls of clients."""


class Executions:
    """Starts executions, optionally until their end, and reads them from rows and archive."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        starts: StartService,
        outcomes: Outcomes,
        reader: ExecutionReader,
        runs: Runs,
        archiving: Archiving,
    ) -> None:
        self._inbox = inbox
        self._starts = starts
        self._outcomes = outcomes
        self._reader = reader
        self._runs = runs
        self._archiving = archiving

    async def start(
        self, request: pb.StartExecutionRequest, *, forwarded: bool
    ) -> pb.StartExecutionResponse:
        self._inbox.admit()
        if not forwarded:
            for field in ONLY_BY_ORCHESTRATORS:
                request.ClearField(field)
        planned = await self._starts.prepare(request)
        started = await self._starts.start(planned, forwarded=forwarded)
        execution = None
        if request.wait_ms > 0:
            asked = pb.WaitExecutionRequest(
                namespace=planned.plan.namespace,
                execution_id=started.execution_id,
                timeout_ms=request.wait_ms,
                without_nodes=request.without_nodes,
            )
            waited = await self._outcomes.wait(
                asked, forwarded=forwarded, just_started=started.created
            )
            execution = waited.execution if waited.ended else None
        return pb.StartExecutionResponse(
            execution_id=started.execution_id, created=started.created, execution=execution
        )

    async def get(self, namespace: str, execution_id: str) -> execution_pb2.Execution:
        """Return an execution with the id of its next run; from the archive once its rows are
        deleted.
        """
        try:
            state = await self._reader.state(namespace, execution_id)
        except NotFound:
            found = await self._archiving.execution(namespace, execution_id)
            if found is None:
                raise
            return found
        execution = execution_message(state)
        execution.continued_as = await self._runs.continued_as(state)
        return execution
