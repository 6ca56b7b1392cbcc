"""The event store of a project that moves to another cell: read there, stored here."""

from collections.abc import Sequence
from typing import Final

from flowmesh.api.eventstore.v1 import event_move_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.errors import NotFound, TooLarge
from flowmesh.eventstore import limits
from flowmesh.eventstore.checks import (
    check_event,
    check_range,
    invalid,
    written_stream,
)
from flowmesh.eventstore.group_store import GroupStore
from flowmesh.eventstore.move_store import MoveStore
from flowmesh.eventstore.store import StreamStore
from flowmesh.rpc import valid_id

ATTEMPTS_MAX: Final = 2**31 - 1


class EventMoves:
    """Pages of streams, events and deliveries."""

    def __init__(self, *, store: MoveStore, streams: StreamStore, groups: GroupStore) -> None:
        self._store = store
        self._streams = streams
        self._groups = groups

    async def take_events(self, namespace: str, request: pb.ImportEventsRequest) -> int:
        """Store the events after the last position here; return the last position.

        Raises Invalid or TooLarge.
        """
        _check_events(request)
        async with self._streams.appending(namespace) as appending:
            fresh = [each for each in request.events if each.position > appending.head]
            head = max(appending.head, request.head)
            for number in sorted({each.position // limits.PARTITION_EVENTS for each in fresh}):
                await appending.add_partition(number)
            await appending.take(fresh, head)
        await self._store.note(namespace, "", imported=len(fresh))
        return head

    async def streams(self, namespace: str, after: str) -> list[pb.MovedStream]:
        found = await self._store.streams(namespace, after, limits.PAGE_MAX)
        await self._store.note(namespace, "", exported=len(found))
        return found

    async def take_streams(self, namespace: str, streams: Sequence[pb.MovedStream]) -> None:
        """Store streams as they are. Raises Invalid or TooLarge."""
        _check_count("streams", len(streams))
        for each in streams:
            written_stream(each.info.stream)
            numbers = (
                each.info.version,
                each.info.first_version,
                each.first_position,
                each.last_position,
                each.info.created_at_us,
                each.info.changed_at_us,
                each.info.retention.max_events,
                each.info.retention.max_age_ms,
            )
            for number in numbers:
                check_range(number, "streams", 0, limits.LAST_VERSION)
        await self._store.take_streams(namespace, streams)
        await self._store.note(namespace, "", imported=len(streams))

    async def deliveries(self, namespace: str, group: str, after: int) -> list[pb.MovedDelivery]:
        """Return unsettled deliveries of a group. Raises NotFound."""
        await self._check_group(namespace, group)
        check_range(after, "after", 0, limits.LAST_VERSION)
        found = await self._store.deliveries(namespace, group, after, limits.PAGE_MAX)
        await self._store.note(namespace, group, exported=len(found))
        return found

    async def take_deliveries(
        self, namespace: str, group: str, deliveries: Sequence[pb.MovedDelivery]
    ) -> None:
        """Store unsettled deliveries of a group. Raises NotFound, Invalid or TooLarge."""
        await self._check_group(namespace, group)
        _check_count("deliveries", len(deliveries))
        for each in deliveries:
            check_range(each.position, "deliveries.position", 1, limits.LAST_VERSION)
            check_range(each.attempt, "deliveries.attempt", 0, ATTEMPTS_MAX)
            check_range(each.due_at_us, "deliveries.due_at_us", 0, limits.LAST_VERSION)
            if "\0" in each.error or len(each.error) > limits.ERROR_CHARACTERS_MAX:
                raise invalid("deliveries.error", "has a NUL character, or is too long")
        await self._store.take_deliveries(namespace, group, deliveries)
        await self._store.note(namespace, group, imported=len(deliveries))

    async def _check_group(self, namespace: str, group: str) -> None:
        async with self._groups.changing(namespace, valid_id(group, "event_group")) as change:
            if change.group is None:
                raise NotFound("EVENT_GROUP_NOT_FOUND", f"there is no group {group!r}")


def _check_events(request: pb.ImportEventsRequest) -> None:
    _check_count("events", len(request.events))
    size = sum(len(each.data) + len(each.metadata) for each in request.events)
    # A page of the other cell has at least one event, however large.
    if size > limits.PAGE_BYTES_MAX + limits.EVENT_BYTES_MAX:
        raise TooLarge("PAYLOAD_TOO_LARGE", f"events: have {size:,} bytes together")
    last = 0
    for number, each in enumerate(request.events):
        place = f"events[{number}]"
        written_stream(each.stream)
        check_event(
            stored_event_pb2.NewEvent(
                event_id=valid_id(each.event_id, f"{place}.event_id"),
                type=each.type,
                data=each.data,
                metadata=each.metadata,
            ),
            place,
        )
        check_range(each.version, f"{place}.version", 1, limits.LAST_VERSION)
        check_range(each.at_us, f"{place}.at_us", 0, limits.LAST_VERSION)
        check_range(each.position, f"{place}.position", last + 1, limits.LAST_VERSION)
        last = each.position
    check_range(request.head, "head", last, limits.LAST_VERSION)


def _check_count(what: str, count: int) -> None:
    if count > limits.PAGE_MAX:
        text = f"{what}: has {count:,} entries; at most {limits.PAGE_MAX:,} are allowed"
        raise TooLarge("PAYLOAD_TOO_LARGE", text)
