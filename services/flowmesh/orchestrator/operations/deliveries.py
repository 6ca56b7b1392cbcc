"""Delivery of messages between executions: start, stop, and end of a child or of a joined
execution.

Each delivery can be repeated: starts and stops have a request id, the others count for one attempt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import ChildBegan, ChildDone, Join, State
from flowmesh.engine.children.messages import add_outcome
from flowmesh.engine.state.state import EXECUTION_CONTINUED, EXECUTION_FAILED
from flowmesh.errors import FlowmeshError, Invalid, NotFound, Overloaded, Unavailable, WrongState
from flowmesh.orchestrator.model.commands import STALE, PendingCommand
from flowmesh.orchestrator.model.failures import failure
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.operations.changes import ExecutionChanges
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.operations.owner_router import OwnerRouter
from flowmesh.orchestrator.operations.runs import Runs
from flowmesh.orchestrator.operations.start_service import StartService

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import (
        PartitionServiceAsyncStub as PartitionStub,
    )


WAITING_LOOKED_AT_MAX = 100
"""Executions that are checked for a circle of joins."""


class Deliveries:
    """Turns messages into calls on executions, here or at their owner."""

    def __init__(
        self,
        *,
        starts: StartService,
        changes: ExecutionChanges,
        reader: ExecutionReader,
        runs: Runs,
        router: OwnerRouter,
        draw: Callable[[], float],
        partition_stub: Callable[[str], PartitionStub],
    ) -> None:
        self._starts = starts
        self._changes = changes
        self._reader = reader
        self._runs = runs
        self._router = router
        self._draw = draw
        self._partition_stub = partition_stub

    async def deliver(self, message: pb.ExecutionMessage) -> None:
        """Return once the effect is committed; raise Unavailable to be retried."""
        match message.WhichOneof("command"):
            case "start":
                await self._start(message)
            case "stop":
                await self._stop(message)
            case "outcome":
                await self.outcome(message, forwarded=False)
            case "join":
                await self.join(message, forwarded=False)

    async def answer_sender(
        self, message: pb.ExecutionMessage, command: ChildBegan | ChildDone
    ) -> None:
        """Have the sender of a message, which this process owns, decide on its answer."""
        await self._tell(message.execution_id, command, _elsewhere, False)

    # --- starts ---

    async def _start(self, message: pb.ExecutionMessage) -> None:
        request = message.start.request
        try:
            command = await self._started(request)
        except (Unavailable, Overloaded):
            raise
        except FlowmeshError as error:
            if not message.start.node and not request.plan_digest:
                # The next run continues with the plan of this one.
                request.plan_digest = message.start.plan_digest
                await self._start(message)
                return
            if not message.start.node:
                raise
            command = ChildBegan("", 0, failure=_refusal(request, error), draw=self._draw())
        if message.start.node:
            command.node, command.attempt = message.start.node, message.start.attempt
            await self.answer_sender(message, command)

    async def _started(self, request: pb.StartExecutionRequest) -> ChildBegan:
        """Start an execution for another one, or return the one that answers it; idempotent.

        The version is chosen once and kept: every later owner answers with it.
        """
        planned = await self._starts.prepare(request)
        plan, chosen = planned.plan, pb.StartExecutionRequest()
        chosen.CopyFrom(request)
        chosen.version, chosen.version_label = plan.version, ""
        started = await self._starts.start(planned._replace(request=chosen), forwarded=False)
        if started.created:
            return ChildBegan("", 0, started.execution_id, plan.version)
        row = await self._runs.started_under(request.namespace, request.request_id)
        if row is not None:
            return ChildBegan("", 0, started.execution_id, row.workflow_version)
        joined = await self._reader.state(request.namespace, started.execution_id)
        if not request.link.detached:
            await self._refuse_circle(joined, request)
        return ChildBegan("", 0, joined.execution_id, joined.plan.version, joined=True)

    async def _refuse_circle(self, joined: State, request: pb.StartExecutionRequest) -> None:
        """Raise WrongState if an execution waits for the one that would join it."""
        looked_at: set[str] = set()
        waiting = [request.link.parent_id]
        while waiting and len(looked_at) < WAITING_LOOKED_AT_MAX:
            one = waiting.pop()
            if one == joined.execution_id:
                text = f"it would be {one}, which waits for this task"
                raise WrongState("START_REJECTED", f"{text}; start it with another key")
            looked_at.add(one)
            with contextlib.suppress(NotFound):
                above = await self._reader.state(request.namespace, one)
                found = [by.by_id for by in above.joined_by]
                if above.link is not None and above.link.parent_id and not above.link.detached:
                    found.append(above.link.parent_id)
                waiting += [each for each in found if each not in looked_at]

    # --- stops ---

    async def _stop(self, message: pb.ExecutionMessage) -> None:
        """Stop a child, or the last run of a child that continued as new."""
        stop = message.stop
        request_id = stop.request_id
        while True:
            row = await self._runs.started_under(message.namespace, request_id)
            if row is None and request_id == stop.request_id:
                return
            if row is None:
                raise Unavailable("PARTITION_UNAVAILABLE", "the next run is about to start")
            try:
                await self._stopped(message, row.id)
            except NotFound:
                return
            except WrongState:
                row = await self._runs.started_under(message.namespace, request_id)
                if row is None or row.status != EXECUTION_CONTINUED:
                    return
                request_id = f"{row.id}/next"
                continue
            return

    async def _stopped(self, message: pb.ExecutionMessage, child_id: str) -> None:
        stop = message.stop
        request_id = f"{message.execution_id}/stop"
        if stop.terminate:
            terminate = pb.TerminateExecutionRequest(
                namespace=message.namespace,
                execution_id=child_id,
                reason=stop.reason,
                request_id=request_id,
                actor=message.execution_id,
            )
            await self._changes.terminate(terminate, forwarded=False)
            return
        cancel = pb.CancelExecutionRequest(
            namespace=message.namespace,
            execution_id=child_id,
            reason=stop.reason,
            request_id=request_id,
            actor=message.execution_id,
        )
        await self._changes.cancel(cancel, forwarded=False)

    # --- outcomes ---

    async def outcome(self, message: pb.ExecutionMessage, *, forwarded: bool) -> None:
        """Report the end of a child to its parent; ignore a parent that is gone."""
        outcome = message.outcome
        command = ChildDone(
            outcome.node,
            outcome.attempt,
            message.execution_id,
            outcome.status,
            outcome.output if outcome.HasField("output") else None,
            outcome.failure if outcome.HasField("failure") else None,
            self._draw(),
            outcome.first_run,
        )
        await self._tell(
            outcome.parent_id,
            command,
            lambda stub: stub.DeliverMessage(pb.DeliverMessageRequest(message=message)),
            forwarded,
        )

    # --- ends of joined executions ---

    async def join(self, message: pb.ExecutionMessage, *, forwarded: bool) -> None:
        """Register a node to be notified of the end of an execution or of its last run; notify it
        now if it has ended.
        """
        later: pb.ExecutionMessage | None = message
        while later is not None and not await self._joined(later, forwarded=forwarded):
            later = await self._tell_joined(later)

    async def _joined(self, message: pb.ExecutionMessage, *, forwarded: bool) -> bool:
        """Return whether the execution will report its end; False if it has ended."""
        join = message.join
        partition = partition_of(join.execution_id)
        if partition is None:
            return True
        command = Join(join.by_id, join.by_node, join.by_attempt)

        async def local() -> None:
            pending = PendingCommand(join.execution_id, partition, command)
            answer = await self._router.submit_and_wait(pending)
            if answer is STALE:
                raise Overloaded(
                    "OVERLOADED", "too many executions wait for its end", retry_after_ms=1_000
                )

        async def remote(address: str) -> None:
            stub = self._partition_stub(address)
            request = stub.DeliverMessage(pb.DeliverMessageRequest(message=message))
            await self._router.peers.call(address, request)

        try:
            await self._router.at_owner(partition, local, remote, forwarded=forwarded)
        except (NotFound, WrongState):
            if forwarded:
                raise
            return False
        return True

    async def _tell_joined(self, message: pb.ExecutionMessage) -> pb.ExecutionMessage | None:
        """Report an end to a node; return the message for the next run if there is one."""
        join = message.join
        report = pb.ExecutionMessage(namespace=message.namespace, execution_id=join.execution_id)
        outcome = report.outcome
        outcome.parent_id, outcome.node = join.by_id, join.by_node
        outcome.attempt = join.by_attempt
        try:
            ended = await self._reader.state(message.namespace, join.execution_id)
        except NotFound as error:
            outcome.status = EXECUTION_FAILED
            outcome.failure.CopyFrom(failure("ChildFailed", error.message))
        else:
            if ended.status == EXECUTION_CONTINUED:
                report.join.CopyFrom(join)
                report.join.execution_id = await self._runs.last_now(
                    message.namespace, ended.execution_id
                )
                return report
            add_outcome(ended, outcome)
        await self.outcome(report, forwarded=False)
        return None

    async def _tell(
        self,
        execution_id: str,
        command: ChildBegan | ChildDone,
        call: Callable[[PartitionStub], Awaitable[Any]],
        forwarded: bool,
    ) -> None:
        """Have the owner of an execution decide a command; ignore an execution that is gone."""
        partition = partition_of(execution_id)
        if partition is None:
            return

        async def local() -> object:
            pending = PendingCommand(execution_id, partition, command)
            return await self._router.submit_and_wait(pending)

        async def remote(address: str) -> object:
            request = call(self._partition_stub(address))
            return await self._router.peers.call(address, request)

        with contextlib.suppress(NotFound):
            await self._router.at_owner(partition, local, remote, forwarded=forwarded)


def _elsewhere(_stub: PartitionStub) -> Awaitable[Any]:
    """The owner decodes the message itself."""
    raise Unavailable("PARTITION_UNAVAILABLE", "the partition of the sender has another owner now")


def _refusal(request: pb.StartExecutionRequest, error: FlowmeshError) -> failure_pb2.Failure:
    """Return the failure of the node whose child cannot be started."""
    class_ = "ValidationError" if isinstance(error, Invalid) else "ChildFailed"
    found = failure(class_, f"{request.workflow_id} cannot be started: {error.message}")
    found.details = orjson.dumps({"reason": error.reason})
    return found
