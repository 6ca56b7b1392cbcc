"""A commit's events as messages: whole, in order, none too large."""

from types import SimpleNamespace
from typing import Any

import structlog

from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.orchestrator.commit.publisher import PART_BYTES_MAX, Publisher, message_parts


def row(name: str, *sizes: int) -> history_service_pb2.EventRow:
    """A row with one event of about each size."""
    events = history_event_pb2.HistoryEvents()
    for number, size in enumerate(sizes):
        event = events.events.add(sequence=number + 1)
        event.task_completed.output.data = b"x" * size
    return history_service_pb2.EventRow(
        execution_id=name, first_sequence=1, events=events.SerializeToString()
    )


def parts_of(*rows: history_service_pb2.EventRow) -> list[history_service_pb2.EventBatch]:
    batch = history_service_pb2.EventBatch(incarnation=1, position=2, rows=rows)
    return [history_service_pb2.EventBatch.FromString(part) for part in message_parts(batch)]


def sequences(parts: list[history_service_pb2.EventBatch], name: str) -> list[int]:
    return [
        event.sequence
        for part in parts
        for one in part.rows
        if one.execution_id == name
        for event in history_event_pb2.HistoryEvents.FromString(one.events).events
    ]


def test_a_small_commit_is_one_message() -> None:
    """Marked as the last part of itself, also when it is empty."""
    for parts in (parts_of(row("a", 10), row("b", 10)), parts_of()):
        assert [(part.part, part.last_part) for part in parts] == [(0, True)]


def test_a_large_commit_is_split_between_rows() -> None:
    """Only the last part says that it is."""
    parts = parts_of(*(row(f"e{n}", 200_000) for n in range(6)))
    assert [part.part for part in parts] == list(range(len(parts)))
    assert [part.last_part for part in parts] == [False] * (len(parts) - 1) + [True]
    assert [one.execution_id for part in parts for one in part.rows] == [f"e{n}" for n in range(6)]
    assert all(part.ByteSize() < 2 * PART_BYTES_MAX for part in parts)


def test_a_large_row_is_split_between_its_events() -> None:
    """In order, each piece with its first sequence."""
    parts = parts_of(row("big", *([200_000] * 9)))
    assert len(parts) > 1
    assert sequences(parts, "big") == list(range(1, 10))
    for part in parts:
        for one in part.rows:
            events = history_event_pb2.HistoryEvents.FromString(one.events).events
            assert one.first_sequence == events[0].sequence


def test_a_new_incarnation_has_no_queued_events() -> None:
    """Those of its predecessor are in the outbox; a queue beyond its bound is read from there."""
    bus: Any = SimpleNamespace(on_reconnect=lambda _: None)
    outbox: Any = SimpleNamespace()
    made = Publisher(bus=bus, outbox=outbox, prefix="t", log=structlog.get_logger())
    batch = history_service_pb2.EventBatch(incarnation=1, position=1)
    for number in range(1_000):
        assert made.queued_bytes == number * batch.ByteSize()
        made.offer(batch)
    made.offer(batch)
    assert made.queued_bytes == batch.ByteSize()
    made.begin(2, 0)
    assert made.queued_bytes == 0
