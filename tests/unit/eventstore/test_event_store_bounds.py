"""The limits of events, filters, groups and projections, at their documented values."""

from collections.abc import Callable
from typing import Any

import pytest

from flowmesh.api.eventstore.v1 import event_group_service_pb2 as groups_pb
from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import projection_service_pb2 as projections_pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.errors import FlowmeshError, Invalid, TooLarge
from flowmesh.eventstore import limits
from flowmesh.eventstore.appending import check_append
from flowmesh.eventstore.checks import (
    check_json,
    check_range,
    check_room,
    checked_filter,
    checked_group,
)
from flowmesh.eventstore.projections import check_states

EVENT = stored_event_pb2.NewEvent(type="Made")


def text(size: int) -> bytes:
    """A JSON string of this many bytes."""
    return b'"' + b"x" * (size - 2) + b'"'


def appended(**fields: Any) -> None:
    event = stored_event_pb2.NewEvent(type="Made")
    for name, value in fields.items():
        setattr(event, name, value)
    check_append(pb.AppendEventsRequest(stream="s", events=[event]))


def batch(count: int) -> None:
    check_append(pb.AppendEventsRequest(stream="s", events=[EVENT] * count))


def states(count: int, size: int = 4) -> None:
    found = [projections_pb.ProjectionState(key=f"k{n}", state=text(size)) for n in range(count)]
    check_states(projections_pb.CommitProjectionRequest(states=found))


def group(**fields: Any) -> None:
    checked_group(groups_pb.EventGroup(event_group="g", **fields))


# The limit, and the request with the value of it.
BOUNDS: dict[str, tuple[int, Callable[[int], object]]] = {
    "data": (limits.EVENT_BYTES_MAX, lambda n: appended(data=text(n))),
    "metadata": (
        limits.METADATA_BYTES_MAX,
        lambda n: appended(metadata=b'{"a":' + text(n - 6) + b"}"),
    ),
    "events": (limits.BATCH_EVENTS_MAX, batch),
    "type": (limits.TEXT_CHARACTERS_MAX, lambda n: appended(type="x" * n)),
    "snapshot": (
        limits.SNAPSHOT_BYTES_MAX,
        lambda n: check_json(text(n), "snapshot.state", limits.SNAPSHOT_BYTES_MAX),
    ),
    "types": (
        limits.TYPES_MAX,
        lambda n: checked_filter(stored_event_pb2.EventFilter(types=[f"t{i}" for i in range(n)])),
    ),
    "max events": (
        limits.RETENTION_EVENTS_MAX,
        lambda n: check_range(n, "max_events", 0, limits.RETENTION_EVENTS_MAX),
    ),
    "max age": (
        limits.RETENTION_AGE_MS_MAX,
        lambda n: check_range(n, "max_age_ms", 0, limits.RETENTION_AGE_MS_MAX),
    ),
    "lease": (limits.LEASE_MAX_MS, lambda n: group(lease_ms=n)),
    "attempts": (limits.ATTEMPTS_MAX, lambda n: group(max_attempts=n)),
    "retry delay": (limits.RETRY_DELAY_MAX_MS, lambda n: group(retry_delay_ms=n)),
    "received": (limits.RECEIVE_MAX, lambda n: check_range(n, "max", 1, limits.RECEIVE_MAX)),
    "wait": (
        limits.RECEIVE_WAIT_MS_MAX,
        lambda n: check_range(n, "wait_ms", 0, limits.RECEIVE_WAIT_MS_MAX),
    ),
    "states": (limits.STATES_MAX, states),
    "state": (limits.STATE_BYTES_MAX, lambda n: states(1, n)),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_requests_are_bounded(name: str) -> None:
    """At the limit accepted, one above it and a hundred times above refused with a reason."""
    limit, request = BOUNDS[name]
    request(limit)
    for excess in (limit + 1, limit * 100):
        with pytest.raises((Invalid, TooLarge)) as caught:
            request(excess)
        assert caught.value.reason in ("EVENT_STORE_INVALID", "PAYLOAD_TOO_LARGE")


def test_appends_are_bounded_together() -> None:
    """The bytes of all events of an append, and of all states of a commit."""
    whole = [stored_event_pb2.NewEvent(type="Made", data=text(limits.EVENT_BYTES_MAX))] * 4
    more = stored_event_pb2.NewEvent(type="Made", data=text(3))
    check_append(pb.AppendEventsRequest(stream="s", events=whole))
    with pytest.raises(TooLarge):
        check_append(pb.AppendEventsRequest(stream="s", events=[*whole, more]))
    states(4, limits.STATE_BYTES_MAX)
    with pytest.raises(TooLarge):
        states(5, limits.STATE_BYTES_MAX)


@pytest.mark.parametrize("most", [limits.GROUPS_MAX, limits.PROJECTIONS_MAX])
def test_namespaces_are_bounded(most: int) -> None:
    """A further group or projection is refused when there are as many as allowed."""
    check_room("groups", most - 1, most)
    with pytest.raises(TooLarge) as caught:
        check_room("groups", most, most)
    assert caught.value.reason == "EVENT_STORE_TOO_LARGE"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", ""),
        ("type", "a\0b"),
        ("type", "a\nb"),
        ("event_id", "a b"),
        ("data", b"{"),
        ("data", b'{"a":NaN}'),
        ("metadata", b"[]"),
    ],
)
def test_malformed_events_are_refused(field: str, value: Any) -> None:
    """With the place of the problem."""
    with pytest.raises(FlowmeshError) as caught:
        appended(**{field: value})
    assert f"events[0].{field}" in caught.value.message


@pytest.mark.parametrize("stream", ["", "a b", "a/b", "execution/", "x" * 129, "a*b", "a>b", "é"])
def test_malformed_names_of_streams_are_refused(stream: str) -> None:
    """Names are ids; a slash is that of a virtual stream."""
    with pytest.raises(FlowmeshError):
        check_append(pb.AppendEventsRequest(stream=stream, events=[EVENT]))


@pytest.mark.parametrize("version", [-2, -1, 2**62 + 1])
def test_impossible_versions_are_refused(version: int) -> None:
    """A version is from 0 to 2**62."""
    with pytest.raises(Invalid):
        check_append(pb.AppendEventsRequest(stream="s", version=version, events=[EVENT]))
