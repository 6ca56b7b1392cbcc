"""An exchange as the event bus: events of executions and of clients, routed by their types."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.sdk import Client
from flowmesh.sdk.client.parts.subscriptions import QueueSink
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.broker.test_broker import PATIENCE_S, named
from tests.features.natives import applied, workflow


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with Client(suite.grpc_address) as opened:
        yield opened


class EventBus:
    """A topic exchange that a subscription fills, and queues bound to it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.name = named("bus")

    async def open(self) -> None:
        """Send the events of this namespace to the exchange; the routing key is the type."""
        await self._client.broker.declare_exchange(self.name, "topic")
        types = ["flowmesh.workflow.*", f"{self.name}.*"]
        await self._client.subscriptions.put(self.name, QueueSink(exchange=self.name), types=types)

    async def close(self) -> None:
        await self._client.subscriptions.delete(self.name)

    async def queue(self, key: str) -> str:
        """Return a new queue that gets the events whose types match a key."""
        queue = named("events")
        await self._client.broker.declare_queue(queue)
        await self._client.broker.bind(queue, self.name, key)
        return queue

    async def events(self, queue: str, count: int) -> list[dict[str, Any]]:
        """Return the events of a queue, once there are so many; no more come."""

        async def there() -> bool:
            return (await self._client.broker.queue(queue)).depth >= count

        await until(f"{count} events", there, within_s=PATIENCE_S)
        return [each.body async for each in self._client.messages.browse_all(queue)]


@pytest.fixture
async def bus(client: Client) -> AsyncIterator[EventBus]:
    opened = EventBus(client)
    await opened.open()
    yield opened
    await opened.close()


@pytest.mark.feature("S3-119")
async def test_an_exchange_routes_events_by_their_types(
    suite: Suite, client: Client, bus: EventBus
) -> None:
    """Each queue gets the types that it is bound to, of executions and of clients alike."""
    ended = await bus.queue("flowmesh.workflow.completed")
    paid = await bus.queue(f"{bus.name}.*.paid")
    everything = await bus.queue("#")
    name = named("run")
    await applied(suite, workflow(name, {"id": "done", "taskRef": "noop"}))
    execution = await client.start(name, {})
    await execution.result(PATIENCE_S)
    for kind in ("order.paid", "order.placed", "invoice.paid"):
        await client.triggers.publish(f"{bus.name}.{kind}", kind)
    events = await bus.events(everything, 5)
    assert len(events) >= 5
    assert sorted(each["data"] for each in await bus.events(paid, 2)) == [
        "invoice.paid",
        "order.paid",
    ]
    (event,) = [each for each in await bus.events(ended, 1) if each["subject"] == execution.id]
    assert event["type"] == "flowmesh.workflow.completed"


@pytest.mark.feature("S3-119")
async def test_an_event_of_an_execution_starts_a_workflow_over_the_exchange(
    suite: Suite, client: Client, bus: EventBus
) -> None:
    """Execution, exchange, queue, trigger, execution: no component knows the one after it."""
    first, follower = named("first"), named("follower")
    queue = await bus.queue("*.*.completed")
    await applied(suite, workflow(first, {"id": "done", "taskRef": "noop"}))
    trigger = {
        "id": "in",
        "queue": {"queue": queue, "filter": f'message.body.data.workflow == "{first}"'},
    }
    task = {"id": "done", "taskRef": "noop"}
    output = "{{input.subject}}"
    await applied(suite, workflow(follower, task, triggers=[trigger], output=output))
    execution = await client.start(first, {})
    followed: list[object] = []

    async def is_followed() -> bool:
        ids = [each.id async for each in client.list_executions(workflow_id=follower)]
        followed[:] = [await client.handle(each).result(PATIENCE_S) for each in ids]
        return bool(followed)

    await until("the follower", is_followed, within_s=PATIENCE_S)
    assert followed == [execution.id]
