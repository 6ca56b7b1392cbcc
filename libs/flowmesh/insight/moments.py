"""An execution as it was after one of its events: a history replayed up to there.

A `Scrubber` keeps the state it showed last, so that going forward costs what lies between.
"""

import contextlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.engine import NodeState, Scope, State, apply, restore_held
from flowmesh.engine.state import PENDING, RUNNING
from flowmesh.insight.parts import (
    ErrorPart,
    ExecutionWord,
    HoldWord,
    Json,
    NodeWord,
    Part,
    error_part,
    execution_word,
    hold_word,
    moment,
    moment_or_unset,
    node_word,
)
from flowmesh.plan import Plan
from flowmesh.views import event_type, raw_value

NODES_SHOWN_MAX = 12_000
"""A report shows no further items of maps in progress once it has so many nodes."""


class NodeAt(Part, kw_only=True):
    """A node that had begun or ended."""

    status: NodeWord
    attempt: int
    scheduled_at: datetime | UnsetType = UNSET
    started_at: datetime | UnsetType = UNSET
    ended_at: datetime | UnsetType = UNSET
    due_at: datetime | UnsetType = UNSET
    worker_id: str | UnsetType = UNSET
    because_of: str | UnsetType = UNSET
    error: ErrorPart | UnsetType = UNSET


class SignalAt(Part, kw_only=True):
    """A signal that had been received."""

    name: str
    payload: Json
    received_at: datetime


class Variables(Part, kw_only=True):
    """What templates saw: the input, outputs by task, the values of state machines, signals, and
    what the workflow declares as variables.
    """

    input: Json
    tasks: dict[str, Json]
    states: dict[str, Json]
    signals: list[SignalAt]
    declared: dict[str, Json]


class TimerAt(Part, kw_only=True):
    """A node with a time to come: a timer, the next attempt of a task, the limit of a node."""

    task_id: str
    due_at: datetime


class StateAt(Part, kw_only=True):
    """An execution after event `sequence` of the `lastSequence` it had when this was asked.

    `held` were ready and waited because of a pause or a limit of the execution, `queued` waited
    for a worker, `atWorkers` were with one; `awaiting` has the nodes that waited for each signal.
    `children` are the executions that nodes waited for, empty until they have started.
    `hold` is what the execution itself waited for to begin.
    `onHold` had failed and waited for somebody, as did those `stopped` by a breakpoint and those
    `asking` for approval; `undo` were to be undone.
    A start of a task that is over within 50 ms is written down with its end.
    """

    execution_id: str
    workflow: str
    version: int
    plan_digest: str
    status: ExecutionWord
    sequence: int
    last_sequence: int
    at: datetime
    event: str
    task_id: str | UnsetType = UNSET
    started_at: datetime | UnsetType = UNSET
    ended_at: datetime | UnsetType = UNSET
    hold: HoldWord | UnsetType = UNSET
    variables: Variables
    output: Json | UnsetType = UNSET
    error: ErrorPart | UnsetType = UNSET
    nodes: dict[str, NodeAt]
    counts: dict[NodeWord, int]
    held: list[str]
    queued: list[str]
    at_workers: list[str]
    timers: list[TimerAt]
    awaiting: dict[str, list[str]]
    children: dict[str, str]
    asking: list[str]
    on_hold: list[str]
    stopped: list[str]
    undo: list[str]
    truncated: bool


class Scrubber:
    """One history, which may grow, and the state after any of its events.

    Not for two threads at once.
    """

    def __init__(self, execution_id: str, plan: Plan, events: Sequence[pb.HistoryEvent]) -> None:
        self.execution_id = execution_id
        self.plan = plan
        self.events = events
        self._state = State(execution_id, plan)

    def sequence_at(self, at_us: int) -> int:
        """That of the last event that was not later; 0 before the first."""
        return bisect_right(self.events, at_us, key=lambda event: event.at_us)

    @contextlib.contextmanager
    def state(self, sequence: int) -> Iterator[State]:
        """The state after an event, for reading, until the end of the block."""
        state = self._state
        if sequence < state.sequence:
            state = State(self.execution_id, self.plan)
        # A history that is none must not leave a state behind that is half of one.
        self._state = State(self.execution_id, self.plan)
        for event in self.events[state.sequence : sequence]:
            apply(state, event)
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

    def at(self, sequence: int) -> StateAt:
        """The report of the state after an event, of which there must be one."""
        event = self.events[sequence - 1]
        with self.state(sequence) as state:
            return report_of(state, event, len(self.events))


def report_of(state: State, event: pb.HistoryEvent, last_sequence: int) -> StateAt:
    """The report of a state whose last event this was; what waits must be known in it."""
    plan = state.plan
    kind = event.WhichOneof("event")
    shown = list(_nodes(state))
    counts: dict[NodeWord, int] = {}
    for node in shown:
        word = node_word(node.status)
        counts[word] = counts.get(word, 0) + 1
    begun = [node for node in shown if node.status != PENDING]
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
        variables=_variables(state, begun),
        output=raw_value(state.output) if state.output is not None else UNSET,
        error=error_part(state.failure),
        nodes={node.id: _node(node) for node in begun},
        counts=counts,
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


def _nodes(state: State) -> Iterator[NodeState]:
    """Those of the plan in its order, each with the items in progress below it."""
    left = NODES_SHOWN_MAX
    stack: list[Iterator[NodeState]] = [_of_scope(state.scope)]
    while stack and left:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            continue
        left -= 1
        yield node
        stack.extend(_of_scope(scope) for scope in reversed(node.scopes.values()))


def _of_scope(scope: Scope) -> Iterator[NodeState]:
    single = scope.owner is not None and scope.owner.machine is not None
    undone = [each for each in scope.graph.undos if each.index in scope.nodes]
    begun = [node.planned for node in scope.nodes.values()]
    planned = begun if single else [*scope.graph.nodes, *undone]
    return (scope.nodes.get(each.index) or NodeState(each, scope) for each in planned)


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


def _node(node: NodeState) -> NodeAt:
    return NodeAt(
        status=node_word(node.status),
        attempt=node.attempt,
        scheduled_at=moment_or_unset(node.scheduled_at_us),
        started_at=moment_or_unset(node.started_at_us),
        ended_at=moment_or_unset(node.ended_at_us),
        due_at=moment_or_unset(node.due_at_us),
        worker_id=node.worker_id if node.worker_id and node.status == RUNNING else UNSET,
        because_of=node.because_of or UNSET,
        error=error_part(node.failure),
    )
