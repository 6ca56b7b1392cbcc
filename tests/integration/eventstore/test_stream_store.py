"""Streams of events on a real database: transactions that append, and positions of a namespace."""

import uuid
from typing import Any

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.errors import WrongState
from flowmesh.eventstore.decisions import decide
from flowmesh.eventstore.store import StreamStore


def request(stream: str, *types: str, version: int) -> pb.AppendEventsRequest:
    events = [
        stored_event_pb2.NewEvent(event_id=uuid.uuid4().hex, type=each, data=b"{}")
        for each in types
    ]
    return pb.AppendEventsRequest(stream=stream, events=events, version=version)


async def append(store: StreamStore, *requests: pb.AppendEventsRequest) -> list[Any]:
    """Decide and store requests in one transaction; return the outcome of each."""
    ids = [(each.stream, event.event_id) for each in requests for event in each.events]
    async with store.appending("n") as appending:
        known = await appending.known([each.stream for each in requests], ids)
        decided = decide(list(requests), known, appending.head)
        await appending.store(decided, now_us=1)
    return decided.outcomes


async def test_events_of_a_transaction_have_positions_of_their_namespace(pool: Any) -> None:
    """A request with a wrong expectation stores nothing, and disturbs no other one."""
    store = StreamStore(pool)
    first, refused, second = await append(
        store,
        request("a-1", "Made", "Sold", version=0),
        request("a-2", "Made", version=7),
        request("b-1", "Made", version=0),
    )
    assert (first.position, second.position) == (2, 3)
    assert isinstance(refused, WrongState)
    assert await store.head("n") == 3
    scanned = await store.scan("n", stored_event_pb2.EventFilter(category="a"), 0)
    events = await store.events("n", [each.position for each in scanned.places])
    assert [(each.stream, each.version, each.type) for each in events] == [
        ("a-1", 1, "Made"),
        ("a-1", 2, "Sold"),
    ]
