"""The journal of a durable handler: what it asked for, in the order in which that was committed.

State and how events change it; `flowmesh.engine.decisions.durable` decides what follows from it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from flowmesh.api.common.v1 import journal_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine.state.nodes import FAILED, NodeState, Scope
from flowmesh.engine.state.scopes import drop_scopes

if TYPE_CHECKING:
    from flowmesh.engine.state.state import State
from flowmesh.plan import single_task

STEP = journal_pb2.JOURNAL_KIND_STEP
SLEEP = journal_pb2.JOURNAL_KIND_SLEEP
SIGNAL = journal_pb2.JOURNAL_KIND_SIGNAL
CALL = journal_pb2.JOURNAL_KIND_CALL

JOURNAL_RECORDS_MAX = 10_000
"""Records of one journal; the handler fails that asks for more."""

JOURNAL_BYTES_MAX = 2 << 20
"""Bytes of their values together, without those that are stored and referred to."""


class Journal:
    """What one handler has asked for.

    `open` are the records of what has not ended, by index, `ended` the indices of what has;
    `scopes` are the tasks it called that are in progress. `resumed` counts the attempts that were
    no new try: the handler had been suspended. `tried` is the highest attempt of such tasks from
    before the handler was opened again: those it calls since then come after that.
    """

    __slots__ = (
        "began_at_us",
        "bytes",
        "ended",
        "open",
        "records",
        "resumed",
        "scopes",
        "suspended",
        "tried",
    )

    def __init__(self, began_at_us: int, tried: int) -> None:
        self.began_at_us = began_at_us
        self.tried = tried
        self.records: list[journal_pb2.JournalRecord] = []
        self.open: dict[int, journal_pb2.JournalRecord] = {}
        self.ended: set[int] = set()
        self.bytes = 0
        self.scopes: dict[int, Scope] = {}
        self.resumed = 0
        self.suspended = False

    def add(self, record: journal_pb2.JournalRecord) -> None:
        """Keeps a record, which is not changed any more."""
        self.records.append(record)
        self.bytes += size_of(record)
        if is_open(record):
            self.open[record.index] = record
        else:
            self.open.pop(record.index, None)
            self.ended.add(record.index)

    @property
    def due_at_us(self) -> int:
        """When the first sleep or wait is over; 0 is never."""
        return min((one.fire_at_us for one in self.open.values() if one.fire_at_us), default=0)


def is_open(record: journal_pb2.JournalRecord) -> bool:
    return record.WhichOneof("outcome") is None


def size_of(record: journal_pb2.JournalRecord) -> int:
    """Bytes of the values in a record."""
    failure = record.failure
    around = len(record.name) + len(failure.message) + len(failure.details)
    return around + len(record.output.data) + len(record.call.input.data) + len(record.call.config)


def tries(node: NodeState) -> int:
    """Attempts that were tries of their own, since its graph began: without those that went on."""
    resumed = node.journal.resumed if node.journal is not None else 0
    return max(node.attempt - node.scope.tried - resumed, 0)


# --- events ---


def journal_appended(state: State, event: history_event_pb2.JournalAppended, at_us: int) -> None:
    node = state.reach(event.node)
    journal = node.journal
    if journal is None:
        journal = node.journal = Journal(event.began_at_us, node.tried)
    for given in event.records:
        record = journal_pb2.JournalRecord()
        record.CopyFrom(given)
        record.at_us = at_us
        if is_open(record) and record.delay_ms and not record.fire_at_us:
            record.fire_at_us = at_us + record.delay_ms * 1000
        _append(state, node, journal, record)
    arm(state, node, journal)


def _append(
    state: State, node: NodeState, journal: Journal, record: journal_pb2.JournalRecord
) -> None:
    journal.add(record)
    if is_open(record):
        if record.kind == SIGNAL:
            await_signals(state, node, journal)
        elif record.kind == CALL:
            open_call(state, node, record)
    elif record.kind == SIGNAL:
        _await_no_more(state, node, journal, record.name)
        if record.HasField("output"):
            state.signals_taken[record.name] = state.signals_taken.get(record.name, 0) + 1
    elif record.kind == CALL and record.index in journal.scopes:
        scope = journal.scopes.pop(record.index)
        del state.scopes[scope.prefix]


def await_signals(state: State, node: NodeState, journal: Journal) -> None:
    """Has the node hear of the signals it waits for."""
    for record in journal.open.values():
        if record.kind == SIGNAL:
            state.awaiting.setdefault(record.name, OrderedDict())[node.id] = node


def _await_no_more(state: State, node: NodeState, journal: Journal, name: str) -> None:
    if any(one.kind == SIGNAL and one.name == name for one in journal.open.values()):
        return
    waiting = state.awaiting.get(name)
    if waiting is not None:
        waiting.pop(node.id, None)
        if not waiting:
            del state.awaiting[name]


def open_call(state: State, node: NodeState, record: journal_pb2.JournalRecord) -> Scope:
    """The graph of the one task that a handler calls."""
    assert node.journal is not None
    scope = Scope(single_task(node.planned, record.name, record.call), node, record.index)
    node.journal.scopes[record.index] = scope
    state.scopes[scope.prefix] = scope
    return scope


def call_closed(state: State, node: NodeState, scope: Scope) -> None:
    """A task that the handler called has ended: its outcome is the next record."""
    assert node.journal is not None
    (called,) = scope.nodes.values()
    opened = node.journal.open[scope.item]
    record = journal_pb2.JournalRecord(
        index=scope.item, kind=CALL, name=opened.name, at_us=called.ended_at_us
    )
    if called.failure is not None:
        record.failure.CopyFrom(called.failure)
        record.failure.node = record.failure.node or called.id
    elif called.output is not None:
        record.output.CopyFrom(called.output)
    else:
        record.canceled = True
    _append(state, node, node.journal, record)


def task_suspended(state: State, event: history_event_pb2.TaskSuspended, _at_us: int) -> None:
    node = state.reach(event.node)
    state.bring_back(node)
    node.worker_id = ""
    if node.journal is None:
        node.journal = Journal(0, node.tried)
    node.journal.suspended = True
    arm(state, node, node.journal)


def resumed(state: State, node: NodeState, journal: Journal) -> None:
    """The next attempt is on its way to a worker."""
    if journal.suspended:
        journal.suspended = False
        journal.resumed += 1
    arm(state, node, journal)


def close(state: State, node: NodeState, journal: Journal) -> None:
    """The node has ended: nothing of what is open is wanted any more."""
    for record in journal.open.values():
        waiting = state.awaiting.get(record.name) if record.kind == SIGNAL else None
        if waiting is not None:
            waiting.pop(node.id, None)
            if not waiting:
                del state.awaiting[record.name]
    state.clear_timer(node.id)
    drop_scopes(state, node)
    # One that is opened again goes on behind what it has done; what was open it asks for anew.
    kept = node.status == FAILED
    records = [one for one in journal.records if kept and one.index in journal.ended]
    journal.records, journal.open, journal.suspended = records, {}, False
    journal.tried = node.tried
    journal.ended = journal.ended if kept else set()
    journal.bytes = sum(map(size_of, records))


def arm(state: State, node: NodeState, journal: Journal) -> None:
    """Sets the node's timer to what is due first; that of a retry stays as it is."""
    if not journal.suspended and node.id not in state.at_workers:
        return
    due_at_us = journal.due_at_us
    if due_at_us != node.due_at_us:
        state.set_due(node, due_at_us)
