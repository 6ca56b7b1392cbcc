"""The journal of a durable handler: its requests and their outcomes in the order of commits.

State and events; `flowmesh.engine.decisions.durable` decides on them.
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
"""Records of one journal; a handler that exceeds it fails."""

JOURNAL_BYTES_MAX = 2 << 20
"""Bytes of the inline values of one journal."""

USAGE_MAX = 10**12
"""Tokens or micro-dollars of one answer of a model: sums of millions of answers stay countable."""


class Journal:
    """The requests of one handler.

    `open` are the records of open requests by index, `ended` the indices of ended ones; `scopes`
    are the called tasks in progress. `resumed` counts attempts that resumed a suspended handler
    and were no new try. `tried` is the highest attempt of called tasks before the handler was
    reopened; new attempts are higher.
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
        """Add a record, which must not change later."""
        self.records.append(record)
        self.bytes += size_of(record)
        if is_open(record):
            self.open[record.index] = record
        else:
            self.open.pop(record.index, None)
            self.ended.add(record.index)

    @property
    def due_at_us(self) -> int:
        """The end of the first sleep or wait; 0 means none."""
        return min((one.fire_at_us for one in self.open.values() if one.fire_at_us), default=0)


def is_open(record: journal_pb2.JournalRecord) -> bool:
    return record.WhichOneof("outcome") is None


def size_of(record: journal_pb2.JournalRecord) -> int:
    """Return the bytes of the values in a record."""
    failure = record.failure
    around = len(record.name) + len(failure.message) + len(failure.details)
    return around + len(record.output.data) + len(record.call.input.data) + len(record.call.config)


def tries(node: NodeState) -> int:
    """Return the attempts since the graph began, without those that resumed a handler."""
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
    """Register the node for the signals it waits for."""
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
    """Open the graph of a single task that a handler calls."""
    assert node.journal is not None
    scope = Scope(single_task(node.planned, record.name, record.call), node, record.index)
    node.journal.scopes[record.index] = scope
    state.scopes[scope.prefix] = scope
    return scope


def call_closed(state: State, node: NodeState, scope: Scope) -> None:
    """Append the outcome of a called task that ended."""
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
    """Count an attempt that resumes a suspended handler."""
    if journal.suspended:
        journal.suspended = False
        journal.resumed += 1
    arm(state, node, journal)


def close(state: State, node: NodeState, journal: Journal) -> None:
    """Close all open requests of a node that ended."""
    for record in journal.open.values():
        waiting = state.awaiting.get(record.name) if record.kind == SIGNAL else None
        if waiting is not None:
            waiting.pop(node.id, None)
            if not waiting:
                del state.awaiting[record.name]
    state.clear_timer(node.id)
    drop_scopes(state, node)
    # A reopened handler continues after its ended requests and repeats the open ones.
    kept = node.status == FAILED
    records = [one for one in journal.records if kept and one.index in journal.ended]
    journal.records, journal.open, journal.suspended = records, {}, False
    journal.tried = node.tried
    journal.ended = journal.ended if kept else set()
    journal.bytes = sum(map(size_of, records))


def arm(state: State, node: NodeState, journal: Journal) -> None:
    """Set the timer of the node to the first due request; the timer of a retry stays."""
    if not journal.suspended and node.id not in state.at_workers:
        return
    due_at_us = journal.due_at_us
    if due_at_us != node.due_at_us:
        state.set_due(node, due_at_us)
