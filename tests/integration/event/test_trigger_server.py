"""TriggerService on a real database."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.errors import Invalid
from flowmesh.event.api.trigger_server import TriggerServer
from flowmesh.event.notifications.compiled import SubscriptionCache
from flowmesh.event.publishing import NAMES_BYTES_MAX, Publisher
from flowmesh.event.store import MIGRATIONS
from flowmesh.event.triggers.published import TriggerCache
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.rpc.limits import MESSAGE_BYTES_MAX
from flowmesh.sandbox import Sandbox
from flowmesh.storage import open_database
from tests.integration.event.unsubscribed import ignored, settled

NOBODY: Any = None
TRIGGERS = 50


@pytest.fixture
async def store(migrated: str) -> AsyncIterator[TriggerStore]:
    async with open_database(migrated, schema="event", migrations=MIGRATIONS) as pool:
        yield TriggerStore(pool)


def server_of(store: TriggerStore) -> TriggerServer:
    return TriggerServer(
        store=store,
        publisher=NOBODY,
        hooks=NOBODY,
        causes=NOBODY,
        changes=NOBODY,
        settled=settled,
        on_change=NOBODY,
        executions=NOBODY,
    )


async def put(store: TriggerStore, *triggers: trigger_pb2.Trigger) -> None:
    """Store as the triggers of one workflow."""
    found = trigger_pb2.WorkflowTriggers(
        namespace="default", workflow_id="w", version=1, live=True, triggers=triggers
    )
    async with store.change() as change:
        assert await change.update_source(found)
        for trigger in triggers:
            await change.update_trigger(found, trigger, None)


def paid(trigger_id: str, template: bytes = b"") -> trigger_pb2.Trigger:
    event = trigger_pb2.EventTrigger(type="order.paid")
    return trigger_pb2.Trigger(id=trigger_id, event=event, input_template=template)


async def test_a_page_of_large_triggers_ends_before_it_grows_too_large(store: TriggerStore) -> None:
    """Each is on one page."""
    names = [f"t{number:02}" for number in range(TRIGGERS)]
    await put(store, *(paid(name, b'"%s"' % (b"x" * 200_000)) for name in names))
    server = server_of(store)
    seen: list[str] = []
    token = ""
    while token or not seen:
        request = pb.ListTriggersRequest(page_token=token)
        page = await server.ListTriggers(request, NOBODY)
        assert page.ByteSize() < MESSAGE_BYTES_MAX
        seen += [state.trigger.id for state in page.triggers]
        token = page.next_page_token
    assert seen == names


async def test_a_schedule_without_input_is_fired_with_a_given_one(
    store: TriggerStore,
) -> None:
    """Without an input the error explains the reason."""
    cron = trigger_pb2.CronTrigger(expression="* * * * *")
    template = b'"{{trigger.nothing.of}}"'
    await put(store, trigger_pb2.Trigger(id="t", cron=cron, input_template=template))
    request = pb.FireTriggerRequest(workflow_id="w", trigger_id="t")
    with pytest.raises(Invalid, match="nothing") as refused:
        await server_of(store).FireTrigger(request, NOBODY)
    assert (refused.value.reason, refused.value.violations[0].field) == ("INPUT_INVALID", "input")


async def test_the_longest_names_of_an_event_are_kept_or_refused(store: TriggerStore) -> None:
    """By their bytes, which the database index limits."""
    publisher = Publisher(
        store=store,
        trigger_cache=TriggerCache(Sandbox()),
        settled=settled,
        new_id=lambda: "e",
        on_firing=lambda: None,
        on_published=lambda: None,
        subscriptions=SubscriptionCache(Sandbox()),
        on_notifications=ignored,
    )
    plain = pb.Event(id="x" * 256, source="x" * 1_024, type="t")
    assert (await publisher.publish("default", plain)).created
    random = Random(1)
    source = "".join(chr(random.randrange(0x4E00, 0x9F00)) for _ in range(1_024))
    with pytest.raises(Invalid) as refused:
        await publisher.publish("default", pb.Event(id=source[:256], source=source, type="t"))
    assert (refused.value.reason, refused.value.violations[0].field) == ("EVENT_INVALID", "source")
    fits = pb.Event(id=source[:256], source=source[: NAMES_BYTES_MAX // 3 - 256], type="t")
    assert (await publisher.publish("n" * 128, fits)).created
