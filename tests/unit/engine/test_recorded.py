"""Events are applied from their bytes as they are from their messages."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import Recorded, State, replay, restore_held
from flowmesh.engine.events.apply import apply
from flowmesh.engine.events.recorded import apply_stored
from tests.unit.engine.factories import json, node, plan
from tests.unit.engine.test_replay import facts, history_of

PLAN = plan(node("a"), node("é/ü"))
NODES = ["a", "é/ü", "nobody"]
EVENTS_MAX = 5_000
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
UINT32 = st.integers(0, (1 << 32) - 1)


def from_bytes(state: State, event: history.HistoryEvent, *behind: bytes) -> None:
    """Applies an event out of the middle of others, with fields `behind` its own."""
    content = event.SerializeToString() + b"".join(behind)
    apply_stored(state, b"\x0a\x05" + content + b"\x0a\x03", 2, 2 + len(content))


def outcome(state: State, applied: object) -> tuple[object, object, int]:
    """Return the resulting state, or the rejection."""
    return applied, facts(state), state.sequence


def both(event: history.HistoryEvent, *behind: bytes, sequence: int = 0) -> None:
    """The event does the same to a state, read this way or that."""
    known = history.HistoryEvent.FromString(event.SerializeToString() + b"".join(behind))
    ways: tuple[Callable[[State], object], ...] = (
        lambda state: apply(state, known),
        lambda state: from_bytes(state, event, *behind),
    )
    found = []
    for way in ways:
        state = State("exec-1", PLAN)
        state.sequence = sequence
        try:
            found.append(outcome(state, way(state)))
        except (KeyError, ValueError) as error:
            found.append(outcome(state, type(error)))
    assert found[0] == found[1]


@pytest.mark.parametrize("seed", range(20, 60))
def test_a_history_adds_up_to_the_same_state(seed: int) -> None:
    """Maps, loops, failures, signals and people."""
    run = history_of(seed)
    message, stored = (State("exec-1", run.state.plan) for _ in range(2))
    for event in run.events[:EVENTS_MAX]:
        apply(message, event)
        from_bytes(stored, event)
    assert facts(stored) == facts(message)


@given(
    kind=st.sampled_from(["task_scheduled", "task_started", "task_completed"]),
    sequence=st.sampled_from([0, 1, 2, -1]),
    at_us=INT64,
    node_id=st.sampled_from(NODES),
    numbers=st.tuples(UINT32, UINT32, INT64),
    texts=st.tuples(st.text(max_size=200), st.binary(max_size=200)),
    output=st.none() | st.binary(max_size=300),
    timed_out=st.booleans(),
)
def test_every_value_of_a_field_is_read_alike(
    kind: str,
    sequence: int,
    at_us: int,
    node_id: str,
    numbers: tuple[int, int, int],
    texts: tuple[str, bytes],
    output: bytes | None,
    timed_out: bool,
) -> None:
    """Also events that are never written: times before 1970, unknown nodes, gaps."""
    attempt, delivery, started_at_us = numbers
    event = history.HistoryEvent(sequence=sequence, at_us=at_us)
    body = getattr(event, kind)
    body.node, body.attempt = node_id, attempt
    if kind == "task_started":
        body.delivery, body.worker_id, body.started_at_us = delivery, texts[0], started_at_us
    elif kind == "task_completed":
        body.metadata, body.timed_out = texts[1], timed_out
        if output is not None:
            body.output.CopyFrom(payload_pb2.Payload(data=output, encoding=texts[0]))
    both(event)


@pytest.mark.parametrize(
    "behind",
    [
        b"\x98\x06\x01",
        b"\x9a\x06\x02hi",
        b"\x08\x01",
        b"\xb2\x01\x05\x0a\x01a\x10\x02",
        b"\xaa\x01\x03\x0a\x01a",
        b"\xb2\x01\x06\x0a\x01a\x98\x06\x01",
    ],
    ids=["number", "bytes", "again", "more of it", "another kind", "unknown inside"],
)
def test_a_field_that_is_not_known_is_left_to_the_message(behind: bytes) -> None:
    """One that a later version writes, and what is written twice, count as they do there."""
    done = history.TaskCompleted(node="a", attempt=1, output=json(b"1"))
    both(history.HistoryEvent(sequence=1, at_us=5, task_completed=done), behind)


@given(after=st.integers(0, 70), cut=st.integers(1, 60))
def test_events_are_found_by_their_place(after: int, cut: int) -> None:
    """Behind a sequence, up to a time, one by one and put together from two rows."""
    run = history_of(3)
    cut = min(cut, len(run.events) - 1)
    whole = Recorded.of(run.events)
    rest = Recorded(history.HistoryEvents(events=run.events).SerializeToString(), after)
    assert rest.messages() == list(run.events[after:])
    assert [rest.event(place) for place in range(len(rest))] == rest.messages()
    parts = Recorded.of(run.events[:cut]).and_then(Recorded.of(run.events[cut:]))
    assert (parts.messages(), parts.size) == (whole.messages(), whole.size)
    at_us = run.events[cut].at_us
    assert whole.count_until(at_us) == sum(event.at_us <= at_us for event in run.events)
    assert rest.last_sequence == (len(run.events) if after < len(run.events) else 0)
    state = State("exec-1", run.state.plan)
    parts.replay(state, 0, cut)
    restore_held(state)
    assert facts(state) == facts(replay("exec-1", run.state.plan, run.events[:cut]))


@pytest.mark.parametrize("data", [b"\x12\x01a", b"\x0a\x05abc", b"\x0a"])
def test_what_is_no_row_is_refused(data: bytes) -> None:
    """Another message, and one that is cut off."""
    with pytest.raises((ValueError, IndexError)):
        Recorded(data)
