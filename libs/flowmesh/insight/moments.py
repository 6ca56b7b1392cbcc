"""An execution as it was after one of its events: a history replayed up to there.

A `Scrubber` keeps the state it showed last and, once somebody has gone back, copies of earlier
ones, so that a jump in either direction costs what lies behind the nearest of them.
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
from flowmesh.engine import NodeState, Recorded, Scope, State, copied, let_go, restore_held
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
"""A report shows no further items of maps in progress once it has so many nodes."""

EVENTS_BETWEEN_COPIES = 2_500
COPIES_MAX = 8
"""Copies of states that are kept of one history; where they would be more, they are farther apart.
What no event changes, as outputs, they share with the history.
"""

EVENTS_BETWEEN_TURNS = 2_000
"""Other threads get a turn after so many events, and between the parts of a report."""

NEAR_PART = 5
"""So great a part of the distance lies between a further copy and where somebody went back to."""


class Scrubber:
    """One history, which may grow, and the state after any of its events, for one at a time."""

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
        self._state = self._unbegun()
        self._copies: list[State] = []
        self._apart = apart
        self._went_back = False
        self._near = self._unbegun()
        # Who asked may be gone while a thread is still at it.
        self._using = threading.Lock()

    def sequence_at(self, at_us: int) -> int:
        """That of the last event that was not later; 0 before the first."""
        return self.events.count_until(at_us)

    @contextlib.contextmanager
    def state(self, sequence: int) -> Iterator[State]:
        """The state after an event, for reading, until the end of the block."""
        with self._using:
            state = self._take(sequence)
            # A history that is none must not leave a state behind that is half of one.
            self._state = self._unbegun()
            self._replay(state, sequence)
            timers = dict(state.timers)
            restore_held(state)
            try:
                yield state
            finally:
                # What no history names is found anew each time.
                state.held.clear()
                state.timers.clear()
                for node_id, due_at_us in timers.items():
                    state.set_timer(node_id, due_at_us)
                self._state = state

    def close(self) -> None:
        """It is not used any more."""
        with self._using:
            for state in (self._state, self._near, *self._copies):
                let_go(state)
            self._state = self._unbegun()
            self._near = self._unbegun()
            self._copies.clear()

    def at(self, sequence: int) -> StateAt:
        """The report of the state after an event, of which there must be one."""
        event = self.events.event(sequence - 1)
        with self.state(sequence) as state:
            return report_of(state, event, len(self.events))

    def _unbegun(self) -> State:
        """The state before the first event."""
        return State(self.execution_id, self.plan)

    def _take(self, sequence: int) -> State:
        """A state at or before an event, which may be changed."""
        known = (self._near, *self._copies)
        best = max(
            (each for each in known if each.sequence <= sequence),
            key=lambda each: each.sequence,
            default=None,
        )
        at = best.sequence if best is not None else 0
        if at <= self._state.sequence <= sequence:
            return self._state
        self._went_back = True
        let_go(self._state)
        self._state = self._unbegun()
        state = copied(best) if best is not None else self._unbegun()
        near = sequence - self._apart // NEAR_PART
        if at < near:
            self._replay(state, near)
            let_go(self._near)
            self._near = copied(state)
        return state

    def _replay(self, state: State, sequence: int) -> None:
        """Goes forward to an event, and keeps copies on the way."""
        while state.sequence < sequence:
            at = state.sequence
            end = min(sequence, at + EVENTS_BETWEEN_TURNS, (at // self._apart + 1) * self._apart)
            self.events.replay(state, at, end)
            _give_way()
            if self._went_back and end % self._apart == 0:
                self._keep(state)

    def _keep(self, state: State) -> None:
        copies = self._copies
        if copies and copies[-1].sequence >= state.sequence:
            return
        copies.append(copied(state))
        if len(copies) > COPIES_MAX:
            self._apart *= 2
            for each in copies:
                if each.sequence % self._apart:
                    let_go(each)
            self._copies = [each for each in copies if each.sequence % self._apart == 0]


def report_of(state: State, event: pb.HistoryEvent, last_sequence: int) -> StateAt:
    """The report of a state whose last event this was; what waits must be known in it."""
    plan = state.plan
    kind = event.WhichOneof("event")
    shown: list[NodeState] = []
    _add_nodes(state.scope, shown)
    counts: dict[execution_pb2.NodeStatus.ValueType, int] = {}
    for node in shown:
        counts[node.status] = counts.get(node.status, 0) + 1
    begun = [node for node in shown if node.status != PENDING]
    _give_way()
    variables = _variables(state, begun)
    _give_way()
    nodes = _nodes(begun)
    _give_way()
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


def _give_way() -> None:
    """The loop that commits must not stand still: compiled code lets nobody in by itself.

    This sleeps for a moment (50 us): whoever only lets go of the lock has it again before
    another thread is awake.
    """
    time.sleep(0)


def _add_nodes(scope: Scope, shown: list[NodeState]) -> None:
    """Those of a graph in its order, each with the items in progress below it, until it is full."""
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
    """Times of one report: what is committed together has the same."""

    def __init__(self) -> None:
        self._known: dict[int, datetime] = {}

    def at(self, at_us: int) -> datetime | UnsetType:
        if not at_us:
            return UNSET
        known = self._known.get(at_us)
        if known is None:
            known = self._known[at_us] = moment(at_us)
        return known
