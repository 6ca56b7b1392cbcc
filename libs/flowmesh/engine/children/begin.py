"""The start of nodes that wait: child executions, next runs and waits with a key."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, link_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine.children.keys import key_of, no_key
from flowmesh.engine.children.messages import message_of
from flowmesh.engine.decisions.outcomes import cancel_open_nodes, complete, fail_node, take_signal
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.state.state import NodeState, State
from flowmesh.plan import (
    FetchNeeded,
    RenderError,
    SchemaProblem,
    decode,
    render_input,
    render_names,
)

DEPTH_MAX = 16
"""The nesting of child executions; a deeper start fails with DepthLimit."""

REQUEST_ID_MAX = 256


def begin(step: Step, node: NodeState, ended: deque[NodeState]) -> None:
    """Begin a scheduled node: render its input here, or request it where payloads are missing."""
    if node.planned.signal and node.planned.input is None:
        step.started(node)
        take_signal(step, node, ended)
        return
    try:
        value = render_input(step.state, node)
        names = render_names(step.state, node)
    except FetchNeeded:
        step.ask(node)
        return
    except RenderError as error:
        fail_waiting(step, node, "ValidationError", f"input of {node.id}: {error}", ended)
        return
    if len(value.data) > INLINE_BYTES_MAX:
        step.ask(node)
    else:
        proceed(step, node, value, names, ended)


def proceed(
    step: Step,
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
        case plan_pb2.NODE_KIND_NOOP:
            step.started(node)
            complete(step, node, value)
            ended.append(node)
        case _:
            _wait(step, node, value, ended)


def _request(
    step: Step,
    node: NodeState,
    value: payload_pb2.Payload,
    names: Mapping[str, Any],
    ended: deque[NodeState],
) -> None:
    state, call = step.state, node.planned.child
    assert call is not None
    for name, given in names.items():
        if key_of(given) is None:
            fail_waiting(
                step, node, "ValidationError", no_key(f"{name} of {node.id}", given), ended
            )
            return
    rendered_id = key_of(names.get("workflow")) or ""
    workflow_id = rendered_id or call.workflow_id
    depth = (state.link.depth if state.link is not None else 0) + 1
    if depth > DEPTH_MAX:
        message = f"{workflow_id} would be the {depth}th workflow below another, the limit is"
        fail_waiting(step, node, "DepthLimit", f"{message} {DEPTH_MAX} (DEPTH_LIMIT)", ended)
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
        namespace=call.project or state.plan.namespace,
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
    asked = message_of(step, call).start
    asked.node, asked.attempt = node.id, node.attempt
    asked.request.CopyFrom(request)


def _request_id(execution_id: str, *parts: object) -> str:
    """Return a request id that is equal for equal requests."""
    text = "/".join(map(str, (execution_id, *parts)))
    if len(text) > REQUEST_ID_MAX:
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return f"{execution_id}/{digest}"
    return text


def _continue(
    step: Step, node: NodeState, value: payload_pb2.Payload, ended: deque[NodeState]
) -> None:
    """Continue as new: cancel open nodes and pass unconsumed signals to the next run."""
    state, call = step.state, node.planned.child
    problems: tuple[SchemaProblem, ...] = ()
    if not value.HasField("reference"):
        problems = step.plan.input_schema.problems(step.plan.whole_input(decode(value)))
    if problems:
        message = f"input{problems[0].path} of the next run: {problems[0]}"
        fail_waiting(step, node, "ValidationError", message, ended)
        return
    complete(step, node, value)
    cancel_open_nodes(step)
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


def _wait(step: Step, node: NodeState, value: payload_pb2.Payload, ended: deque[NodeState]) -> None:
    """Wait for a signal with the rendered key, or consume one received before."""
    given = decode(value)
    key = key_of(given)
    if key is None:
        fail_waiting(step, node, "ValidationError", no_key(f"key of {node.id}", given), ended)
        return
    step.emit("wait_keyed", history.WaitKeyed(node=node.id, key=key))
    take_signal(step, node, ended)


def fail_waiting(
    step: Step, node: NodeState, class_: str, message: str, ended: deque[NodeState]
) -> None:
    """Fail a node without a retry."""
    failure = failure_pb2.Failure(message=message)
    setattr(failure, "class", class_)
    fail_node(step, node, failure)
    ended.append(node)
