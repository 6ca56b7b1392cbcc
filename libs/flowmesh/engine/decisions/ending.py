"""What a command emits, and how an execution ends: at once, or when what was done is undone."""

from __future__ import annotations

import json
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import commands as c
from flowmesh.engine.children import messages
from flowmesh.engine.decisions.undoing import next_to_undo
from flowmesh.engine.events.apply import APPLY
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, Scope, State
from flowmesh.engine.state.transition import Transition
from flowmesh.plan import PayloadNeeded, PlanNode, RenderError, payload_reader, values_of

NULL = payload_pb2.Payload(data=b"null")


class Ending:
    """The state that a command advances, and the transition it fills."""

    __slots__ = ("now", "out", "plan", "state")

    def __init__(self, state: State, now_us: int, out: Transition) -> None:
        self.state = state
        self.plan = state.plan
        self.now = max(now_us, state.started_at_us)
        self.out = out

    def emit(self, kind: str, body: Any) -> None:
        added = self.add(kind)
        added.CopyFrom(body)
        added.SetInParent()
        APPLY[kind](self.state, added, self.now)

    def add(self, kind: str) -> Any:
        """An event's body, to be filled in place and applied: half the price of one made before."""
        state = self.state
        state.sequence += 1
        event = self.out.history.events.add()
        event.sequence = state.sequence
        event.at_us = self.now
        return getattr(event, kind)

    # --- nodes ---

    def complete(
        self,
        node: NodeState,
        output: payload_pb2.Payload,
        metadata: bytes = b"",
        *,
        timed_out: bool = False,
    ) -> None:
        if node.journal is not None:
            self.cancel_below(node)
        body = self.add("task_completed")
        body.node = node.id
        body.attempt = node.attempt
        body.output.CopyFrom(output)
        if metadata:
            body.metadata = metadata
        if timed_out:
            body.timed_out = True
        APPLY["task_completed"](self.state, body, self.now)
        self.out.closed.append(node)

    def started(
        self, node: NodeState, worker_id: str = "", delivery: int = 1, started_at_us: int = 0
    ) -> None:
        body = self.add("task_started")
        body.node = node.id
        body.attempt = node.attempt
        body.worker_id = worker_id
        body.delivery = delivery
        body.started_at_us = started_at_us
        APPLY["task_started"](self.state, body, self.now)

    def fail_node(self, node: NodeState, failure: failure_pb2.Failure) -> None:
        planned = node.planned
        if planned.on_failure == plan_pb2.NODE_FAILURE_POLICY_HOLD and not node.by_hand:
            held = history.TaskHeld(node=node.id, attempt=node.attempt, failure=failure)
            self.emit("task_held", held)
            return
        if node.journal is not None:
            self.cancel_below(node)
        failed = history.TaskFailed(node=node.id, attempt=node.attempt, failure=failure)
        if planned.on_failure == plan_pb2.NODE_FAILURE_POLICY_CONTINUE:
            failed.output.data = planned.fallback or b"null"
        self.emit("task_failed", failed)
        self.out.closed.append(node)

    def scheduled(self, scope: Scope, planned: PlanNode) -> NodeState:
        """Begins the next attempt of a node."""
        body = self.add("task_scheduled")
        body.node = scope.prefix + planned.id if scope.prefix else planned.id
        body.attempt = scope.next_attempt(planned)
        APPLY["task_scheduled"](self.state, body, self.now)
        return scope.nodes[planned.index]

    def schedule(self, scope: Scope, planned: PlanNode) -> None:
        self.out.dispatch.append(self.scheduled(scope, planned))

    def cancel_open_nodes(self) -> None:
        """Ends what runs, the innermost graphs first."""
        state = self.state
        for scope in (*reversed(state.scopes.values()), state.scope):
            self.cancel_nodes(scope)

    def cancel_nodes(self, scope: Scope) -> None:
        for _, node in sorted(scope.nodes.items()):
            if node.status != s.RUNNING:
                continue
            if node.id in self.state.at_workers:
                self.out.cancel.append((node.id, node.attempt))
            elif node.planned.waits:
                messages.stop(self, node, f"{self.state.execution_id} does not wait for it")
            self.emit("task_canceled", history.TaskCanceled(node=node.id, attempt=node.attempt))

    def cancel_below(self, owner: NodeState) -> None:
        """Ends what runs in the body of a node, the innermost graphs first."""
        for scope in owner.scopes.values():
            for node in scope.nodes.values():
                self.cancel_below(node)
            self.cancel_nodes(scope)

    # --- the end ---

    def finish(self, command: c.Finish) -> None:
        """Ends an execution whose nodes have all ended."""
        state = self.state
        if state.ended or state.compensating or state.scope.open_count:
            return
        failed = state.scope.failed
        if failed is not None:
            self.fail_by(failed)
            return
        completed = history.WorkflowCompleted()
        if self.plan.output is None:
            leaves = self.plan.leaves
            only = state.scope.output_of(leaves[0].index) if len(leaves) == 1 else None
            if only is not None:
                completed.output.CopyFrom(only)
        else:
            try:
                value = self.plan.output.render(values_of(state, payload_reader(command.payloads)))
            except PayloadNeeded as needed:
                if command.missing:
                    self.fail("ValidationError", f"output: {command.missing}")
                else:
                    self.out.needs_payload = needed.digest
                return
            except RenderError as error:
                self.fail("ValidationError", f"output: {error}")
                return
            problems = self.plan.output_schema.problems(value)
            if problems:
                first = problems[0]
                self.fail("ValidationError", f"output{first.path}: {first}")
                return
            completed.output.data = encode_output(value)
            if len(completed.output.data) > INLINE_BYTES_MAX:
                if command.missing:
                    self.fail("ValidationError", f"output: {command.missing}")
                    return
                if command.stored is None:
                    self.out.needs_payload = "output"
                    return
                completed.output.CopyFrom(command.stored)
        self.emit("workflow_completed", completed)
        self.out.ended = True

    def fail(self, class_: str, message: str) -> None:
        self.close(outcome=s.EXECUTION_FAILED, failure=failure_of(class_, message))

    def fail_by(self, failed: NodeState) -> None:
        """Fails the execution because of a node, which is named."""
        failure = failure_pb2.Failure()
        if failed.failure is not None:
            failure.CopyFrom(failed.failure)
        if failed.planned.body is None or not failure.node:
            failure.node = failed.id
        self.close(outcome=s.EXECUTION_FAILED, failure=failure)

    def close(
        self,
        *,
        outcome: s.ExecutionStatus,
        failure: failure_pb2.Failure | None = None,
        command: c.Cancel | c.Terminate | None = None,
    ) -> None:
        """Ends the execution, of which nothing runs any more; undoes first what is to be undone."""
        closing = history.CompensationStarted(outcome=outcome, failure=failure)
        if command is not None:
            closing.reason, closing.actor = command.reason, command.actor
            closing.request_id = command.request_id
        if self.state.undo and self.undoes(outcome, command):
            self.emit("compensation_started", closing)
            self.compensate()
        else:
            self.conclude(closing)

    def undoes(self, outcome: s.ExecutionStatus, command: c.Cancel | c.Terminate | None) -> bool:
        if self.state.hold is not None:
            return False
        if command is not None and command.compensate is not None:
            return command.compensate
        policy = self.plan.compensation
        if outcome == s.EXECUTION_FAILED:
            return not policy.not_on_failure
        return (
            policy.on_terminate if outcome == s.EXECUTION_TERMINATED else not policy.not_on_cancel
        )

    def compensate(self) -> None:
        """Begins what may be undone now; ends the execution once nothing is left."""
        state = self.state
        if not state.compensating or state.closing is None:
            return
        for node in next_to_undo(state):
            if state.full:
                return
            assert node.planned.undo is not None
            self.schedule(node.scope, node.planned.undo)
        if not state.undo:
            closing = history.CompensationStarted()
            closing.CopyFrom(state.closing)
            # The request was applied when the undoing began.
            closing.request_id = ""
            self.conclude(closing)

    def conclude(self, closing: history.CompensationStarted) -> None:
        """The last event."""
        if closing.outcome == s.EXECUTION_FAILED:
            self.emit("workflow_failed", history.WorkflowFailed(failure=closing.failure))
        else:
            said = {
                "reason": closing.reason,
                "actor": closing.actor,
                "request_id": closing.request_id,
            }
            if closing.outcome == s.EXECUTION_CANCELED:
                self.emit("workflow_canceled", history.WorkflowCanceled(**said))
            else:
                self.emit("workflow_terminated", history.WorkflowTerminated(**said))
        self.out.ended = True


def failure_of(class_: str, message: str) -> failure_pb2.Failure:
    failure = failure_pb2.Failure(message=message)
    setattr(failure, "class", class_)
    return failure


def encode_output(value: Any) -> bytes:
    """A rendered output as it is stored."""
    return json.dumps(value, separators=(",", ":")).encode()
