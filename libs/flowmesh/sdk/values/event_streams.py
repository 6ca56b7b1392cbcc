"""Events, streams, groups and projections as plain values, and their conversion."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import projection_service_pb2 as projection_pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.records import Source
from flowmesh.sdk.values.payloads import decode_bytes, encode

Expected = int | Literal["any", "none", "exists"]
"""The version that a stream must have; 0 and `none`: it does not exist."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append; the same `id` is stored once per stream."""

    type: str
    data: Json = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of a stream. `position` orders the events of all streams; 0 in a virtual one."""

    stream: str
    version: int
    position: int
    id: Annotated[str, Source("event_id")]
    type: str
    data: Json
    metadata: Json
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Appended:
    """The effect of an append; `duplicate` if the events were stored before."""

    first_version: int
    last_version: int
    position: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of a stream at a version."""

    version: int
    state: Json
    at: datetime | None


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream of events."""

    stream: str
    version: int
    first_version: int
    snapshot_version: int
    created_at: datetime | None
    changed_at: datetime | None
    max_events: Annotated[int, Source("retention.")]
    max_age_ms: Annotated[int, Source("retention.")]


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events by position; the next page begins after `next_after`."""

    events: tuple[StoredEvent, ...]
    next_after: int
    end: bool


@dataclass(frozen=True, slots=True)
class EventGroup:
    """A group of consumers of events."""

    name: Annotated[str, Source("event_group")]
    checkpoint: int
    lease_ms: int
    max_attempts: int
    retry_delay_ms: int
    in_flight: int
    parked: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event delivered to a member of a group."""

    group: str
    event: StoredEvent
    attempt: int
    lease_until: datetime | None


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that is out of attempts."""

    event: StoredEvent
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class ProjectionInfo:
    """A projection; a rebuild has a shadow with a generation of its own."""

    name: Annotated[str, Source("projection")]
    generation: int
    checkpoint: int
    shadow_generation: int
    shadow_checkpoint: int
    head: int


class Park(Exception):
    """Raised by a handler to park its event at once."""


def new_event(event: NewEvent, new_id: str) -> stored_event_pb2.NewEvent:
    return stored_event_pb2.NewEvent(
        event_id=event.id or new_id,
        type=event.type,
        data=encode(event.data),
        metadata=encode(dict(event.metadata)),
    )


def event_filter(
    *, stream: str = "", category: str = "", types: Iterable[str] = ()
) -> stored_event_pb2.EventFilter:
    return stored_event_pb2.EventFilter(stream=stream, category=category, types=types)


def expect(request: pb.AppendEventsRequest, expected: Expected) -> None:
    """Set the expected version. Raises Invalid."""
    match expected:
        case "any":
            return
        case "none":
            request.no_stream = True
        case "exists":
            request.exists = True
        case bool():
            raise _bad_expected(expected)
        case int() if 0 <= expected < 2**63:
            request.version = expected
        case _:
            raise _bad_expected(expected)


def _bad_expected(expected: object) -> Invalid:
    return Invalid(
        "EVENT_STORE_INVALID", f"expected: {expected!r} is not a version, 'any', 'none' or 'exists'"
    )


def states_of(states: Iterable[projection_pb.ProjectionState]) -> dict[str, Any]:
    return {each.key: decode_bytes(each.state) for each in states}
