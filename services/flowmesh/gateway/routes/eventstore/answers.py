"""Bodies of responses about streams, groups of consumers and projections."""

from msgspec import UNSET, UnsetType

from flowmesh.api.eventstore.v1 import event_group_service_pb2 as group_pb
from flowmesh.api.eventstore.v1 import projection_service_pb2 as projection_pb
from flowmesh.api.eventstore.v1 import stored_event_pb2 as pb
from flowmesh.gateway.bodies.answers import Answer, Instant, Json
from flowmesh.views import instant, raw_json


class StoredEventValue(Answer, kw_only=True):
    """An event of a stream; `position` is 0 in a virtual one."""

    stream: str
    version: int
    position: int
    id: str
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
    max_events: int
    max_age_ms: int


class StreamList(Answer, kw_only=True):
    """Streams by name."""

    streams: list[StreamValue]
    next_page_token: str


class StoredValue(Answer, kw_only=True):
    """The effect of a change; `stored` is false if something later was stored before."""

    stored: bool


class DeletedEvents(Answer, kw_only=True):
    """A number of deleted events."""

    deleted: int


class EventGroupValue(Answer, kw_only=True):
    """A group of consumers of events."""

    group: str
    stream: str | UnsetType = UNSET
    category: str | UnsetType = UNSET
    types: list[str]
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
    stream: str | UnsetType = UNSET
    category: str | UnsetType = UNSET
    types: list[str]
    generation: int
    checkpoint: int
    head: int
    shadow_generation: int
    shadow_checkpoint: int


class ProjectionList(Answer, kw_only=True):
    """Projections by name."""

    projections: list[ProjectionValue]


class ProjectionStates(Answer, kw_only=True):
    """States by key, as of `checkpoint`."""

    states: dict[str, Json]
    next_page_token: str
    checkpoint: int


def event_value(event: pb.StoredEvent) -> StoredEventValue:
    return StoredEventValue(
        stream=event.stream,
        version=event.version,
        position=event.position,
        id=event.event_id,
        type=event.type,
        data=raw_json(event.data),
        metadata=raw_json(event.metadata),
        at=instant(event.at_us),
    )


def stream_value(info: pb.StreamInfo) -> StreamValue:
    return StreamValue(
        stream=info.stream,
        version=info.version,
        first_version=info.first_version,
        snapshot_version=info.snapshot_version,
        created_at=instant(info.created_at_us),
        changed_at=instant(info.changed_at_us),
        max_events=info.retention.max_events,
        max_age_ms=info.retention.max_age_ms,
    )


def snapshot_value(snapshot: pb.Snapshot) -> SnapshotValue:
    return SnapshotValue(
        version=snapshot.version, state=raw_json(snapshot.state), at=instant(snapshot.at_us)
    )


def group_value(group: group_pb.EventGroup) -> EventGroupValue:
    return EventGroupValue(
        group=group.event_group,
        stream=group.filter.stream or UNSET,
        category=group.filter.category or UNSET,
        types=list(group.filter.types),
        checkpoint=group.checkpoint,
        lease_ms=group.lease_ms,
        max_attempts=group.max_attempts,
        retry_delay_ms=group.retry_delay_ms,
        in_flight=group.in_flight,
        parked=group.parked,
    )


def projection_value(projection: projection_pb.Projection) -> ProjectionValue:
    return ProjectionValue(
        projection=projection.projection,
        stream=projection.filter.stream or UNSET,
        category=projection.filter.category or UNSET,
        types=list(projection.filter.types),
        generation=projection.generation,
        checkpoint=projection.checkpoint,
        head=projection.head,
        shadow_generation=projection.shadow_generation,
        shadow_checkpoint=projection.shadow_checkpoint,
    )
