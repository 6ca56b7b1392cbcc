"""The end of nodes: completion, failure, cancellation."""

from __future__ import annotations

from collections import deque

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.children import messages
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.decisions.values import mark
from flowmesh.engine.events.apply import APPLY
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, Scope


def complete(
    step: Step,
    node: NodeState,
    output: payload_pb2.Payload,
    metadata: bytes = b"",
    *,
    timed_out: bool = False,
) -> None:
    if node.journal is not None:
        cancel_below(step, node)
    body = step.add("task_completed")
    body.node = node.id
    body.attempt = node.attempt
    body.output.CopyFrom(output)
    if node.planned.sensitive:
        mark(body.output, node.planned.sensitive)
    if metadata:
        body.metadata = metadata
    if timed_out:
        body.timed_out = True
    APPLY["task_completed"](step.state, body, step.now)
    step.out.closed.append(node)


def fail_node(step: Step, node: NodeState, failure: failure_pb2.Failure) -> None:
    planned = node.planned
    if planned.on_failure == plan_pb2.NODE_FAILURE_POLICY_HOLD and not node.by_hand:
        held = history.TaskHeld(node=node.id, attempt=node.attempt, failure=failure)
        step.emit("task_held", held)
        return
    if node.journal is not None:
        cancel_below(step, node)
    failed = history.TaskFailed(node=node.id, attempt=node.attempt, failure=failure)
    if planned.on_failure == plan_pb2.NODE_FAILURE_POLICY_CONTINUE:
        failed.output.data = planned.fallback or b"null"
    step.emit("task_failed", failed)
    step.out.closed.append(node)


def cancel_open_nodes(step: Step) -> None:
    """Cancel all running nodes, the innermost graphs first."""
    state = step.state
    for scope in (*reversed(state.scopes.values()), state.scope):
        cancel_nodes(step, scope)


def cancel_nodes(step: Step, scope: Scope) -> None:
    for _, node in sorted(scope.nodes.items()):
        if node.status != s.RUNNING:
            continue
        if node.id in step.state.at_workers:
            step.out.cancel.append((node.id, node.attempt))
        elif node.planned.waits:
            messages.stop(step, node, f"{step.state.execution_id} does not wait for it")
        step.emit("task_canceled", history.TaskCanceled(node=node.id, attempt=node.attempt))


def cancel_below(step: Step, owner: NodeState) -> None:
    """Cancel the running nodes in the body of a node, the innermost graphs first."""
    for scope in owner.scopes.values():
        for node in scope.nodes.values():
            cancel_below(step, node)
        cancel_nodes(step, scope)


def take_signal(step: Step, node: NodeState, ended: deque[NodeState]) -> None:
    """Complete a waiting node with the first unconsumed signal of its name, if any."""
    signal = step.state.next_signal(node.awaited)
    if signal is not None:
        complete(step, node, signal.payload)
        ended.append(node)
