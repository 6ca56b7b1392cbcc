"""Streams, events and deliveries that are brought from another cell."""

from typing import Any

import pytest

from flowmesh.api.eventstore.v1 import event_group_service_pb2 as groups_pb
from flowmesh.api.eventstore.v1 import event_move_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.errors import Invalid, NotFound, TooLarge
from flowmesh.eventstore import limits
from tests.integration.eventstore.made import NAMESPACE, Parts


def event(position: int, **fields: Any) -> stored_event_pb2.StoredEvent:
    made = stored_event_pb2.StoredEvent(
        stream="a-1",
        version=position,
        position=position,
        event_id=f"moved-{position}",
        type="Made",
        data=b"{}",
        metadata=b"{}",
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


async def taken(parts: Parts, head: int, *events: stored_event_pb2.StoredEvent) -> int:
    return await parts.moves.take_events(
        NAMESPACE, pb.ImportEventsRequest(events=events, head=head)
    )


async def test_events_keep_their_positions(parts: Parts) -> None:
    """A page that comes again stores nothing twice; new events go on after the head."""
    assert await taken(parts, 2, event(1), event(2)) == 2
    assert await taken(parts, 7, event(2), event(5)) == 7
    assert await taken(parts, 5, event(5)) == 7
    info = stored_event_pb2.StreamInfo(stream="a-1", version=5, first_version=1)
    stream = pb.MovedStream(info=info, first_position=1, last_position=5)
    await parts.moves.take_streams(NAMESPACE, [stream])
    (found,) = await parts.moves.streams(NAMESPACE, "")
    assert (found.info.version, found.last_position) == (5, 5)
    assert await parts.types("a-1") == ["Made"] * 3
    assert await parts.append("a-1", "Sold") == 8


@pytest.mark.parametrize(
    ("head", "events"),
    [
        (1, [event(0, version=1)]),
        (1, [event(-1, version=1)]),
        (2, [event(2), event(1)]),
        (2, [event(2), event(2)]),
        (1, [event(2)]),
        (2, [event(2, version=0)]),
        (2, [event(2, at_us=-1)]),
        (2, [event(2, event_id="")]),
        (2, [event(2, data=b"{")]),
    ],
)
async def test_events_out_of_order_are_refused(
    parts: Parts, head: int, events: list[stored_event_pb2.StoredEvent]
) -> None:
    """So are positions that no event has, and a head before the last event."""
    with pytest.raises(Invalid):
        await taken(parts, head, *events)
    assert await parts.store.head(NAMESPACE) == 0


async def test_a_page_of_events_is_bounded(parts: Parts) -> None:
    """By the bytes of the largest page that another cell makes, and by number."""
    whole = b'"' + b"x" * (limits.EVENT_BYTES_MAX - 2) + b'"'
    page = [event(number, data=whole, metadata=b"") for number in range(1, 6)]
    assert await taken(parts, 5, *page) == 5
    with pytest.raises(TooLarge):
        await taken(parts, 6, *page, event(6, data=b"1", metadata=b""))
    with pytest.raises(TooLarge):
        await taken(parts, 6, *([event(6)] * (limits.PAGE_MAX + 1)))


async def test_deliveries_go_on_where_they_were(parts: Parts) -> None:
    """Leased and parked ones, of a group that exists."""
    await taken(parts, 2, event(1), event(2))
    with pytest.raises(NotFound):
        await parts.moves.deliveries(NAMESPACE, "g", 0)
    await parts.groups.put(NAMESPACE, groups_pb.EventGroup(event_group="g", start_after=2))
    given = [
        pb.MovedDelivery(position=1, attempt=2, due_at_us=0),
        pb.MovedDelivery(position=2, attempt=5, error="e" * limits.ERROR_CHARACTERS_MAX),
    ]
    await parts.moves.take_deliveries(NAMESPACE, "g", given)
    assert await parts.moves.deliveries(NAMESPACE, "g", 0) == given
    assert await parts.moves.deliveries(NAMESPACE, "g", 1) == given[1:]
    request = groups_pb.ReceiveEventsRequest(event_group="g")
    (found,) = await parts.groups.receive(NAMESPACE, request)
    assert (found.event.position, found.attempt) == (1, 3)
    for error in ("a\0b", "e" * (limits.ERROR_CHARACTERS_MAX + 1)):
        wrong = pb.MovedDelivery(position=1, error=error)
        with pytest.raises(Invalid, match="NUL"):
            await parts.moves.take_deliveries(NAMESPACE, "g", [wrong])
