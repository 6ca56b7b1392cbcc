"""What follows from a command. Pure: data in, events out; no clock, id or randomness of its own.

`decide` applies the events it produces to the state as it goes, because what follows from an event
depends on it; a caller that cannot commit them throws the state away and replays the history.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, assert_never

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine import state as s
from flowmesh.engine.apply import APPLY
from flowmesh.engine.state import NodeState, State
from flowmesh.plan import PayloadNeeded, PlanNode, RenderError, decode, render_input, scope_of

DELIVERIES_MAX = 5
"""An attempt whose worker was lost this often is poison: the node fails."""

RETRY_AFTER_MS_MAX = 24 * 3_600_000
"""A called service may ask for a longer pause; it is not believed."""

_NULL = payload_pb2.Payload(data=b"null")


OUTPUT_BYTES_MAX = 256 << 10
"""A rendered output above this is stored, and its event refers to it."""


class Ended(Exception):
    """The command asks something of an execution that has ended."""

    def __init__(self, status: s.ExecutionStatus) -> None:
        super().__init__(status)
        self.status = status


class Transition:
    """What commands of one batch did to one execution, and what the world must be told of it.

    `dispatch` holds nodes whose current attempt is to be sent to a worker, `cancel` those whose
    worker is to stop (node, attempt); `needs_payload` is the digest the output template waits for,
    or "output" where the rendered output is to be stored.
    """

    __slots__ = ("cancel", "dispatch", "ended", "first_sequence", "history", "needs_payload")

    def __init__(self, state: State) -> None:
        self.first_sequence = state.sequence + 1
        self.history = history.HistoryEvents()
        self.dispatch: list[int] = []
        self.cancel: list[tuple[int, int]] = []
        self.ended = False
        self.needs_payload = ""


def decide(state: State, command: c.Command, now_us: int, into: Transition) -> bool:
    """Adds to `into` what follows from the command; False if nothing follows because it is stale.

    Raises Ended where the command needs a running execution and its caller is to be told.
    """
    step = _Step(state, now_us, into)
    match command:
        case c.TaskEnded():
            return step.task_ended(command)
        case c.TaskRuns():
            return step.task_runs(command)
        case c.Start():
            step.start(command)
        case c.TimersDue():
            step.timers_due()
        case c.DeliveryLost():
            return step.delivery_lost(command)
        case c.Signal():
            step.signal(command)
        case c.Cancel():
            step.stop(command, "workflow_canceled", history.WorkflowCanceled)
        case c.Terminate():
            step.stop(command, "workflow_terminated", history.WorkflowTerminated)
        case c.Finish():
            step.finish(command)
        case _:
            assert_never(command)
    return True


class _Step:
    """One command being decided: the state it advances and the transition it fills."""

    __slots__ = ("now", "out", "plan", "state")

    def __init__(self, state: State, now_us: int, out: Transition) -> None:
        self.state = state
        self.plan = state.plan
        self.now = max(now_us, state.started_at_us)
        self.out = out

    def emit(self, kind: str, body: Any) -> None:
        state = self.state
        state.sequence += 1
        event = self.out.history.events.add(sequence=state.sequence, at_us=self.now, **{kind: body})
        APPLY[kind](state, getattr(event, kind), self.now)

    # --- commands ---

    def start(self, command: c.Start) -> None:
        plan = self.plan
        self.emit(
            "workflow_started",
            history.WorkflowStarted(
                namespace=plan.namespace,
                workflow_id=plan.workflow_id,
                version=plan.version,
                plan_digest=plan.digest,
                input=command.input,
                request_id=command.request_id,
                actor=command.actor,
                traceparent=command.traceparent,
            ),
        )
        ended: deque[int] = deque()
        for index in plan.roots:
            self.begin(plan.nodes[index], ended)
        self.advance(ended)

    def task_ended(self, command: c.TaskEnded) -> bool:
        found = self.current(command.node, command.attempt)
        if found is None:
            return False
        plan_node, node = found
        if not node.delivery:
            self.emit(
                "task_started",
                history.TaskStarted(
                    node=plan_node.id,
                    attempt=command.attempt,
                    worker_id=command.worker_id,
                    delivery=1,
                    started_at_us=command.started_at_us,
                ),
            )
        if command.failure is not None:
            self.attempt_failed(plan_node, node, command.failure, command.draw)
            return True
        self.emit(
            "task_completed",
            history.TaskCompleted(
                node=plan_node.id,
                attempt=command.attempt,
                output=command.output or _NULL,
                metadata=command.metadata,
            ),
        )
        self.advance(deque((plan_node.index,)))
        return True

    def task_runs(self, command: c.TaskRuns) -> bool:
        found = self.current(command.node, command.attempt)
        if found is None or found[1].delivery:
            return False
        self.emit(
            "task_started",
            history.TaskStarted(
                node=command.node,
                attempt=command.attempt,
                worker_id=command.worker_id,
                delivery=1,
                started_at_us=command.started_at_us,
            ),
        )
        return True

    def delivery_lost(self, command: c.DeliveryLost) -> bool:
        found = self.current(command.node, command.attempt)
        if found is None:
            return False
        plan_node, node = found
        lost = max(node.delivery, 1)
        if lost >= DELIVERIES_MAX:
            failure = failure_pb2.Failure(
                message=f"the worker was lost {lost} times ({command.reason})"
            )
            setattr(failure, "class", "POISON")
            self.attempt_failed(plan_node, node, failure, 0.0)
            return True
        self.emit(
            "task_started",
            history.TaskStarted(node=plan_node.id, attempt=command.attempt, delivery=lost + 1),
        )
        self.out.dispatch.append(plan_node.index)
        return True

    def timers_due(self) -> None:
        state = self.state
        if state.ended:
            return
        limit = self.plan.timeout_us
        if limit and self.now >= state.started_at_us + limit:
            self.cancel_open_nodes()
            self.fail("Timeout", f"the execution took longer than {limit // 1000} ms")
            return
        ended: deque[int] = deque()
        for index in sorted(state.timers, key=state.timers.__getitem__):
            if state.timers[index] > self.now:
                break
            node = self.plan.nodes[index]
            if node.is_task:
                self.schedule(node, state.scope.nodes[index].attempt + 1)
            else:
                self.emit("timer_fired", history.TimerFired(node=node.id))
                self.complete_inline(node)
                ended.append(index)
        if ended:
            self.advance(ended)

    def signal(self, command: c.Signal) -> None:
        if command.request_id in self.state.requests:
            return
        if self.state.ended:
            raise Ended(self.state.status)
        self.emit(
            "signal_received",
            history.SignalReceived(
                name=command.name,
                payload=command.payload,
                actor=command.actor,
                request_id=command.request_id,
            ),
        )

    def stop(self, command: c.Cancel | c.Terminate, kind: str, event: Any) -> None:
        if command.request_id and command.request_id in self.state.requests:
            return
        if self.state.ended:
            raise Ended(self.state.status)
        self.cancel_open_nodes()
        self.emit(
            kind,
            event(reason=command.reason, actor=command.actor, request_id=command.request_id),
        )
        self.out.ended = True

    # --- the graph moves on ---

    def current(self, node_id: str, attempt: int) -> tuple[PlanNode, NodeState] | None:
        """The node, if this is its current attempt and that one is at a worker."""
        scope = self.state.scope
        index = self.plan.index.get(node_id, -1)
        if index not in scope.at_workers or self.state.ended:
            return None
        node = scope.nodes[index]
        return (self.plan.nodes[index], node) if node.attempt == attempt else None

    def attempt_failed(
        self, plan_node: PlanNode, node: NodeState, failure: failure_pb2.Failure, draw: float
    ) -> None:
        retry = plan_node.retry
        if node.attempt < retry.max_attempts and retry.allows(getattr(failure, "class")):
            asked = min(failure.retry_after_ms, RETRY_AFTER_MS_MAX) * 1000
            delay = max(retry.delay_us(node.attempt, draw), asked)
            self.emit(
                "task_retrying",
                history.TaskRetrying(
                    node=plan_node.id,
                    attempt=node.attempt,
                    failure=failure,
                    retry_at_us=self.now + delay,
                ),
            )
            return
        self.emit(
            "task_failed",
            history.TaskFailed(node=plan_node.id, attempt=node.attempt, failure=failure),
        )
        self.advance(deque((plan_node.index,)))

    def advance(self, ended: deque[int]) -> None:
        """Begins every node that the ended ones were the last to hold back."""
        scope = self.state.scope
        nodes = self.plan.nodes
        while ended:
            for successor in nodes[ended.popleft()].successors:
                if not scope.waiting[successor] and successor not in scope.nodes:
                    self.begin(nodes[successor], ended)
            while scope.held and scope.running_count < self.plan.parallelism:
                self.schedule(nodes[scope.held.popitem(last=False)[0]], 1)
        if not scope.open_count:
            self.finish(c.Finish())

    def begin(self, node: PlanNode, ended: deque[int]) -> None:
        """Starts a ready node; one that ends at once is added to `ended`."""
        skip = self.skip_reason(node)
        if skip is not None:
            self.emit("task_skipped", skip)
            ended.append(node.index)
        elif node.is_task:
            scope = self.state.scope
            if self.plan.parallelism and scope.running_count >= self.plan.parallelism:
                scope.held[node.index] = None
            else:
                self.schedule(node, 1)
        elif node.kind == plan_pb2.NODE_KIND_TIMER:
            self.begin_timer(node, ended)
        else:
            self.emit("task_scheduled", history.TaskScheduled(node=node.id, attempt=1))
            self.emit("task_started", history.TaskStarted(node=node.id, attempt=1, delivery=1))
            self.complete_inline(node)
            ended.append(node.index)

    def begin_timer(self, node: PlanNode, ended: deque[int]) -> None:
        try:
            delay_us = node.delay_us or _rendered_delay_us(self.state, node)
        except (RenderError, PayloadNeeded, ValueError) as error:
            self.emit("task_scheduled", history.TaskScheduled(node=node.id, attempt=1))
            failure = _failure("ValidationError", f"duration of {node.id}: {error}")
            self.emit("task_failed", history.TaskFailed(node=node.id, attempt=1, failure=failure))
            ended.append(node.index)
            return
        self.emit(
            "timer_started", history.TimerStarted(node=node.id, fire_at_us=self.now + delay_us)
        )

    def complete_inline(self, node: PlanNode) -> None:
        self.emit("task_completed", history.TaskCompleted(node=node.id, attempt=1, output=_NULL))

    def schedule(self, node: PlanNode, attempt: int) -> None:
        self.emit("task_scheduled", history.TaskScheduled(node=node.id, attempt=attempt))
        self.out.dispatch.append(node.index)

    def skip_reason(self, node: PlanNode) -> history.TaskSkipped | None:
        """Why a ready node is skipped rather than begun; None if it is to begin."""
        nodes = self.state.scope.nodes
        for dependency in node.dependencies:
            before = nodes[dependency]
            plan_node = self.plan.nodes[dependency]
            if before.status == s.COMPLETED:
                if not plan_node.gate or not _is_false(before.output):
                    continue
                reason = history.SKIP_REASON_CONDITION_FALSE
            elif before.status == s.FAILED:
                reason = history.SKIP_REASON_DEPENDENCY_FAILED
            else:
                reason = history.SKIP_REASON_DEPENDENCY_SKIPPED
            return history.TaskSkipped(node=node.id, reason=reason, because_of=plan_node.id)
        return None

    def cancel_open_nodes(self) -> None:
        scope = self.state.scope
        for index, node in sorted(scope.nodes.items()):
            if node.status != s.RUNNING:
                continue
            plan_node = self.plan.nodes[index]
            if index in scope.at_workers:
                self.out.cancel.append((index, node.attempt))
            self.emit(
                "task_canceled",
                history.TaskCanceled(node=plan_node.id, attempt=node.attempt),
            )

    # --- the end ---

    def finish(self, command: c.Finish) -> None:
        """Ends an execution whose nodes have all ended."""
        state = self.state
        if state.ended or state.scope.open_count:
            return
        if state.failed_node >= 0:
            failed = state.scope.nodes[state.failed_node].failure
            failure = failure_pb2.Failure()
            if failed is not None:
                failure.CopyFrom(failed)
            failure.node = self.plan.nodes[state.failed_node].id
            self.emit("workflow_failed", history.WorkflowFailed(failure=failure))
            self.out.ended = True
            return
        completed = history.WorkflowCompleted()
        if self.plan.output is None:
            only = state.output_of(self.plan.leaves[0]) if len(self.plan.leaves) == 1 else None
            if only is not None:
                completed.output.CopyFrom(only)
        else:
            try:
                value = self.plan.output.render(scope_of(state, _reader(command.payloads)))
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
                self.fail("ValidationError", f"output{first.path}: {first.message}")
                return
            completed.output.data = encode_output(value)
            if len(completed.output.data) > OUTPUT_BYTES_MAX:
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
        self.emit("workflow_failed", history.WorkflowFailed(failure=_failure(class_, message)))
        self.out.ended = True


def _failure(class_: str, message: str) -> failure_pb2.Failure:
    failure = failure_pb2.Failure(message=message)
    setattr(failure, "class", class_)
    return failure


def encode_output(value: Any) -> bytes:
    """A rendered output as it is stored."""
    return json.dumps(value, separators=(",", ":")).encode()


def _is_false(output: payload_pb2.Payload | None) -> bool:
    return output is not None and output.data.strip() == b"false"


def _rendered_delay_us(state: State, node: PlanNode) -> int:
    """The duration of a timer whose definition computes it, in microseconds."""
    if node.input is None:
        return 0
    value = decode(render_input(state, node))
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e13:
        raise ValueError(f"expected a number of milliseconds, got {value!r}")
    return int(value * 1000)


def _reader(payloads: Mapping[str, bytes]) -> Any:
    def read(payload: payload_pb2.Payload) -> bytes:
        if not payload.HasField("reference"):
            return payload.data
        digest = payload.reference.digest
        if digest not in payloads:
            raise PayloadNeeded(digest)
        return payloads[digest]

    return read
