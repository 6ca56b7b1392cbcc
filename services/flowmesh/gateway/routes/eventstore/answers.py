"""Bodies of responses about streams, groups of consumers and projections."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import UNSET, UnsetType

from flowmesh.api.eventstore.v1 import projection_service_pb2 as pb
from flowmesh.gateway.bodies.answers import Answer, Instant, Json
from flowmesh.records import Source
from flowmesh.views import raw_json


class StoredEventValue(Answer, kw_only=True):
    """An event of a stream; `position` is 0 in a virtual one."""

    stream: str
    version: int
    position: int
    id: Annotated[str, Source("event_id")]
    type: str
    data: Json
    metadata: Json
    at: Instant


class StoredEventList(Answer, kw_only=True):
    """Events of a stream; `nextVersion` is 0 after the last."""

    events: list[StoredEventValue]
    next_version: int


class PositionedEventList(Answer, kw_only=True):
    """Events by position; `end` is true if no further one is stored."""

    events: list[StoredEventValue]
    next_after: int
    end: bool


class AppendedValue(Answer, kw_only=True):
    """The effect of an append; `duplicate` if the events were stored before."""

    first_version: int
    last_version: int
    position: int
    duplicate: bool


class SnapshotValue(Answer, kw_only=True):
    """A state of a stream at a version."""

    version: int
    state: Json
    at: Instant


class LoadedStream(Answer, kw_only=True):
    """The snapshot of a stream, and the events after it."""

    snapshot: SnapshotValue | UnsetType = UNSET
    events: list[StoredEventValue]
    next_version: int


class StreamValue(Answer, kw_only=True):
    """A stream of events."""

    stream: str
    version: int
    first_version: int
    snapshot_version: int
    created_at: Instant
    changed_at: Instant
    max_events: Annotated[int, Source("retention.max_events")]
    max_age_ms: Annotated[int, Source("retention.max_age_ms")]


class StreamList(Answer, kw_only=True):
    """Streams by name."""

    streams: list[StreamValue]
    next_page_token: str


class StoredValue(Answer, kw_only=True):
    """The effect of a change; `stored` is false if something later was stored before."""

    stored: bool


class DeletedEvents(Answer, kw_only=True):
    """A number of deleted events."""

    deleted: Annotated[int, Source("deleted_events")]


class EventGroupValue(Answer, kw_only=True):
    """A group of consumers of events."""

    group: Annotated[str, Source("event_group")]
    stream: Annotated[str, Source("filter.stream")] | UnsetType = UNSET
    category: Annotated[str, Source("filter.category")] | UnsetType = UNSET
    types: Annotated[list[str], Source("filter.types")]
    checkpoint: int
    lease_ms: int
    max_attempts: int
    retry_delay_ms: int
    in_flight: int
    parked: int


class EventGroupList(Answer, kw_only=True):
    """Groups by name."""

    groups: list[EventGroupValue]


class EventDeliveryValue(Answer, kw_only=True):
    """A delivery, to be settled by position and attempt before the end of its lease."""

    event: StoredEventValue
    attempt: int
    lease_until: Instant


class EventDeliveryList(Answer, kw_only=True):
    """Deliveries by position."""

    deliveries: list[EventDeliveryValue]


class SettledEvents(Answer, kw_only=True):
    """The positions of the deliveries that were settled before, or delivered again since."""

    stale: list[int]


class ParkedEventValue(Answer, kw_only=True):
    """An event that is out of attempts."""

    event: StoredEventValue
    attempts: int
    error: str


class ParkedEventList(Answer, kw_only=True):
    """Parked events by position."""

    events: list[ParkedEventValue]


class ReplayedEvents(Answer, kw_only=True):
    """A number of events that are delivered again."""

    replayed: int


class ProjectionValue(Answer, kw_only=True):
    """A projection; the members of the shadow are those of a rebuild."""

    projection: str
    stream: Annotated[str, Source("filter.stream")] | UnsetType = UNSET
    category: Annotated[str, Source("filter.category")] | UnsetType = UNSET
    types: Annotated[list[str], Source("filter.types")]
    generation: int
    checkpoint: int
    head: int
    shadow_generation: int
    shadow_checkpoint: int


class ProjectionList(Answer, kw_only=True):
    """Projections by name."""

    projections: list[ProjectionValue]


def _by_key(states: Iterable[pb.ProjectionState]) -> dict[str, Json]:
    return {each.key: raw_json(each.state) for each in states}


class ProjectionStates(Answer, kw_only=True):
    """States by key, as of `checkpoint`."""

    states: Annotated[dict[str, Json], Source(read=_by_key)]
    next_page_token: str
    checkpoint: int
