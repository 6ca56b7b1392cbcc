"""Answers that nodes wait for: rendered inputs, child executions, deadlines."""

from __future__ import annotations

from collections import deque

import msgspec

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.children import commands as c
from flowmesh.engine.children import joins
from flowmesh.engine.children.begin import begin, fail_waiting, proceed
from flowmesh.engine.children.messages import message_of, stop
from flowmesh.engine.decisions.attempts import attempt_failed
from flowmesh.engine.decisions.outcomes import complete, fail_node
from flowmesh.engine.decisions.progress import advance
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState
from flowmesh.plan import (
    NO_NAMES,
)

TIMED_OUT = b'{"timedOut":true}'
"""Metadata of a node that completed at its timeout."""

GIVEN_UP = execution_pb2.EXECUTION_STATUS_UNSPECIFIED
_STATUS = {
    s.EXECUTION_FAILED: "failed",
    s.EXECUTION_CANCELED: "was canceled",
    s.EXECUTION_TERMINATED: "was terminated",
}


def rendered(step: Step, command: c.Rendered) -> bool:
    """Continue a node with its rendered input, or fail it."""
    node = _running(step, command.node, command.attempt)
    if node is None or node.key or (node.child is not None and node.child.open) or node.due_at_us:
        return False
    ended: deque[NodeState] = deque()
    if command.failure is not None:
        fail_node(step, node, command.failure)
        ended.append(node)
    else:
        value = command.value or payload_pb2.Payload()
        proceed(step, node, value, command.names or NO_NAMES, ended)
    advance(step, ended)
    return True


def began(step: Step, command: c.ChildBegan) -> bool:
    """Record the start of a child, or fail the attempt that requested it."""
    node = _asked(step, command.node, command.attempt)
    if node is None or node.child is None or node.child.execution_id:
        return False
    if command.failure is not None:
        _over(step, node)
        attempt_failed(step, node, command.failure, command.draw)
        return True
    _note_start(step, node, command.execution_id, command.version, joined=command.joined)
    call = node.planned.child
    if call is not None and call.detached:
        answer = {"executionId": command.execution_id, "version": command.version}
        complete(step, node, payload_pb2.Payload(data=msgspec.json.encode(answer)))
        advance(step, deque((node,)))
    elif call is not None and (command.joined or call.project):
        by = history.ExecutionJoined(
            by_id=step.state.execution_id, by_node=node.id, by_attempt=node.attempt
        )
        joins.request(message_of(step, call), command.execution_id, by)
    return True


def done(step: Step, command: c.ChildDone) -> bool:
    """End the node, or its attempt, with the outcome of its child."""
    node = _asked(step, command.node, command.attempt)
    if node is None or node.child is None:
        return False
    if not node.child.execution_id:
        # The outcome overtook the answer to the start request.
        _note_start(step, node, command.first_run or command.execution_id, 0)
    _over(step, node, command.status, command.execution_id)
    if command.status == s.EXECUTION_COMPLETED:
        complete(step, node, command.output or payload_pb2.Payload(data=b"null"))
        advance(step, deque((node,)))
    else:
        attempt_failed(step, node, _child_failure(node, command), command.draw)
    return True


def _note_start(
    step: Step, node: NodeState, execution_id: str, version: int, *, joined: bool = False
) -> None:
    step.emit(
        "child_started",
        history.ChildStarted(
            node=node.id,
            attempt=node.attempt,
            execution_id=execution_id,
            version=version,
            joined=joined,
        ),
    )


def _over(
    step: Step,
    node: NodeState,
    status: s.ExecutionStatus = GIVEN_UP,
    execution_id: str = "",
) -> None:
    """Record the end of the wait. A child that continued as new ended under another id."""
    assert node.child is not None
    step.emit(
        "child_ended",
        history.ChildEnded(
            node=node.id,
            attempt=node.attempt,
            execution_id=execution_id or node.child.execution_id,
            status=status,
        ),
    )


def _child_failure(node: NodeState, command: c.ChildDone) -> failure_pb2.Failure:
    """Return the failure of the parent node: ChildFailed with the failure of the child as cause.

    DepthLimit keeps its class, so that no execution above retries it.
    """
    call, child, cause = node.planned.child, node.child, command.failure
    assert call is not None
    assert child is not None
    how = _STATUS.get(command.status, "ended")
    workflow_id = child.workflow_id or call.workflow_id
    failure = failure_pb2.Failure(message=f"{workflow_id} {how} ({command.execution_id})")
    class_ = "ChildFailed"
    details: dict[str, object] = {"executionId": command.execution_id}
    if cause is not None and getattr(cause, "class"):
        cause_class = getattr(cause, "class")
        failure.message += f": {cause.message}"
        details["cause"] = {"class": cause_class, "message": cause.message, "node": cause.node}
        class_ = cause_class if cause_class == "DepthLimit" else class_
    setattr(failure, "class", class_)
    failure.details = msgspec.json.encode(details)
    return failure


def due(step: Step, node: NodeState, ended: deque[NodeState]) -> None:
    """Handle a due timer: request again, retry, or fail at the timeout."""
    planned, child = node.planned, node.child
    if not node.due_at_us:
        begin(step, node, ended)
    elif planned.signal:
        step.emit("timer_fired", history.TimerFired(node=node.id))
        if planned.on_timeout:
            given = payload_pb2.Payload(data=planned.on_timeout)
            complete(step, node, given, TIMED_OUT, timed_out=True)
            ended.append(node)
        else:
            message = f"no signal {node.awaited!r} was received within {planned.timeout_ms} ms"
            fail_waiting(step, node, "Timeout", message, ended)
    elif child is not None and child.open:
        stop(step, node, f"{node.id} waited {planned.timeout_ms} ms for it")
        _over(step, node)
        failure = failure_pb2.Failure(message=f"the child took over {planned.timeout_ms} ms")
        setattr(failure, "class", "Timeout")
        attempt_failed(step, node, failure, 0.0)
    else:
        begin(step, step.scheduled(node.scope, planned), ended)


def _running(step: Step, node_id: str, attempt: int) -> NodeState | None:
    node = step.state.node(node_id)
    if step.state.ended or node is None or not node.planned.waits:
        return None
    return node if node.status == s.RUNNING and node.attempt == attempt else None


def _asked(step: Step, node_id: str, attempt: int) -> NodeState | None:
    """Return the node if `attempt` is current and its child is open."""
    node = _running(step, node_id, attempt)
    return node if node is not None and node.child is not None and node.child.open else None
