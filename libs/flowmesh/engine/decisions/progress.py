"""How an execution moves on when nodes end: what begins, what waits, and how it all ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import commands as c
from flowmesh.engine.children import decisions as children
from flowmesh.engine.decisions import delays
from flowmesh.engine.decisions.ending import NULL, Ending, failure_of
from flowmesh.engine.state import pages
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, Scope, State
from flowmesh.engine.state.transition import Transition
from flowmesh.plan import (
    NotAtHand,
    PlanNode,
    RenderError,
    decode,
    render_input,
)

BEGUN_PER_STEP_MAX = 10_000
"""Once one command has begun items of maps with so many nodes, the map asks to go on."""


class Progress(Ending):
    """Moves the graphs on."""

    __slots__ = ("asked", "begun", "chosen")

    def __init__(self, state: State, now_us: int, out: Transition) -> None:
        super().__init__(state, now_us, out)
        self.begun = 0
        self.asked: NodeState | None = None
        self.chosen = ""

    # --- nodes ---

    def advance(self, ended: deque[NodeState]) -> None:
        """Begins what may run now that nodes have ended, and ends an execution that is over."""
        state = self.state
        self.follow(ended)
        # With priorities a slot is given away once everything is known that is ready.
        while self.plan.prioritizes and self.has_slot:
            self.release(ended)
            self.follow(ended)
        if state.compensating:
            self.compensate()
        elif state.stopping and not state.at_workers and not state.ended:
            self.cancel_open_nodes()
            assert state.scope.failed is not None
            self.fail_by(state.scope.failed)
        elif not state.scope.open_count:
            self.finish(c.Finish())

    def follow(self, ended: deque[NodeState]) -> None:
        """Begins every node that the ended ones were the last to hold back."""
        state = self.state
        while ended:
            node = ended.popleft()
            scope, owner = node.scope, node.scope.owner
            if state.compensating:
                if owner is not None and owner.journal is not None:
                    self.iterate(owner, ended)
                continue
            doubtful = node.status == s.FAILED or state.scope.failed is not None
            if doubtful and self.fatal(node):
                ended.clear()
                break
            if owner is not None and (owner.status != s.RUNNING or self.decided_group(node, ended)):
                continue
            for successor in node.planned.successors:
                if successor.index in scope.nodes or not scope.startable(successor):
                    continue
                if not state.held or scope.prefix + successor.id not in state.held:
                    self.begin(scope, successor, ended)
            if owner is not None and not scope.open_count:
                self.iterate(owner, ended)
            if state.held and not self.plan.prioritizes:
                self.release_all(ended)

    def fatal(self, node: NodeState) -> bool:
        """Ends the execution with a node that must not fail; whether it was one, or one has."""
        state = self.state
        if state.stopping:
            return True
        if node.status != s.FAILED or state.ended:
            return state.ended
        undoes = node.planned.on_failure == plan_pb2.NODE_FAILURE_POLICY_COMPENSATE
        cancels = self.plan.on_failure == plan_pb2.FAILURE_POLICY_CANCEL
        if not undoes and not (cancels and state.scope.failed is node):
            return False
        self.cancel_open_nodes()
        self.fail_by(node)
        return True

    def release_all(self, ended: deque[NodeState]) -> None:
        """Lets go on what was held back, as much as may run at once."""
        while self.has_slot:
            self.release(ended)

    @property
    def has_slot(self) -> bool:
        """Whether a node is held back that may begin."""
        state = self.state
        return bool(state.held) and not state.full and not state.stopping

    def release(self, ended: deque[NodeState]) -> None:
        """Begins the held node whose turn it is: by priority, then by how long it has waited."""
        scope, planned = self.state.held.take()
        self.chosen = scope.prefix + planned.id
        if planned.index in scope.nodes:
            self.iterate(scope.nodes[planned.index], ended)
        else:
            self.begin(scope, planned, ended)
        self.chosen = ""

    def must_wait(self, scope: Scope, planned: PlanNode) -> bool:
        """Whether a ready task, or the next item of a container, has no slot now."""
        if self.state.full:
            return True
        return self.plan.prioritizes and scope.prefix + planned.id != self.chosen

    def choose_first(self, scope: Scope, first: Sequence[PlanNode]) -> None:
        """Gives the slot of a container to the nodes of highest priority that begin in its body."""
        if self.plan.prioritizes:
            best = max(first, key=lambda planned: planned.first_priority)
            self.chosen = scope.prefix + best.id

    def begin(self, scope: Scope, planned: PlanNode, ended: deque[NodeState]) -> None:
        """Starts a ready node; one that ends at once is added to `ended`."""
        state = self.state
        if state.status != s.EXECUTION_RUNNING:
            if state.paused:
                state.held.add(scope, planned)
            return
        skip = self.skip_reason(scope, planned)
        if skip is not None:
            self.emit("task_skipped", skip)
            ended.append(scope.nodes[planned.index])
        elif (state.stops_everywhere or state.breakpoints) and self.stops(scope, planned):
            return
        elif planned.is_task:
            if self.must_wait(scope, planned):
                state.held.add(scope, planned)
            else:
                self.schedule(scope, planned)
        elif planned.kind == plan_pb2.NODE_KIND_TIMER:
            self.begin_timer(scope, planned, ended)
        elif planned.body is not None:
            self.begin_body(self.scheduled(scope, planned), ended)
        elif planned.waits:
            children.begin(self, self.scheduled(scope, planned), ended)
        elif planned.signal:
            node = self.scheduled(scope, planned)
            self.started(node)
            self.take_signal(node, ended)
        elif planned.approval is not None:
            node = self.scheduled(scope, planned)
            self.started(node)
            self.begin_approval(node, ended)
        else:
            node = self.scheduled(scope, planned)
            self.started(node)
            self.complete(node, NULL)
            ended.append(node)

    def begin_approval(self, node: NodeState, ended: deque[NodeState]) -> None:
        """Asks people; see Approvals."""
        raise NotImplementedError

    def stops(self, scope: Scope, planned: PlanNode) -> bool:
        """Whether a node that is ready waits at a breakpoint, from now on or already."""
        key = scope.prefix + planned.id
        if key in self.state.stopped:
            return True
        if not self.state.stops_at(key):
            return False
        self.emit("breakpoint_reached", history.BreakpointReached(node=key))
        return True

    def begin_timer(self, scope: Scope, planned: PlanNode, ended: deque[NodeState]) -> None:
        try:
            due_at_us = self.due_at_us(scope, planned)
        except (RenderError, NotAtHand, ValueError) as error:
            node = self.scheduled(scope, planned)
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
        return delays.end_us(decode(render_input(self.state, node)), self.now)

    def skip_reason(self, scope: Scope, planned: PlanNode) -> history.TaskSkipped | None:
        """Why a ready node is skipped rather than begun; None if it is to begin."""
        if planned.join != plan_pb2.JOIN_UNSPECIFIED and scope.joined(planned):
            return None
        because: NodeState | None = None
        for dependency in planned.dependencies:
            if scope.ended(dependency) and not scope.taken(dependency, planned):
                because = scope.nodes[dependency]
                break
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

    # --- bodies ---

    def begin_body(self, node: NodeState, ended: deque[NodeState]) -> None:
        match node.planned.kind:
            case plan_pb2.NODE_KIND_MAP if not node.planned.pages_max:
                self.ask(node)
            case plan_pb2.NODE_KIND_MAP | plan_pb2.NODE_KIND_GROUP:
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
        if len(value.data) > INLINE_BYTES_MAX:
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
        signal = self.state.next_signal(node.awaited)
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
        if owner.status != s.RUNNING or owner is self.asked or owner.id in self.state.on_hold:
            return
        if owner.machine is not None:
            self.iterate_machine(owner, owner.machine, ended)
        elif owner.map is not None:
            pager = owner if owner.planned.pages_max else pages.pager_of(owner)
            if pager is None:
                self.iterate_map(owner, owner.map, ended)
            else:
                self.iterate_pages(pager, ended)
        elif owner.journal is not None:
            self.go_on(owner, len(owner.journal.records) - 1)

    def go_on(self, node: NodeState, known: int) -> None:
        """The journal of a handler has more than the first `known` records: it is to hear of it."""
        state = self.state
        if node.id in state.at_workers:
            self.out.tell(node, known)
        elif node.id in state.on_hold or state.stopping:
            return
        elif node.journal is not None and node.journal.suspended:
            self.schedule(node.scope, node.planned)

    def iterate_machine(
        self, owner: NodeState, machine: s.MachineState, ended: deque[NodeState]
    ) -> None:
        """Begins the next node of a state machine, or ends it with its value."""
        state = self.state
        if machine.scopes:
            return
        failure = machine.failure or (machine.deferred if machine.next is None else None)
        if failure is not None:
            self.fail_node(owner, failure)
            ended.append(owner)
        elif machine.next is None:
            self.complete(owner, machine.value)
            ended.append(owner)
        elif owner.planned.steps_max and machine.begun >= owner.planned.steps_max:
            message = f"{owner.id} has run {machine.begun:,} nodes, as many as it may"
            self.fail_node(owner, failure_of("ResourceLimit", message))
            ended.append(owner)
        elif self.must_wait(owner.scope, owner.planned):
            state.held.add(owner.scope, owner.planned)
        elif self.begun >= BEGUN_PER_STEP_MAX:
            self.go_on_later(owner)
        else:
            self.begun += 1
            scope = state.open_scope(owner)
            first = scope.graph.nodes[machine.next]
            self.choose_first(scope, (first,))
            self.begin(scope, first, ended)

    def iterate_pages(self, pager: NodeState, ended: deque[NodeState]) -> None:
        """Begins items of the pages in progress, the earlier page first, and the next page."""
        for one in (*pages.in_progress(pager), pager):
            if one.map is not None and one.status == s.RUNNING and one is not self.asked:
                self.iterate_map(one, one.map, ended)

    def iterate_map(self, owner: NodeState, of: s.MapState, ended: deque[NodeState]) -> None:
        """Begins as many items of a map as may run at once; ends it after the last."""
        state = self.state
        failure = of.failure
        if failure is None and owner.planned.next_path:
            failure = pages.failure_around(owner)
        while failure is None and of.begun < of.total:
            if not pages.has_room(owner):
                return
            if self.must_wait(owner.scope, owner.planned):
                state.held.add(owner.scope, owner.planned)
                return
            if self.begun >= BEGUN_PER_STEP_MAX:
                self.go_on_later(owner)
                return
            scope = state.open_scope(owner)
            self.begun += len(scope.graph.nodes)
            self.choose_first(scope, scope.graph.roots)
            for planned in scope.graph.roots:
                self.begin(scope, planned, ended)
        if of.scopes:
            return
        if failure is not None:
            self.fail_node(owner, failure)
            ended.append(owner)
            return
        if owner.planned.single:
            only = of.outputs[0]
            self.complete(
                owner, payload_pb2.Payload(data=only) if isinstance(only, bytes) else only
            )
            ended.append(owner)
            return
        if owner.planned.counted:
            count = of.starts[-1] if of.starts else of.total
            self.complete(owner, payload_pb2.Payload(data=pages.counted(count, of.failed)))
            ended.append(owner)
            return
        outputs = [each for each in of.outputs if isinstance(each, bytes)]
        if (
            len(outputs) < len(of.outputs)
            or sum(map(len, outputs)) + len(outputs) > INLINE_BYTES_MAX
        ):
            self.go_on_later(owner)
            return
        self.complete(owner, payload_pb2.Payload(data=pages.map_output(owner.planned, outputs)))
        ended.append(owner)
