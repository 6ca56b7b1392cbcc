"""The state of an execution after any of its events, by replay of its history.

A `HistoryReplayer` keeps the last state and, after the first jump backward, copies of earlier
states. A jump then replays only the events since the nearest copy.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.engine import NodeState, Recorded, Scope, State, copy_state, dispose, restore_held
from flowmesh.engine.state.state import PENDING, RUNNING
from flowmesh.insight.parts import (
    NodeWord,
    error_part,
    execution_word,
    hold_word,
    moment,
    moment_or_unset,
    node_word,
)
from flowmesh.insight.states import NodeAt, SignalAt, StateAt, TimerAt, Variables
from flowmesh.plan import Plan
from flowmesh.views import event_type, raw_value

if TYPE_CHECKING:
    from flowmesh.api.execution.v1 import execution_pb2

NODES_SHOWN_MAX = 12_000
"""Nodes in a report; further items of maps in progress are left out."""

EVENTS_BETWEEN_COPIES = 2_500
COPIES_MAX = 8
"""Copies of states per history; above this every second copy is dropped and the distance doubles.
Copies share immutable parts such as outputs with the history.
"""

EVENTS_BETWEEN_TURNS = 2_000
"""Events replayed before the thread yields; it also yields between the parts of a report."""

BACKWARD_COPY_FRACTION = 5
"""A jump backward keeps an extra copy 1/5 of the distance between copies before its target."""


class HistoryReplayer:
    """A history, which may grow, and the state after any of its events; one caller at a time."""

    def __init__(
        self,
        execution_id: str,
        plan: Plan,
        events: Recorded,
        apart: int = EVENTS_BETWEEN_COPIES,
    ) -> None:
        self.execution_id = execution_id
        self.plan = plan
        self.events = events
        self._state = self._new_state()
        self._copies: list[State] = []
        self._apart = apart
        self._jumped_back = False
        self._backward_copy = self._new_state()
        # A canceled caller leaves its thread running.
        self._using = threading.Lock()

    def sequence_at(self, at_us: int) -> int:
        """Return the sequence of the last event at or before a time; 0 before the first event."""
        return self.events.count_until(at_us)

    @contextlib.contextmanager
    def state(self, sequence: int) -> Iterator[State]:
        """Yield the state after an event, read-only, until the end of the block."""
        with self._using:
            state = self._take(sequence)
            # An invalid history must not leave a partly replayed state behind.
            self._state = self._new_state()
            self._replay(state, sequence)
            timers = dict(state.timers)
            restore_held(state)
            try:
                yield state
            finally:
                # `restore_held` adds what no event records; remove it again.
                state.held.clear()
                state.timers.clear()
                for node_id, due_at_us in timers.items():
                    state.set_timer(node_id, due_at_us)
                self._state = state

    def close(self) -> None:
        """Free the memory of all states."""
        with self._using:
            for state in (self._state, self._backward_copy, *self._copies):
                dispose(state)
            self._state = self._new_state()
            self._backward_copy = self._new_state()
            self._copies.clear()

    def at(self, sequence: int) -> StateAt:
        """Return the report of the state after an event that exists."""
        event = self.events.event(sequence - 1)
        with self.state(sequence) as state:
            return report_of(state, event, len(self.events))

    def _new_state(self) -> State:
        return State(self.execution_id, self.plan)

    def _take(self, sequence: int) -> State:
        """Return a mutable state at or before an event."""
        known = (self._backward_copy, *self._copies)
        best = max(
            (each for each in known if each.sequence <= sequence),
            key=lambda each: each.sequence,
            default=None,
        )
        at = best.sequence if best is not None else 0
        if at <= self._state.sequence <= sequence:
            return self._state
        self._jumped_back = True
        dispose(self._state)
        self._state = self._new_state()
        state = copy_state(best) if best is not None else self._new_state()
        near = sequence - self._apart // BACKWARD_COPY_FRACTION
        if at < near:
            self._replay(state, near)
            dispose(self._backward_copy)
            self._backward_copy = copy_state(state)
        return state

    def _replay(self, state: State, sequence: int) -> None:
        """Replay up to an event and keep copies on the way."""
        while state.sequence < sequence:
            at = state.sequence
            end = min(sequence, at + EVENTS_BETWEEN_TURNS, (at // self._apart + 1) * self._apart)
            self.events.replay(state, at, end)
            _yield_thread()
            if self._jumped_back and end % self._apart == 0:
                self._keep(state)

    def _keep(self, state: State) -> None:
        copies = self._copies
        if copies and copies[-1].sequence >= state.sequence:
            return
        copies.append(copy_state(state))
        if len(copies) > COPIES_MAX:
            self._apart *= 2
            for each in copies:
                if each.sequence % self._apart:
                    dispose(each)
            self._copies = [each for each in copies if each.sequence % self._apart == 0]


def report_of(state: State, event: pb.HistoryEvent, last_sequence: int) -> StateAt:
    """Return the report of a state with its last event. `restore_held` must have run on it."""
    plan = state.plan
    kind = event.WhichOneof("event")
    shown: list[NodeState] = []
    _add_nodes(state.scope, shown)
    counts: dict[execution_pb2.NodeStatus.ValueType, int] = {}
    for node in shown:
        counts[node.status] = counts.get(node.status, 0) + 1
    begun = [node for node in shown if node.status != PENDING]
    _yield_thread()
    variables = _variables(state, begun)
    _yield_thread()
    nodes = _nodes(begun)
    _yield_thread()
    return StateAt(
        execution_id=state.execution_id,
        workflow=plan.workflow_id,
        version=plan.version,
        plan_digest=plan.digest,
        status=execution_word(state.status),
        sequence=state.sequence,
        last_sequence=last_sequence,
        at=moment(event.at_us),
        event=event_type(event),
        task_id=getattr(getattr(event, kind), "node", "") or UNSET if kind else UNSET,
        started_at=moment_or_unset(state.started_at_us),
        ended_at=moment_or_unset(state.ended_at_us),
        hold=hold_word(state.hold.reason) if state.hold is not None else UNSET,
        variables=variables,
        output=raw_value(state.output) if state.output is not None else UNSET,
        error=error_part(state.failure),
        nodes=nodes,
        counts={node_word(status): count for status, count in counts.items()},
        held=list(state.held),
        queued=[node.id for node in state.at_workers.values() if not node.delivery],
        at_workers=[node.id for node in state.at_workers.values() if node.delivery],
        timers=[
            TimerAt(task_id=node.id, due_at=moment(node.due_at_us))
            for node in begun
            if node.due_at_us
        ],
        awaiting={name: list(nodes) for name, nodes in state.awaiting.items() if name},
        children={
            node.id: node.child.execution_id
            for node in begun
            if node.child is not None and node.child.open
        },
        asking=list(state.asking),
        on_hold=list(state.on_hold),
        stopped=list(state.stopped),
        undo=[node.id for node in state.undo],
        truncated=len(shown) >= NODES_SHOWN_MAX,
    )


def _yield_thread() -> None:
    """Let the event loop run: compiled code never releases the interpreter lock by itself.

    This sleeps for about 50 us. A mere release would reacquire the lock before another thread
    is awake.
    """
    time.sleep(0)


def _add_nodes(scope: Scope, shown: list[NodeState]) -> None:
    """Add the nodes of a graph in order, each followed by its items in progress."""
    nodes = scope.nodes
    single = scope.owner is not None and scope.owner.machine is not None
    undone = [each for each in scope.graph.undos if each.index in nodes]
    begun = [node.planned for node in nodes.values()]
    for planned in begun if single else [*scope.graph.nodes, *undone]:
        if len(shown) >= NODES_SHOWN_MAX:
            return
        node = nodes.get(planned.index)
        if node is None:
            shown.append(NodeState(planned, scope))
            continue
        shown.append(node)
        if node.map is not None or node.machine is not None or node.journal is not None:
            for inner in node.scopes.values():
                _add_nodes(inner, shown)


def _variables(state: State, nodes: list[NodeState]) -> Variables:
    return Variables(
        input=raw_value(state.input),
        tasks={node.id: raw_value(node.output) for node in nodes if node.output is not None},
        states={
            node.id: raw_value(node.machine.value)
            for node in nodes
            if node.machine is not None and node.planned.kind == plan_pb2.NODE_KIND_STATES
        },
        signals=[
            SignalAt(
                name=signal.name,
                payload=raw_value(signal.payload),
                received_at=moment(signal.received_at_us),
            )
            for signal in state.signals
        ],
        declared=dict(state.variables[-1]),
    )


def _nodes(nodes: list[NodeState]) -> dict[str, NodeAt]:
    times = _Times()
    words: dict[execution_pb2.NodeStatus.ValueType, NodeWord] = {}
    shown: dict[str, NodeAt] = {}
    for node in nodes:
        status = node.status
        if status not in words:
            words[status] = node_word(status)
        shown[node.id] = NodeAt(
            status=words[status],
            attempt=node.attempt,
            scheduled_at=times.at(node.scheduled_at_us),
            started_at=times.at(node.started_at_us),
            ended_at=times.at(node.ended_at_us),
            due_at=times.at(node.due_at_us),
            worker_id=node.worker_id if node.worker_id and status == RUNNING else UNSET,
            because_of=node.because_of or UNSET,
            error=error_part(node.failure) if node.failure is not None else UNSET,
        )
    return shown


class _Times:
    """Cache of the times of one report; events of one commit share a time."""

    def __init__(self) -> None:
        self._known: dict[int, datetime] = {}

    def at(self, at_us: int) -> datetime | UnsetType:
        if not at_us:
            return UNSET
        known = self._known.get(at_us)
        if known is None:
            known = self._known[at_us] = moment(at_us)
        return known
