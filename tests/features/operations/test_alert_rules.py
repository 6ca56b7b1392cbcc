"""Alert rules: events and metrics that become notifications."""

import pytest

from flowmesh.sdk import Client
from flowmesh.sdk.client.parts.subscriptions import Alert, Webhook
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.events.test_subscriptions import (
    PATIENCE_S,
    client,
    name,
    named,
    publish,
    settled,
)
from tests.features.steps import http, workflow

pytestmark = pytest.mark.long

__all__ = ["client", "name"]


@pytest.mark.feature("S3-50")
async def test_a_failed_execution_raises_an_alert(
    suite: Suite, client: Client, world: World, name: str
) -> None:
    """As a message for a chat program; further failures within the window raise none."""
    world.answers("charge", status=402)
    run = workflow(http(world, "charge"))
    await client.subscriptions.put(
        name,
        Webhook(world.url("chat")),
        types=["flowmesh.workflow.failed"],
        filter=f'event.data.workflow == "{run["id"]}"',
        template={"text": "{{event.data.text}}", "execution": "{{event.data.last.subject}}"},
        alert=Alert(window=600),
    )
    failed = await suite.run(run)
    assert failed["status"] == "failed"
    (call,) = await world.called("chat")
    assert call.json == {
        "text": f"{name}: 1 event within 600 s",
        "execution": failed["executionId"],
    }
    await suite.begin(run["id"])
    await settled(lambda: counted(client, name, 2))
    assert len(world.calls("chat")) == 1


async def counted(client: Client, name: str, count: int) -> bool:
    found = client.subscriptions.notifications(name, status="counted")
    return len([each async for each in found]) == count


@pytest.mark.feature("S3-50")
async def test_a_rule_alerts_at_a_number_of_events(client: Client, world: World, name: str) -> None:
    """Not before, and with the newest of them."""
    await client.subscriptions.put(
        name, Webhook(world.url("chat")), types=["login.failed"], alert=Alert(count=3, window=60)
    )
    for number in range(2):
        await publish(client, "login.failed", number)
    await settled(lambda: counted(client, name, 2))
    assert world.calls("chat") == []
    last = await publish(client, "login.failed", 2)
    (call,) = await world.called("chat")
    assert (call.json["type"], call.json["data"]["count"]) == ("flowmesh.alert.raised", 3)
    assert call.json["data"]["last"]["id"] == last


@pytest.mark.feature("S3-50")
async def test_a_rule_alerts_while_a_metric_is_above_its_threshold(
    client: Client, world: World, name: str
) -> None:
    """Of a queue that grows; and again when it is no longer above."""
    queue = named("measured")
    await client.broker.declare_queue(queue)
    rule = Alert(metric="queue_depth", queue=queue, above=2, window=600)
    await client.subscriptions.put(name, Webhook(world.url("chat")), alert=rule)
    for number in range(3):
        await client.messages.publish(number, queue)
    (raised,) = await world.called("chat", timeout_s=PATIENCE_S)
    assert raised.json["data"]["value"] == 3
    await client.messages.purge(queue)
    resolved = (await world.called("chat", 2, timeout_s=PATIENCE_S))[1]
    assert resolved.json["type"] == "flowmesh.alert.resolved"
