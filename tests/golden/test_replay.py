"""Histories and snapshots of earlier versions stand for the same states as they did then."""

import base64
from typing import Any

import pytest

from flowmesh.api.history.v1 import history_event_pb2, snapshot_pb2
from flowmesh.engine import State, apply, replay, restore_held
from flowmesh.orchestrator.storage.snapshots import restore, snapshot
from tests.golden.kept import FOLDER, GOLDEN, Golden
from tests.golden.shape import described, holds, message

BYTES_MAX = 600 * 1024
EVENT = history_event_pb2.HistoryEvent.DESCRIPTOR.oneofs_by_name["event"]
# Those that were there when the last histories were recorded.
NUMBERS = (*range(10, 17), *range(20, 29), *range(30, 42), 60, 61, *range(65, 70), 75, 76)
KINDS = {field.name for field in EVENT.fields if field.number in NUMBERS}


def named(golden: Golden) -> str:
    return golden.name


def test_the_histories_have_events_of_every_kind() -> None:
    """Of three dialects, ended and open; all small enough to stay here for ever."""
    assert {event.WhichOneof("event") for one in GOLDEN for event in one.events} >= KINDS
    assert {one.plan.message.dialect for one in GOLDEN} == {1, 2, 5}
    assert {one.row["ended_at"] is None for one in GOLDEN} == {True, False}
    assert sum(path.stat().st_size for path in FOLDER.glob("*/*.json")) < BYTES_MAX


@pytest.mark.parametrize("golden", GOLDEN, ids=named)
def test_a_history_adds_up_to_the_state_it_had(golden: Golden) -> None:
    """After its first commit, half way and at its end: statuses, outputs, attempts, sequences."""
    for kept in golden.snapshots:
        begun = [event for event in golden.events if event.sequence <= kept["seq"]]
        state = replay(golden.id, golden.plan, begun)
        assert described(state) == kept["state"]
        assert holds(whole(snapshot(state)), whole(base64.b64decode(kept["body"])))


@pytest.mark.parametrize("golden", GOLDEN, ids=named)
def test_a_snapshot_continues_where_it_was_taken(golden: Golden) -> None:
    """Restored it is the same state, with the rest of the history the last; so is ours."""
    last = golden.snapshots[-1]["state"]
    for kept in golden.snapshots:
        state = restored(golden, base64.b64decode(kept["body"]))
        assert described(state) == kept["state"]
        again = restored(golden, snapshot(state))
        assert described(again) == kept["state"]
        assert holds(whole(snapshot(state)), whole(base64.b64decode(kept["body"])))
        state = restore(golden.id, golden.plan, base64.b64decode(kept["body"]))
        for event in golden.events:
            if event.sequence > kept["seq"]:
                apply(state, event)
        restore_held(state)
        assert described(state) == last


def whole(body: bytes) -> Any:
    """All that a snapshot has of a state, of what is in bodies and of what was done to it."""
    return message(snapshot_pb2.ExecutionSnapshot.FromString(body))


def restored(golden: Golden, body: bytes) -> State:
    state = restore(golden.id, golden.plan, body)
    restore_held(state)
    return state


@pytest.mark.parametrize("golden", GOLDEN, ids=named)
def test_a_plan_is_what_it_was(golden: Golden) -> None:
    """Byte for byte, read and written again: its digest names it."""
    assert golden.plan.body == golden.plan_body
    assert golden.plan.message.digest == golden.row["plan_digest"]
