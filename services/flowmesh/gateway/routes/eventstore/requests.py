"""Bodies of requests about streams, groups of consumers and projections."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

from flowmesh.api.eventstore.v1 import event_group_service_pb2 as group_pb
from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.gateway.bodies.envelopes import Envelope, OptionalId
from flowmesh.gateway.http.ids import checked_id
from flowmesh.gateway.http.limits import INT64_MAX
from flowmesh.jsontext import dump_json

Whole = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Long = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Expected = Annotated[
    Annotated[int, Meta(ge=0, le=INT64_MAX)] | Literal["any", "none", "exists"],
    Meta(description="Version that the stream must have; none: it does not exist."),
]


class NewEventBody(Envelope, frozen=True, kw_only=True):
    """An event; a repeated `id` stores nothing."""

    type: Annotated[str, Meta(min_length=1, max_length=255)]
    data: Annotated[Any, Meta(description="Any JSON value.")] = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    id: OptionalId = ""

    def message(self, place: str) -> stored_event_pb2.NewEvent:
        return stored_event_pb2.NewEvent(
            event_id=self.id and checked_id(f"{place}.id", self.id),
            type=self.type,
            data=dump_json(self.data),
            metadata=dump_json(self.metadata),
        )


class AppendEventsRequest(Envelope, frozen=True, kw_only=True):
    """Events to append, all or none."""

    events: Annotated[list[NewEventBody], Meta(min_length=1, max_length=500)]
    expected: Expected = "any"

    def message(self, namespace: str, stream: str) -> pb.AppendEventsRequest:
        made = pb.AppendEventsRequest(
            namespace=namespace,
            stream=stream,
            events=[each.message(f"events[{n}]") for n, each in enumerate(self.events)],
        )
        match self.expected:
            case "none":
                made.no_stream = True
            case "exists":
                made.exists = True
            case int():
                made.version = self.expected
        return made


class SnapshotRequest(Envelope, frozen=True, kw_only=True):
    """A state of a stream at a version."""

    version: Annotated[int, Meta(ge=1, le=INT64_MAX)]
    state: Annotated[Any, Meta(description="Any JSON value.")]


class StreamRetentionRequest(Envelope, frozen=True, kw_only=True):
    """Bounds of a stream; 0 is unlimited."""

    max_events: Long = 0
    max_age_ms: Long = 0


class EventFilterBody(Envelope, frozen=True, kw_only=True):
    """A selection of events; all given members must match."""

    stream: OptionalId = ""
    category: OptionalId = ""
    types: Annotated[list[str], Meta(max_length=100)] = msgspec.field(default_factory=list)


class EventGroupRequest(Envelope, frozen=True, kw_only=True):
    """The arguments of a group; see docs/event-store.md for the defaults."""

    filter: EventFilterBody = EventFilterBody()
    start_after: Long = 0
    lease_ms: Long = 0
    max_attempts: Whole = 0
    retry_delay_ms: Long | None = None


class ReceiveEventsRequest(Envelope, frozen=True, kw_only=True):
    """A request for events, which are delivered again unless they are settled in time."""

    count: Annotated[int, Meta(ge=1, le=500)] = 1
    wait_ms: Annotated[int, Meta(ge=0, le=20_000)] = 0


class EventSettlementBody(Envelope, frozen=True, kw_only=True):
    """A settled delivery; without `error` and `park` it is acknowledged."""

    position: Annotated[int, Meta(ge=1, le=INT64_MAX)]
    attempt: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    error: Annotated[str, Meta(description="Failure, which asks for another attempt.")] = ""
    park: Annotated[bool, Meta(description="Park the event at once.")] = False

    def message(self) -> group_pb.EventSettlement:
        made = group_pb.EventSettlement(position=self.position, attempt=self.attempt)
        if self.error or self.park:
            made.failure.error, made.failure.park = self.error, self.park
        return made


class SettleEventsRequest(Envelope, frozen=True, kw_only=True):
    """Settlements of deliveries."""

    settlements: Annotated[list[EventSettlementBody], Meta(min_length=1, max_length=500)]


class ReplayParkedRequest(Envelope, frozen=True, kw_only=True):
    """Parked events to deliver again; all without positions."""

    positions: Annotated[list[Long], Meta(max_length=500)] = msgspec.field(default_factory=list)


class ProjectionRequest(Envelope, frozen=True, kw_only=True):
    """A projection of the selected events."""

    filter: EventFilterBody = EventFilterBody()


class ProjectionStateBody(Envelope, frozen=True, kw_only=True):
    """The state of a key; without a `state` the key is deleted."""

    key: Annotated[str, Meta(min_length=1, max_length=255)]
    state: Annotated[Any, Meta(description="Any JSON value.")] = UNSET


class CommitProjectionRequest(Envelope, frozen=True, kw_only=True):
    """Changed states with the new checkpoint, stored together or not at all."""

    generation: Annotated[int, Meta(ge=1, le=INT64_MAX)]
    from_checkpoint: Long
    to_checkpoint: Long
    states: Annotated[list[ProjectionStateBody], Meta(max_length=1_000)] = msgspec.field(
        default_factory=list
    )


class SwapProjectionRequest(Envelope, frozen=True, kw_only=True):
    """The shadow that replaces the states."""

    generation: Annotated[int, Meta(ge=1, le=INT64_MAX)]
