"""Decisions about appends, without a database."""

from typing import Any

import pytest

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.errors import WrongState
from flowmesh.eventstore.decisions import Known, decide


def request(stream: str, *ids: str, **expected: Any) -> pb.AppendEventsRequest:
    events = [stored_event_pb2.NewEvent(event_id=each, type="Made") for each in ids]
    return pb.AppendEventsRequest(stream=stream, events=events, **expected)


def stored(deleted: bool = False) -> Known:
    """A stream `a-1` with the events `x`, `y` and `z` at the positions 2, 3 and 5."""
    known = Known()
    known.add_stream("a-1", 3, deleted=deleted)
    for version, (id, position) in enumerate((("x", 2), ("y", 3), ("z", 5)), 1):
        known.add_event("a-1", id, version, position)
    return known


def test_versions_and_positions_go_on_within_a_batch() -> None:
    """Each append sees those before it; its stream gets one span."""
    given = [request("a-1", "p", "q"), request("b-1", "p"), request("a-1", "r", version=5)]
    found = decide(given, stored(), 9)
    assert [
        (each.first_version, each.last_version, each.position)
        for each in found.outcomes
        if isinstance(each, pb.AppendEventsResponse)
    ] == [(4, 5, 11), (1, 1, 12), (6, 6, 13)]
    spans = found.streams()
    assert {name: (each.version, each.first, each.last) for name, each in spans.items()} == {
        "a-1": (6, 10, 13),
        "b-1": (1, 12, 12),
    }
    assert [(each.category, each.data, each.metadata) for each in found.events[2:3]] == [
        ("b", b"null", b"{}")
    ]


def test_an_append_that_is_stored_has_its_former_answer() -> None:
    """Its expected version does not matter; a part of its events, or another order, conflicts."""
    repeated, again = decide(
        [request("a-1", "y", "z", version=1), request("b-1", "x")], stored(), 9
    ).outcomes
    assert repeated == pb.AppendEventsResponse(
        first_version=2, last_version=3, position=5, duplicate=True
    )
    assert not isinstance(again, WrongState)
    assert not again.duplicate  # type: ignore[union-attr]
    for ids in (("y", "new"), ("new", "y"), ("y", "x"), ("x", "z")):
        (refused,) = decide([request("a-1", *ids)], stored(), 9).outcomes
        assert isinstance(refused, WrongState)
        assert refused.reason == "EVENT_EXISTS"


@pytest.mark.parametrize(
    ("stream", "expected", "holds"),
    [
        ("a-1", {"version": 3}, True),
        ("a-1", {"version": 2}, False),
        ("b-1", {"version": 0}, True),
        ("a-1", {"no_stream": True}, False),
        ("a-1", {"no_stream": False}, True),
        ("b-1", {"no_stream": True}, True),
        ("a-1", {"exists": True}, True),
        ("b-1", {"exists": True}, False),
        ("b-1", {"exists": False}, True),
        ("a-1", {}, True),
    ],
)
def test_an_append_may_expect_the_state_of_its_stream(
    stream: str, expected: dict[str, object], holds: bool
) -> None:
    """One that is wrong names the version of the stream, and stores nothing."""
    found = decide([request(stream, "new", **expected)], stored(), 9)
    (outcome,) = found.outcomes
    assert isinstance(outcome, WrongState) is not holds
    assert len(found.events) == holds
    if isinstance(outcome, WrongState):
        assert outcome.reason == "VERSION_CONFLICT"


def test_a_deleted_stream_takes_no_events() -> None:
    """An event that it had is answered as before."""
    refused, repeated = decide(
        [request("a-1", "new"), request("a-1", "z")], stored(deleted=True), 9
    ).outcomes
    assert isinstance(refused, WrongState)
    assert refused.reason == "STREAM_DELETED"
    assert isinstance(repeated, pb.AppendEventsResponse)
