"""Durable handlers: requests recorded in their journal, and waits that end."""

from __future__ import annotations

from collections import deque

from flowmesh.api.common.v1 import journal_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import commands as c
from flowmesh.engine.decisions.delays import DELAY_MS_MAX, LONGEST
from flowmesh.engine.decisions.outcomes import cancel_below, cancel_nodes, fail_node
from flowmesh.engine.decisions.progress import advance, resume_handler
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.decisions.values import NULL, failure_of
from flowmesh.engine.state.journal import (
    CALL,
    JOURNAL_BYTES_MAX,
    JOURNAL_RECORDS_MAX,
    SIGNAL,
    SLEEP,
    STEP,
    USAGE_MAX,
    Journal,
    is_open,
    size_of,
)
from flowmesh.engine.state.state import NodeState

NAME_CHARS_MAX = 256
_KINDS = frozenset({STEP, SLEEP, SIGNAL, CALL})
_Records = list[journal_pb2.JournalRecord]


def record(step: Step, node: NodeState, command: c.Record) -> bool:
    """Append requests and step results of a handler to its journal; suspend it if requested.

    Records that are in the journal are ignored: a worker may send them again.
    """
    if not node.delivery:
        step.started(node, command.worker_id, 1, command.started_at_us)
    new = _new(node.journal, command)
    wrong = _wrong(node.journal, new)
    if wrong is not None:
        _refuse(step, node, *wrong)
        return True
    if new:
        _stop_calls(step, node, new)
        began_at_us = command.began_at_us if node.journal is None else 0
        _append(step, node, new, began_at_us)
        _begin(step, node, new)
    journal = node.journal
    more = journal is not None and len(journal.records) > command.known + len(new)
    if not isinstance(command, c.Suspend):
        step.out.update_handler(node, command.known)
    elif not more and (journal is None or not journal.open):
        _refuse(step, node, "ValidationError", "the handler was suspended and waits for nothing")
    else:
        suspended = history_event_pb2.TaskSuspended(node=node.id, attempt=node.attempt)
        step.emit("task_suspended", suspended)
        if more:
            resume_handler(step, node, command.known)
        if step.state.stopping:
            advance(step, deque())
    return True


def signaled(step: Step, node: NodeState, name: str) -> None:
    """Deliver a signal to the oldest wait of a handler."""
    assert node.journal is not None
    known = len(node.journal.records)
    if _take_signals(step, node, name):
        resume_handler(step, node, known)


def due(step: Step, node: NodeState) -> None:
    """End the sleeps and waits of a handler that are due."""
    assert node.journal is not None
    known = len(node.journal.records)
    over = []
    for each in node.journal.open.values():
        if each.fire_at_us and each.fire_at_us <= step.now:
            ended = _ended(each)
            if each.kind == SIGNAL:
                ended.timed_out = True
            else:
                ended.output.CopyFrom(NULL)
            over.append(ended)
    _append(step, node, over)
    resume_handler(step, node, known)


def _refuse(step: Step, node: NodeState, class_: str, message: str) -> None:
    step.out.cancel.append((node.id, node.attempt))
    fail_node(step, node, failure_of(class_, message))
    advance(step, deque((node,)))


def _append(step: Step, node: NodeState, records: _Records, began_at_us: int = 0) -> None:
    step.emit(
        "journal_appended",
        history_event_pb2.JournalAppended(
            node=node.id, attempt=node.attempt, records=records, began_at_us=began_at_us
        ),
    )


def _begin(step: Step, node: NodeState, new: _Records) -> None:
    """Begin new requests: consume available signals, schedule calls."""
    journal = node.journal
    assert journal is not None
    for each in new:
        if each.kind == SIGNAL and each.index in journal.open:
            _take_signals(step, node, each.name)
        elif each.kind == CALL and each.index in journal.scopes and not step.state.stopping:
            # The handler occupies a slot of the plan's parallelism; its calls need no other.
            scope = journal.scopes[each.index]
            step.schedule(scope, scope.graph.nodes[0])


def _stop_calls(step: Step, node: NodeState, new: _Records) -> None:
    """Cancel the called tasks that the handler canceled."""
    for each in new:
        scope = node.scopes.get(each.index)
        if each.canceled and scope is not None:
            for called in scope.nodes.values():
                cancel_below(step, called)
            cancel_nodes(step, scope)


def _take_signals(step: Step, node: NodeState, name: str) -> int:
    """End waits in order with unconsumed signals of a name. Return the number of ended waits."""
    assert node.journal is not None
    waits = [
        each for each in node.journal.open.values() if (each.kind, each.name) == (SIGNAL, name)
    ]
    for number, each in enumerate(waits):
        signal = step.state.next_signal(name)
        if signal is None:
            return number
        ended = _ended(each)
        ended.output.CopyFrom(signal.payload)
        _append(step, node, [ended])
    return len(waits)


def _ended(record: journal_pb2.JournalRecord) -> journal_pb2.JournalRecord:
    return journal_pb2.JournalRecord(index=record.index, kind=record.kind, name=record.name)


def _new(journal: Journal | None, command: c.Record) -> _Records:
    """Return the records that are not in the journal.

    Those that ran ahead follow from the known records: they count only right after these.
    """
    asked = set(journal.open) if journal is not None else set()
    ended = set(journal.ended) if journal is not None else set()
    count = len(journal.records) if journal is not None else 0
    if command.known != count and any(each.ahead for each in command.records):
        return []
    new = []
    for each in command.records:
        if each.index in ended or (is_open(each) and each.index in asked):
            continue
        (asked if is_open(each) else ended).add(each.index)
        new.append(each)
    return new


def _wrong(journal: Journal | None, new: _Records) -> tuple[str, str] | None:
    """Return the class and message of the failure for invalid records; None if valid."""
    count, size = (len(journal.records), journal.bytes) if journal is not None else (0, 0)
    if count + len(new) > JOURNAL_RECORDS_MAX:
        text = f"the journal of the handler has {JOURNAL_RECORDS_MAX:,} records, the limit"
        return "ResourceLimit", f"{text}; split the work or continue in another execution"
    if size + sum(map(size_of, new)) > JOURNAL_BYTES_MAX:
        text = f"the values in the journal of the handler exceed {JOURNAL_BYTES_MAX >> 20} MiB"
        return "ResourceLimit", f"{text}; return smaller values from its steps"
    asked = set(journal.open) if journal is not None else set()
    for each in new:
        if problem := _problem(each, asked):
            return "ValidationError", f"journal record {each.index}: {problem}"
        asked.add(each.index)
    return None


def usage_problem(used: journal_pb2.ModelUsage) -> str:
    """Return the problem of the reported usage of a model; "" if there is none."""
    amounts = used.input_tokens, used.output_tokens, used.micro_usd
    if min(amounts) < 0:
        return "usage must not be negative"
    if max(amounts) > USAGE_MAX:
        return f"one answer of a model uses at most {USAGE_MAX:,} tokens or micro-dollars"
    return ""


def _problem(record: journal_pb2.JournalRecord, asked: set[int]) -> str:
    if record.kind not in _KINDS:
        return f"{record.kind} is not a record kind of this version"
    if len(record.name) > NAME_CHARS_MAX:
        return f"a name has at most {NAME_CHARS_MAX} characters"
    if "\0" in record.name:
        return "a name holds no NUL character"
    if len(record.output.data) > INLINE_BYTES_MAX:
        return f"a value above {INLINE_BYTES_MAX >> 10} KiB must be stored and sent by reference"
    if record.ahead and not (record.kind == STEP and record.HasField("output")):
        return "only the output of a step runs ahead of its commit"
    if problem := usage_problem(record.usage):
        return problem
    if is_open(record):
        if record.kind == STEP:
            return "a step is recorded when it has ended"
        if record.kind == CALL and not _is_type(record.name):
            return f"{record.name!r} is not a task type"
        if record.delay_ms < 0 or record.fire_at_us < 0:
            return "a time must not be negative"
        if record.delay_ms > DELAY_MS_MAX:
            return f"a handler waits at most {LONGEST}, not {record.delay_ms} ms"
    elif record.kind != STEP and (record.index not in asked or not record.canceled):
        return "a handler ends only steps; it can cancel other records after it requested them"
    return ""


def _is_type(name: str) -> bool:
    return bool(name) and not any(char in "/[]" or char.isspace() for char in name)
