"""How an execution moves on when nodes end: what begins, what waits, and how it all ends."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine import state as s
from flowmesh.engine.apply import APPLY
from flowmesh.engine.state import NodeState, Scope, State
from flowmesh.engine.transition import Transition
from flowmesh.plan import (
    NotAtHand,
    PayloadNeeded,
    PlanNode,
    RenderError,
    decode,
    payload_reader,
    render_input,
    values_of,
)

OUTPUT_BYTES_MAX = 256 << 10
"""A rendered output above this is stored, and its event refers to it."""

BEGUN_PER_STEP_MAX = 10_000
"""Once one command has begun items of maps with so many nodes, the map asks to go on."""

NULL = payload_pb2.Payload(data=b"null")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Progress:
    """The state that a command advances, and the transition it fills."""

    __slots__ = ("asked", "begun", "now", "out", "plan", "state")

    def __init__(self, state: State, now_us: int, out: Transition) -> None:
        self.state = state
        self.plan = state.plan
        self.now = max(now_us, state.started_at_us)
        self.out = out
        self.begun = 0
        self.asked: NodeState | None = None

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

    def complete(self, node: NodeState, output: payload_pb2.Payload, metadata: bytes = b"") -> None:
        body = self.add("task_completed")
        body.node = node.id
        body.attempt = node.attempt
        body.output.CopyFrom(output)
        if metadata:
            body.metadata = metadata
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
        self.emit(
            "task_failed",
            history.TaskFailed(node=node.id, attempt=node.attempt, failure=failure),
        )
        self.out.closed.append(node)

    def advance(self, ended: deque[NodeState]) -> None:
        """Begins every node that the ended ones were the last to hold back."""
        state = self.state
        while ended:
            node = ended.popleft()
            scope, owner = node.scope, node.scope.owner
            if owner is not None and (owner.status != s.RUNNING or self.decided_group(node, ended)):
                continue
            for successor in node.planned.successors:
                if successor.index in scope.nodes or not scope.startable(successor):
                    continue
                if not state.held or scope.prefix + successor.id not in state.held:
                    self.begin(scope, successor, ended)
            if owner is not None and not scope.open_count:
                self.iterate(owner, ended)
            while state.held and not state.full:
                self.release(ended)
        if not state.scope.open_count:
            self.finish(c.Finish())

    def release(self, ended: deque[NodeState]) -> None:
        """Lets go on what was held back longest."""
        _, (scope, planned) = self.state.held.popitem(last=False)
        if planned.index in scope.nodes:
            self.iterate(scope.nodes[planned.index], ended)
        else:
            self.begin(scope, planned, ended)

    def begin(self, scope: Scope, planned: PlanNode, ended: deque[NodeState]) -> None:
        """Starts a ready node; one that ends at once is added to `ended`."""
        if self.state.paused:
            self.state.held[scope.prefix + planned.id] = (scope, planned)
            return
        skip = self.skip_reason(scope, planned)
        if skip is not None:
            self.emit("task_skipped", skip)
            ended.append(scope.nodes[planned.index])
        elif planned.is_task:
            if self.state.full:
                self.state.held[scope.prefix + planned.id] = (scope, planned)
            else:
                self.schedule(scope, planned, 1)
        elif planned.kind == plan_pb2.NODE_KIND_TIMER:
            self.begin_timer(scope, planned, ended)
        elif planned.body is not None:
            self.begin_body(self.scheduled(scope, planned, 1), ended)
        elif planned.signal:
            node = self.scheduled(scope, planned, 1)
            self.started(node)
            self.take_signal(node, ended)
        else:
            node = self.scheduled(scope, planned, 1)
            self.started(node)
            self.complete(node, NULL)
            ended.append(node)

    def begin_timer(self, scope: Scope, planned: PlanNode, ended: deque[NodeState]) -> None:
        try:
            due_at_us = self.due_at_us(scope, planned)
        except (RenderError, NotAtHand, ValueError) as error:
            node = self.scheduled(scope, planned, 1)
            self.fail_node(node, failure_of("ValidationError", f"duration of {node.id}: {error}"))
            ended.append(node)
            return
        self.emit(
            "timer_started",
            history.TimerStarted(node=scope.prefix + planned.id, fire_at_us=due_at_us),
        )

    def due_at_us(self, scope: Scope, planned: PlanNode) -> int:
        """When a timer that begins now fires; raises what rendering does, and ValueError."""
        if planned.delay_us or planned.input is None:
            return self.now + planned.delay_us
        node = NodeState(planned, scope)
        node.scheduled_at_us = self.now
        value = decode(render_input(self.state, node))
        if isinstance(value, str):
            return max(self.now, _instant_us(value))
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e13:
            raise ValueError(f"expected a number of milliseconds or an instant, got {value!r}")
        return self.now + int(value * 1000)

    def scheduled(self, scope: Scope, planned: PlanNode, attempt: int) -> NodeState:
        body = self.add("task_scheduled")
        body.node = scope.prefix + planned.id if scope.prefix else planned.id
        body.attempt = attempt
        APPLY["task_scheduled"](self.state, body, self.now)
        return scope.nodes[planned.index]

    def schedule(self, scope: Scope, planned: PlanNode, attempt: int) -> None:
        self.out.dispatch.append(self.scheduled(scope, planned, attempt))

    def skip_reason(self, scope: Scope, planned: PlanNode) -> history.TaskSkipped | None:
        """Why a ready node is skipped rather than begun; None if it is to begin."""
        because: NodeState | None = None
        for dependency in planned.dependencies:
            if not scope.ended(dependency):
                continue
            if not scope.taken(dependency, planned):
                because = because or scope.nodes[dependency]
            elif planned.join != plan_pb2.JOIN_UNSPECIFIED:
                return None
        if because is None:
            return None
        if because.status == s.COMPLETED:
            reason = history.SKIP_REASON_CONDITION_FALSE
        elif because.status == s.FAILED:
            reason = history.SKIP_REASON_DEPENDENCY_FAILED
        else:
            reason = history.SKIP_REASON_DEPENDENCY_SKIPPED
        return history.TaskSkipped(
            node=scope.prefix + planned.id, reason=reason, because_of=because.id
        )

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
            self.emit("task_canceled", history.TaskCanceled(node=node.id, attempt=node.attempt))

    def cancel_below(self, owner: NodeState) -> None:
        """Ends what runs in the body of a node, the innermost graphs first."""
        for scope in owner.scopes.values():
            for node in scope.nodes.values():
                self.cancel_below(node)
            self.cancel_nodes(scope)

    # --- bodies ---

    def begin_body(self, node: NodeState, ended: deque[NodeState]) -> None:
        match node.planned.kind:
            case plan_pb2.NODE_KIND_MAP:
                self.ask(node)
            case plan_pb2.NODE_KIND_GROUP:
                self.emit("map_started", history.MapStarted(node=node.id, count=1))
                self.iterate(node, ended)
            case _:
                self.begin_machine(node, ended)

    def begin_machine(self, node: NodeState, ended: deque[NodeState]) -> None:
        try:
            value = render_input(self.state, node)
        except NotAtHand:
            self.ask(node)
            return
        except RenderError as error:
            self.fail_node(node, failure_of("ValidationError", f"input of {node.id}: {error}"))
            ended.append(node)
            return
        if len(value.data) > OUTPUT_BYTES_MAX:
            self.ask(node)
        else:
            self.emit("states_started", history.StatesStarted(node=node.id, value=value))
            self.iterate(node, ended)

    def decided_group(self, node: NodeState, ended: deque[NodeState]) -> bool:
        """Ends a race with the leaf that won it, and a group with the node that failed it."""
        owner, scope = node.scope.owner, node.scope
        if owner is None or not owner.is_group:
            return False
        if owner.planned.race:
            if node.status != s.COMPLETED or node.planned.successors:
                return False
            self.cancel_below(owner)
            self.complete(owner, node.output or NULL)
        elif scope.failed is node and scope.open_count:
            self.cancel_below(owner)
            failure = failure_pb2.Failure()
            failure.CopyFrom(node.failure or failure_pb2.Failure())
            failure.node = failure.node or node.id
            self.fail_node(owner, failure)
        else:
            return False
        ended.append(owner)
        return True

    def take_signal(self, node: NodeState, ended: deque[NodeState]) -> None:
        """Completes a node that waits for a signal, if one is there that no other node has had."""
        signal = self.state.next_signal(node.planned.signal)
        if signal is not None:
            self.complete(node, signal.payload)
            ended.append(node)

    def ask(self, node: NodeState) -> None:
        """Has a body served from outside, and asks again later if nothing came of it."""
        self.state.set_timer(node.id, self.now + s.ASK_AGAIN_US)
        self.out.asks.append(node)

    def go_on_later(self, owner: NodeState) -> None:
        """Has a body ask, once however many of its items end in this command after it."""
        self.asked = owner
        self.ask(owner)

    def iterate(self, owner: NodeState, ended: deque[NodeState]) -> None:
        """Begins what may run next of a body; ends the node after the last."""
        if owner.status != s.RUNNING or owner is self.asked:
            return
        if owner.machine is not None:
            self.iterate_machine(owner, owner.machine, ended)
        elif owner.map is not None:
            self.iterate_map(owner, owner.map, ended)

    def iterate_machine(
        self, owner: NodeState, machine: s.MachineState, ended: deque[NodeState]
    ) -> None:
        """Begins the next node of a state machine, or ends it with its value."""
        state = self.state
        if machine.scopes:
            return
        if machine.failure is not None:
            self.fail_node(owner, machine.failure)
            ended.append(owner)
        elif machine.next is None:
            self.complete(owner, machine.value)
            ended.append(owner)
        elif owner.planned.steps_max and machine.begun >= owner.planned.steps_max:
            message = f"{owner.id} has run {machine.begun:,} nodes, as many as it may"
            self.fail_node(owner, failure_of("ResourceLimit", message))
            ended.append(owner)
        elif state.full:
            state.held[owner.id] = (owner.scope, owner.planned)
        elif self.begun >= BEGUN_PER_STEP_MAX:
            self.go_on_later(owner)
        else:
            self.begun += 1
            scope = state.open_scope(owner)
            self.begin(scope, scope.graph.nodes[machine.next], ended)

    def iterate_map(self, owner: NodeState, of: s.MapState, ended: deque[NodeState]) -> None:
        """Begins as many items of a map as may run at once; ends it after the last."""
        state = self.state
        while of.failure is None and of.begun < of.total:
            if len(of.scopes) >= owner.planned.concurrency:
                return
            if state.full:
                state.held[owner.id] = (owner.scope, owner.planned)
                return
            if self.begun >= BEGUN_PER_STEP_MAX:
                self.go_on_later(owner)
                return
            scope = state.open_scope(owner)
            self.begun += len(scope.graph.nodes)
            for planned in scope.graph.roots:
                self.begin(scope, planned, ended)
        if of.scopes:
            return
        if of.failure is not None:
            self.fail_node(owner, of.failure)
            ended.append(owner)
            return
        if owner.planned.single:
            only = of.outputs[0]
            self.complete(
                owner, payload_pb2.Payload(data=only) if isinstance(only, bytes) else only
            )
            ended.append(owner)
            return
        outputs = [each for each in of.outputs if isinstance(each, bytes)]
        if (
            len(outputs) < len(of.outputs)
            or sum(map(len, outputs)) + len(outputs) > OUTPUT_BYTES_MAX
        ):
            self.go_on_later(owner)
            return
        self.complete(owner, payload_pb2.Payload(data=b"[" + b",".join(outputs) + b"]"))
        ended.append(owner)

    # --- the end ---

    def finish(self, command: c.Finish) -> None:
        """Ends an execution whose nodes have all ended."""
        state = self.state
        if state.ended or state.scope.open_count:
            return
        failed = state.scope.failed
        if failed is not None:
            failure = failure_pb2.Failure()
            if failed.failure is not None:
                failure.CopyFrom(failed.failure)
            if failed.planned.body is None or not failure.node:
                failure.node = failed.id
            self.emit("workflow_failed", history.WorkflowFailed(failure=failure))
            self.out.ended = True
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
        self.emit("workflow_failed", history.WorkflowFailed(failure=failure_of(class_, message)))
        self.out.ended = True


def failure_of(class_: str, message: str) -> failure_pb2.Failure:
    failure = failure_pb2.Failure(message=message)
    setattr(failure, "class", class_)
    return failure


def encode_output(value: Any) -> bytes:
    """A rendered output as it is stored."""
    return json.dumps(value, separators=(",", ":")).encode()


def _instant_us(text: str) -> int:
    """An RFC 3339 instant in microseconds since the epoch; raises ValueError."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"the instant {text!r} has no time zone")
    since = instant - _EPOCH
    return since // _MICROSECOND
