"""Delivery of messages to executions of other projects.

Each can be repeated. A start has a request id, so it starts one child in the cell that takes it. A
child whose node has stopped waiting meanwhile is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import orjson

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import ChildBegan, ChildDone, NodeState
from flowmesh.engine.state.nodes import RUNNING
from flowmesh.engine.state.state import EXECUTION_CONTINUED, EXECUTION_FAILED
from flowmesh.errors import FlowmeshError, Forbidden, Invalid, NotFound, Unauthenticated, WrongState
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.model.errors import partition_unavailable
from flowmesh.orchestrator.model.failures import failure
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.operations.deliveries import Deliveries
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.outward.project import TRANSIENT, Project, ProjectCalls
from flowmesh.orchestrator.outward.routes import Routes
from flowmesh.orchestrator.storage.payloads import Payloads

WAIT_MS = 20_000
"""Time of a call that waits for the end of a child."""

POLL_S_MAX = 30.0
"""Longest pause between two polls of a child, while too many are awaited."""


class OutwardDeliveries:
    """Turns messages into calls for other projects."""

    def __init__(
        self,
        *,
        calls: ProjectCalls,
        routes: Routes,
        payloads: Payloads,
        deliveries: Deliveries,
        reader: ExecutionReader,
        epochs: Mapping[int, int],
        draw: Callable[[], float],
    ) -> None:
        self._project = partial(Project, calls=calls, routes=routes, payloads=payloads)
        self._deliveries = deliveries
        self._reader = reader
        self._epochs = epochs
        self._draw = draw

    async def deliver(self, message: pb.ExecutionMessage) -> None:
        """Return once the message has taken effect; raise FlowmeshError to be retried."""
        project = self._project(source=message.namespace, at=message.project)
        match message.WhichOneof("command"):
            case "start":
                await self._start(message, project)
            case "stop":
                # The start of a child that is not known yet is delivered before, and stops it.
                stop = message.stop
                if stop.execution_id:
                    await _stop(
                        project,
                        stop.execution_id,
                        message.execution_id,
                        stop.reason,
                        terminate=stop.terminate,
                    )
            case "join":
                await self._wait(message, project)

    async def _start(self, message: pb.ExecutionMessage, project: Project) -> None:
        asked = message.start
        command = ChildBegan(asked.node, asked.attempt, draw=self._draw())
        try:
            child = await project.start(asked.request)
        except TRANSIENT:
            raise
        except FlowmeshError as error:
            command.failure = _refusal(asked.request, error)
            await self._deliveries.answer_sender(message, command)
            return
        failpoint("orchestrator.started_elsewhere")
        command.execution_id, command.version = child.execution_id, child.workflow_version
        command.joined = child.request_id != asked.request.request_id
        await self._deliveries.answer_sender(message, command)
        if asked.request.link.detached or command.joined:
            return
        node = await self._node(message, asked.node)
        call = node.planned.child if node is not None else None
        if _awaits(node, asked.attempt) or call is None:
            return
        if call.on_cancel != plan_pb2.ON_CANCEL_ABANDON:
            await _stop(
                project,
                child.execution_id,
                message.execution_id,
                f"{asked.node} waits no more",
                terminate=call.on_cancel == plan_pb2.ON_CANCEL_TERMINATE,
            )

    async def _wait(self, message: pb.ExecutionMessage, project: Project) -> None:
        """Wait for the end of a child, and report it to the node."""
        join, pause_s = message.join, 1.0
        while _awaits(await self._node(message, join.by_node), join.by_attempt):
            partition = partition_of(message.execution_id) or 0
            if partition not in self._epochs:
                raise partition_unavailable(partition)
            crowded = project.route.is_crowded
            try:
                ended = await project.ended(join.execution_id, 1 if crowded else WAIT_MS)
            except TRANSIENT:
                raise
            except FlowmeshError as error:
                ended = _unknown(join.execution_id, error)
            if ended is not None:
                await self._deliveries.answer_sender(message, self._done(join, ended))
                return
            if crowded:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, POLL_S_MAX)

    def _done(self, join: pb.JoinRequested, ended: execution_pb2.Execution) -> ChildDone:
        return ChildDone(
            join.by_node,
            join.by_attempt,
            ended.execution_id,
            ended.status,
            ended.output if ended.HasField("output") else None,
            ended.failure if ended.HasField("failure") else None,
            self._draw(),
            join.execution_id,
        )

    async def _node(self, message: pb.ExecutionMessage, node_id: str) -> NodeState | None:
        """Return the node of the sender; None once that has ended."""
        try:
            state = await self._reader.state(message.namespace, message.execution_id)
        except NotFound:
            return None
        return state.node(node_id)


def _awaits(node: NodeState | None, attempt: int) -> bool:
    """Return whether an attempt of a node waits for its child."""
    if node is None or node.child is None:
        return False
    return node.status == RUNNING and node.attempt == attempt and node.child.open


async def _stop(
    project: Project, execution_id: str, by: str, reason: str, *, terminate: bool
) -> None:
    """Stop an execution, or the last run of one that continued as new."""
    try:
        while True:
            try:
                await project.stop(execution_id, by, reason, terminate=terminate)
                return
            except TRANSIENT:
                raise
            except WrongState:
                found = await project.execution(execution_id)
                if found.status != EXECUTION_CONTINUED or not found.continued_as:
                    return
                execution_id = found.continued_as
    except TRANSIENT:
        raise
    except FlowmeshError:
        # It is gone, or the key for its project is: there is nothing to stop.
        return


def _refusal(request: pb.StartExecutionRequest, error: FlowmeshError) -> failure_pb2.Failure:
    """Return the failure of the node whose child cannot be started."""
    class_ = "ChildFailed"
    if isinstance(error, Invalid):
        class_ = "ValidationError"
    elif isinstance(error, Forbidden | Unauthenticated) or error.reason == "SECRET_NOT_FOUND":
        class_ = "AuthenticationError"
    what = f"{request.workflow_id} of project {request.namespace}"
    found = failure(class_, f"{what} cannot be started: {error.message}")
    found.details = orjson.dumps({"reason": error.reason})
    return found


def _unknown(execution_id: str, error: FlowmeshError) -> execution_pb2.Execution:
    """Return the end of a child whose outcome cannot be read."""
    found = failure("ChildFailed", f"its outcome cannot be read: {error.message}")
    return execution_pb2.Execution(
        execution_id=execution_id, status=EXECUTION_FAILED, failure=found
    )
