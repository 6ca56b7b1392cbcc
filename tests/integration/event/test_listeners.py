"""Delivery of published events to listening executions, on a real database."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from flowmesh.api.event.v1 import trigger_service_pb2
from flowmesh.api.execution.v1 import receiver_service_pb2 as pb
from flowmesh.errors import Unavailable
from flowmesh.event.notifications.compiled import SubscriptionCache
from flowmesh.event.publishing import Publisher
from flowmesh.event.store import MIGRATIONS
from flowmesh.event.triggers.listeners import BYTES_MAX, ListenerLoop
from flowmesh.event.triggers.published import TriggerCache
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.sandbox import Sandbox
from flowmesh.storage import open_database
from tests.integration.event.unsubscribed import ignored, settled

LARGE = BYTES_MAX // 10


class Orchestrator:
    """Records requests; when unavailable, it loses the request or the response."""

    def __init__(self) -> None:
        self.calls: list[list[pb.DeliveredEvent]] = []
        self.away = False

    async def DeliverEvents(
        self, request: pb.DeliverEventsRequest, timeout: float
    ) -> pb.DeliverEventsResponse:
        assert timeout > 0
        self.calls.append(list(request.events))
        if self.away:
            raise Unavailable("UNAVAILABLE", "away")
        return pb.DeliverEventsResponse()


@pytest.fixture
async def store(migrated: str) -> AsyncIterator[TriggerStore]:
    async with open_database(migrated, schema="event", migrations=MIGRATIONS) as pool:
        yield TriggerStore(pool)


async def publish(store: TriggerStore, *events: trigger_service_pb2.Event) -> None:
    publisher = Publisher(
        store=store,
        trigger_cache=TriggerCache(Sandbox()),
        settled=settled,
        new_id=lambda: "made",
        on_firing=lambda: None,
        on_published=lambda: None,
        subscriptions=SubscriptionCache(Sandbox()),
        on_notifications=ignored,
    )
    for event in events:
        await publisher.publish("default", event)


def loop_of(store: TriggerStore, orchestrator: Orchestrator) -> ListenerLoop:
    receivers: Any = orchestrator
    return ListenerLoop(store=store, receivers=receivers)


def event(number: int, size: int = 1) -> trigger_service_pb2.Event:
    made = trigger_service_pb2.Event(id=f"e{number}", source="/s", type="t")
    made.data.data = orjson.dumps("x" * size)
    return made


async def test_an_event_is_sent_until_it_is_acknowledged(store: TriggerStore) -> None:
    """With the same request id, so that a repeat has no effect; then no more."""
    orchestrator = Orchestrator()
    loop = loop_of(store, orchestrator)
    await publish(store, event(1), event(2))
    orchestrator.away = True
    with pytest.raises(Unavailable):
        await loop.run_once()
    orchestrator.away = False
    assert await loop.run_once() == 2
    first, again = orchestrator.calls
    assert [each.request_id for each in first] == [each.request_id for each in again]
    assert [orjson.loads(each.event)["id"] for each in again] == ["e1", "e2"]
    await publish(store, event(1), event(3))
    assert await loop.run_once() == 1
    assert [orjson.loads(each.event)["id"] for each in orchestrator.calls[-1]] == ["e3"]


async def test_many_large_events_are_sent_in_several_calls(store: TriggerStore) -> None:
    """In order, each once."""
    orchestrator = Orchestrator()
    loop = loop_of(store, orchestrator)
    await publish(store, *(event(number, LARGE) for number in range(14)))
    assert [await loop.run_once() for _ in range(2)] == [9, 5]
    sent = [orjson.loads(each.event)["id"] for call in orchestrator.calls for each in call]
    assert sent == [f"e{number}" for number in range(14)]
