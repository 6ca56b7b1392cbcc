"""The end of an execution, with compensation of its completed nodes before it."""

from __future__ import annotations

from collections import deque

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import commands as c
from flowmesh.engine.decisions import own_nodes
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.decisions.undoing import next_to_undo
from flowmesh.engine.decisions.values import encode_output, failure_of, mark
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState
from flowmesh.plan import (
    PayloadNeeded,
    RenderError,
    payload_reader,
    values_of,
)


def finish(step: Step, command: c.Finish) -> None:
    """End an execution whose nodes have all ended."""
    state = step.state
    if state.ended or state.compensating or state.scope.open_count:
        return
    failed = state.scope.failed
    if failed is not None:
        fail_by(step, failed)
        return
    completed = history.WorkflowCompleted()
    if step.plan.output is None:
        leaves = step.plan.leaves
        only = state.scope.output_of(leaves[0].index) if len(leaves) == 1 else None
        if only is not None:
            completed.output.CopyFrom(only)
    else:
        try:
            value = step.plan.output.render(values_of(state, payload_reader(command.payloads)))
        except PayloadNeeded as needed:
            if command.missing:
                fail(step, "ValidationError", f"output: {command.missing}")
            else:
                step.out.needs_payload = needed.digest
            return
        except RenderError as error:
            fail(step, "ValidationError", f"output: {error}")
            return
        problems = step.plan.output_schema.problems(value)
        if problems:
            first = problems[0]
            fail(step, "ValidationError", f"output{first.path}: {first}")
            return
        completed.output.data = encode_output(value)
        if len(completed.output.data) > INLINE_BYTES_MAX:
            if command.missing:
                fail(step, "ValidationError", f"output: {command.missing}")
                return
            if command.stored is None:
                step.out.needs_payload = "output"
                return
            completed.output.CopyFrom(command.stored)
    mark(completed.output, step.plan.output_schema.sensitive)
    step.emit("workflow_completed", completed)
    step.out.ended = True


def fail(step: Step, class_: str, message: str) -> None:
    close(step, outcome=s.EXECUTION_FAILED, failure=failure_of(class_, message))


def fail_by(step: Step, failed: NodeState) -> None:
    """Fail the execution with the failure of a node and its id."""
    failure = failure_pb2.Failure()
    if failed.failure is not None:
        failure.CopyFrom(failed.failure)
    if failed.planned.body is None or not failure.node:
        failure.node = failed.id
    close(step, outcome=s.EXECUTION_FAILED, failure=failure)


def close(
    step: Step,
    *,
    outcome: s.ExecutionStatus,
    failure: failure_pb2.Failure | None = None,
    command: c.Cancel | c.Terminate | None = None,
) -> None:
    """End an execution without running nodes; compensate first if the policy demands it."""
    closing = history.CompensationStarted(outcome=outcome, failure=failure)
    if command is not None:
        closing.reason, closing.actor = command.reason, command.actor
        closing.request_id = command.request_id
    if step.state.undo and compensates(step, outcome, command):
        step.emit("compensation_started", closing)
        compensate(step)
    else:
        conclude(step, closing)


def compensates(
    step: Step, outcome: s.ExecutionStatus, command: c.Cancel | c.Terminate | None
) -> bool:
    if step.state.hold is not None:
        return False
    if command is not None and command.compensate is not None:
        return command.compensate
    policy = step.plan.compensation
    if outcome == s.EXECUTION_FAILED:
        return not policy.not_on_failure
    return policy.on_terminate if outcome == s.EXECUTION_TERMINATED else not policy.not_on_cancel


def compensate(step: Step) -> None:
    """Begin the compensations that are ready; end the execution after the last."""
    state = step.state
    if not state.compensating or state.closing is None:
        return
    # An undo that ends at once lets further ones begin.
    while ready := next_to_undo(state):
        for node in ready:
            if state.full:
                return
            assert node.planned.undo is not None
            if node.planned.undo.is_task:
                step.schedule(node.scope, node.planned.undo)
            else:
                own_nodes.begin(step, node.scope, node.planned.undo, deque())
    if not state.undo:
        closing = history.CompensationStarted()
        closing.CopyFrom(state.closing)
        # The request id was recorded when the compensation began.
        closing.request_id = ""
        conclude(step, closing)


def conclude(step: Step, closing: history.CompensationStarted) -> None:
    """Emit the last event."""
    if closing.outcome == s.EXECUTION_FAILED:
        step.emit("workflow_failed", history.WorkflowFailed(failure=closing.failure))
    else:
        said = {
            "reason": closing.reason,
            "actor": closing.actor,
            "request_id": closing.request_id,
        }
        if closing.outcome == s.EXECUTION_CANCELED:
            step.emit("workflow_canceled", history.WorkflowCanceled(**said))
        else:
            step.emit("workflow_terminated", history.WorkflowTerminated(**said))
    step.out.ended = True
