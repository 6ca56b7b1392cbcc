"""Nodes that start an execution and wait for it, that go on as a new one, or wait with a key.

Between executions there are messages: a transition holds what is to be told, and the shell delivers
it, once however often it is sent. A node that has asked waits until it is told.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from flowmesh.api.common.v1 import failure_pb2, link_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine.children import commands as c
from flowmesh.engine.children import joins
from flowmesh.engine.children.keys import key_of, no_key
from flowmesh.engine.children.messages import stop
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, State
from flowmesh.plan import (
    NO_NAMES,
    NotAtHand,
    RenderError,
    decode,
    render_input,
    render_names,
)

if TYPE_CHECKING:
    from flowmesh.engine.decide import _Step
    from flowmesh.engine.decisions.progress import Progress

DEPTH_MAX = 16
"""Executions below one another; a workflow that starts itself ends there."""

REQUEST_ID_MAX = 256
TIMED_OUT = b'{"timedOut":true}'
"""Metadata of a node that completed because its limit was over."""

GIVEN_UP = execution_pb2.EXECUTION_STATUS_UNSPECIFIED
_STATUS = {
    s.EXECUTION_FAILED: "failed",
    s.EXECUTION_CANCELED: "was canceled",
    s.EXECUTION_TERMINATED: "was terminated",
}


# --- beginning ---


def begin(step: Progress, node: NodeState, ended: deque[NodeState]) -> None:
    """Begins a node whose attempt is scheduled: renders what it needs, or has it rendered."""
    if node.planned.signal and node.planned.input is None:
        step.started(node)
        step.take_signal(node, ended)
        return
    try:
        value = render_input(step.state, node)
        names = render_names(step.state, node)
    except NotAtHand:
        step.ask(node)
        return
    except RenderError as error:
        fail(step, node, "ValidationError", f"input of {node.id}: {error}", ended)
        return
    if len(value.data) > INLINE_BYTES_MAX:
        step.ask(node)
    else:
        _go_on(step, node, value, names, ended)


def rendered(step: Progress, command: c.Rendered) -> bool:
    """What a node waited for is at hand, or cannot be."""
    node = _running(step, command.node, command.attempt)
    if node is None or node.key or (node.child is not None and node.child.open) or node.due_at_us:
        return False
    ended: deque[NodeState] = deque()
    if command.failure is not None:
        step.fail_node(node, command.failure)
        ended.append(node)
    else:
        value = command.value or payload_pb2.Payload()
        _go_on(step, node, value, command.names or NO_NAMES, ended)
    step.advance(ended)
    return True


def _go_on(
    step: Progress,
    node: NodeState,
    value: payload_pb2.Payload,
    names: Mapping[str, Any],
    ended: deque[NodeState],
) -> None:
    match node.planned.kind:
        case plan_pb2.NODE_KIND_CHILD:
            _request(step, node, value, names, ended)
        case plan_pb2.NODE_KIND_CONTINUE:
            _continue(step, node, value, ended)
        case _:
            _wait(step, node, value, ended)


def _request(
    step: Progress,
    node: NodeState,
    value: payload_pb2.Payload,
    names: Mapping[str, Any],
    ended: deque[NodeState],
) -> None:
    state, call = step.state, node.planned.child
    assert call is not None
    for name, given in names.items():
        if key_of(given) is None:
            fail(step, node, "ValidationError", no_key(f"{name} of {node.id}", given), ended)
            return
    rendered_id = key_of(names.get("workflow")) or ""
    workflow_id = rendered_id or call.workflow_id
    depth = (state.link.depth if state.link is not None else 0) + 1
    if depth > DEPTH_MAX:
        message = f"{workflow_id} would be the {depth}th workflow below another, the limit is"
        fail(step, node, "DepthLimit", f"{message} {DEPTH_MAX} (DEPTH_LIMIT)", ended)
        return
    own = _request_id(state.execution_id, node.id, node.attempt)
    request_id = key_of(names.get("id")) or own
    step.emit(
        "child_requested",
        history.ChildRequested(
            node=node.id, attempt=node.attempt, request_id=request_id, workflow_id=rendered_id
        ),
    )
    request = pb.StartExecutionRequest(
        namespace=state.plan.namespace,
        workflow_id=workflow_id,
        version=call.version,
        version_label=call.version_label,
        input=value,
        request_id=request_id,
        actor=state.actor,
        permissions=state.permissions,
        link=link_pb2.Link(
            parent_id=state.execution_id,
            parent_node=node.id,
            parent_attempt=node.attempt,
            detached=call.detached,
            depth=depth,
        ),
    )
    asked = step.out.message(state).start
    asked.node, asked.attempt = node.id, node.attempt
    asked.request.CopyFrom(request)


def _request_id(execution_id: str, *parts: object) -> str:
    """The same for the same request, whoever sends it again."""
    text = "/".join(map(str, (execution_id, *parts)))
    if len(text) > REQUEST_ID_MAX:
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return f"{execution_id}/{digest}"
    return text


def _continue(
    step: Progress, node: NodeState, value: payload_pb2.Payload, ended: deque[NodeState]
) -> None:
    """Ends the execution; what else runs is canceled, signals nobody has had go along."""
    state, call = step.state, node.planned.child
    problems = () if value.HasField("reference") else step.plan.input_schema.problems(decode(value))
    if problems:
        message = f"input{problems[0].path} of the next run: {problems[0]}"
        fail(step, node, "ValidationError", message, ended)
        return
    step.complete(node, value)
    step.cancel_open_nodes()
    request_id = _request_id(state.execution_id, "next")
    step.emit("workflow_continued", history.WorkflowContinued(input=value, request_id=request_id))
    link = link_pb2.Link()
    if state.link is not None:
        link.CopyFrom(state.link)
    link.first_run = link.first_run or state.execution_id
    link.continued_from = state.execution_id
    asked = step.out.message(state).start
    asked.plan_digest = state.plan.digest
    asked.request.CopyFrom(
        pb.StartExecutionRequest(
            namespace=state.plan.namespace,
            workflow_id=state.plan.workflow_id,
            version=call.version if call is not None else state.plan.version,
            version_label=call.version_label if call is not None else "",
            plan_digest=state.plan.digest if call is None else "",
            input=value,
            request_id=request_id,
            actor=state.actor,
            permissions=state.permissions,
            link=link,
            signals=_not_had(state),
        )
    )
    step.out.ended = True


def _not_had(state: State) -> list[execution_pb2.Signal]:
    had = dict(state.signals_taken)
    left = []
    for signal in state.signals:
        if had.get(signal.name, 0):
            had[signal.name] -= 1
        else:
            left.append(signal)
    return left


def _wait(
    step: Progress, node: NodeState, value: payload_pb2.Payload, ended: deque[NodeState]
) -> None:
    """Waits for a signal with the key that was rendered, or has one that came before."""
    given = decode(value)
    key = key_of(given)
    if key is None:
        fail(step, node, "ValidationError", no_key(f"key of {node.id}", given), ended)
        return
    step.emit("wait_keyed", history.WaitKeyed(node=node.id, key=key))
    step.take_signal(node, ended)


# --- what children say ---


def began(step: _Step, command: c.ChildBegan) -> bool:
    """A child has started, or cannot."""
    node = _asked(step, command.node, command.attempt)
    if node is None or node.child is None or node.child.execution_id:
        return False
    if command.failure is not None:
        _over(step, node)
        step.attempt_failed(node, command.failure, command.draw)
        return True
    _note_start(step, node, command.execution_id, command.version, joined=command.joined)
    call = node.planned.child
    if call is not None and call.detached:
        answer = {"executionId": command.execution_id, "version": command.version}
        step.complete(node, payload_pb2.Payload(data=msgspec.json.encode(answer)))
        step.advance(deque((node,)))
    elif command.joined:
        by = history.ExecutionJoined(
            by_id=step.state.execution_id, by_node=node.id, by_attempt=node.attempt
        )
        joins.request(step.state, step.out, command.execution_id, by)
    return True


def done(step: _Step, command: c.ChildDone) -> bool:
    """A child has ended, and so has its node, or the attempt."""
    node = _asked(step, command.node, command.attempt)
    if node is None or node.child is None:
        return False
    if not node.child.execution_id:
        # Its answer is still on its way; it says the same.
        _note_start(step, node, command.first_run or command.execution_id, 0)
    _over(step, node, command.status, command.execution_id)
    if command.status == s.EXECUTION_COMPLETED:
        step.complete(node, command.output or payload_pb2.Payload(data=b"null"))
        step.advance(deque((node,)))
    else:
        step.attempt_failed(node, _child_failure(node, command), command.draw)
    return True


def _note_start(
    step: Progress, node: NodeState, execution_id: str, version: int, *, joined: bool = False
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
    step: Progress,
    node: NodeState,
    status: s.ExecutionStatus = GIVEN_UP,
    execution_id: str = "",
) -> None:
    """The node waits for its child no longer; one that went on as new ended under another id."""
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
    """What the failure of a child is to its parent: ChildFailed with the child's as the cause.

    One that went too deep keeps its class, so that nobody above tries it again.
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


# --- time ---


def due(step: _Step, node: NodeState, ended: deque[NodeState]) -> None:
    """What a node waited for is late: it asks again, is tried again, or has waited too long."""
    planned, child = node.planned, node.child
    if not node.due_at_us:
        begin(step, node, ended)
    elif planned.signal:
        step.emit("timer_fired", history.TimerFired(node=node.id))
        if planned.on_timeout:
            given = payload_pb2.Payload(data=planned.on_timeout)
            step.complete(node, given, TIMED_OUT, timed_out=True)
            ended.append(node)
        else:
            message = f"no signal {node.awaited!r} came in {planned.timeout_ms} ms"
            fail(step, node, "Timeout", message, ended)
    elif child is not None and child.open:
        stop(step, node, f"{node.id} waited {planned.timeout_ms} ms for it")
        _over(step, node)
        failure = failure_pb2.Failure(message=f"the child took over {planned.timeout_ms} ms")
        setattr(failure, "class", "Timeout")
        step.attempt_failed(node, failure, 0.0)
    else:
        begin(step, step.scheduled(node.scope, planned), ended)


# --- ends ---


def fail(
    step: Progress, node: NodeState, class_: str, message: str, ended: deque[NodeState]
) -> None:
    """Fails a node for good."""
    failure = failure_pb2.Failure(message=message)
    setattr(failure, "class", class_)
    step.fail_node(node, failure)
    ended.append(node)


def _running(step: Progress, node_id: str, attempt: int) -> NodeState | None:
    node = step.state.node(node_id)
    if step.state.ended or node is None or not node.planned.waits:
        return None
    return node if node.status == s.RUNNING and node.attempt == attempt else None


def _asked(step: Progress, node_id: str, attempt: int) -> NodeState | None:
    """A node whose child is open, of this attempt."""
    node = _running(step, node_id, attempt)
    return node if node is not None and node.child is not None and node.child.open else None
