"""Causes of a trigger, read page by page from a real database."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.event.store import MIGRATIONS
from flowmesh.event.triggers.causes import PAGE_BYTES_MAX, Causes
from flowmesh.event.triggers.published import TriggerCache
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.sandbox import Sandbox
from flowmesh.storage import open_database

EVENTS = 30
HOUR = 3_600 * 1_000_000


@pytest.fixture
async def store(migrated: str) -> AsyncIterator[TriggerStore]:
    async with open_database(migrated, schema="event", migrations=MIGRATIONS) as pool:
        yield TriggerStore(pool)


def row_of(trigger: trigger_pb2.Trigger) -> dict[str, Any]:
    return {
        "namespace": "default",
        "workflow": "w",
        "id": trigger.id,
        "kind": trigger.WhichOneof("kind"),
        "body": trigger.SerializeToString(),
    }


async def pages_of(causes: Causes, trigger: trigger_pb2.Trigger, to_us: int) -> list[pb.Cause]:
    """Return all causes, checking the size of each page."""
    seen: list[pb.Cause] = []
    place: Any = None
    while True:
        found, place = await causes.page(row_of(trigger), 1, to_us, place, 100)
        assert found
        assert sum(each.ByteSize() for each in found) <= PAGE_BYTES_MAX
        seen += found
        if place is None:
            return seen


async def test_a_page_of_large_events_ends_before_it_grows_too_large(store: TriggerStore) -> None:
    """Each is on one page, also if a page ends with the last scanned event."""
    for number in range(EVENTS):
        event = pb.Event(id=f"e{number:02}", source="/", type="t")
        event.data.CopyFrom(payload_pb2.Payload(data=b'"%s"' % (b"x" * 200_000)))
        async with store.change() as change:
            await change.add_published("default", event, 10 + number)
    trigger = trigger_pb2.Trigger(id="t", event=trigger_pb2.EventTrigger(type="t"))
    seen = await pages_of(
        Causes(store=store, trigger_cache=TriggerCache(Sandbox())), trigger, 10**6
    )
    assert [each.name for each in seen] == [f"/ e{number:02}" for number in range(EVENTS)]
    assert (
        await Causes(store=store, trigger_cache=TriggerCache(Sandbox())).count(
            row_of(trigger), 1, 10**6
        )
        == EVENTS
    )


async def test_a_page_of_large_inputs_ends_before_it_grows_too_large(store: TriggerStore) -> None:
    """The inputs of a schedule are as large as its template."""
    template = orjson.dumps({"text": "x" * 200_000})
    cron = trigger_pb2.CronTrigger(expression="0 * * * *")
    trigger = trigger_pb2.Trigger(id="t", cron=cron, input_template=template)
    seen = await pages_of(
        Causes(store=store, trigger_cache=TriggerCache(Sandbox())), trigger, 24 * HOUR + 1
    )
    assert [each.at_us for each in seen] == [number * HOUR for number in range(1, 25)]
