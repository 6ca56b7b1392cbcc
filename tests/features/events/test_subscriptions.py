"""Durable subscriptions and alert rules, as their receivers see them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks.webhooks import Webhook as Standard
from standardwebhooks.webhooks import WebhookVerificationError

from flowmesh.sdk import Client
from flowmesh.sdk.client.parts.subscriptions import (
    Notification,
    Policy,
    QueueSink,
    Webhook,
)
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import Call, World
from tests.features.steps import http, workflow

PATIENCE_S = 30
SUBSCRIPTIONS = "/api/v1/subscriptions"
FAST = Policy(initial_delay=0.05, max_delay=0.2, breaker_open=0.2)


def named(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with Client(suite.grpc_address) as opened:
        yield opened


@pytest.fixture
async def name(client: Client) -> AsyncIterator[str]:
    """The name of a subscription, which is deleted after the test."""
    given = named("sub")
    yield given
    async for each in client.subscriptions.list():
        if each.name == given:
            await client.subscriptions.delete(given)


async def settled(condition: Callable[[], Awaitable[object]]) -> None:
    await until("settled", condition, within_s=PATIENCE_S)


async def log_of(client: Client, name: str) -> list[Notification]:
    return [each async for each in client.subscriptions.notifications(name)]


async def publish(client: Client, kind: str, data: Any = None, **more: Any) -> str:
    published = await client.triggers.publish(kind, data, **more)
    return published.id


def verified(call: Call, *secrets: str) -> Any:
    """Return the body of a call whose signature each of the secrets verifies."""
    for secret in secrets:
        Standard(secret).verify(call.body, call.headers)
    return call.json


@pytest.mark.feature("S3-48")
async def test_matching_events_of_executions_reach_a_signed_webhook(
    suite: Suite, client: Client, world: World, name: str
) -> None:
    """By type and condition; as CloudEvents, signed with the secret of the creation."""
    wanted = workflow(http(world, "charge"))
    condition = f'event.data.workflow == "{wanted["id"]}"'
    state = await client.subscriptions.put(
        name, Webhook(world.url("hook")), types=["flowmesh.workflow.*"], filter=condition
    )
    assert state.created
    assert state.secret.startswith("whsec_")
    other = await suite.run(workflow(http(world, "charge")))
    execution = (await suite.run(wanted))["executionId"]
    calls = await world.called("hook", 2)

    assert other["executionId"] != execution
    bodies = [verified(call, state.secret) for call in calls]
    assert sorted(each["type"] for each in bodies) == [
        "flowmesh.workflow.completed",
        "flowmesh.workflow.started",
    ]
    for call, body in zip(calls, bodies, strict=True):
        assert call.headers["content-type"].startswith("application/cloudevents+json")
        assert (body["specversion"], body["subject"]) == ("1.0", execution)
    await settled(lambda: delivered(client, name, 2))
    assert {each.status for each in await log_of(client, name)} == {"delivered"}


async def delivered(client: Client, name: str, count: int) -> bool:
    return (await client.subscriptions.get(name)).delivered == count


@pytest.mark.feature("S3-48")
async def test_published_events_are_filtered_by_source_and_attribute(
    client: Client, world: World, name: str
) -> None:
    """In binary mode: attributes as headers, percent-encoded, and the data as the body."""
    await client.subscriptions.put(
        name,
        Webhook(world.url("hook"), mode="binary", headers={"X-Team": "billing"}),
        types=["order.*"],
        source="/shops/*",
        filter="event.data.amount > 100",
    )
    for kind, source, amount in (
        ("order.paid", "/shops/1", 50),
        ("order.paid", "/banks/1", 200),
        ("cart.paid", "/shops/1", 200),
    ):
        await publish(client, kind, {"amount": amount}, source=source)
    wanted = await publish(client, "order.paid", {"amount": 200}, source="/shops/1", subject="Ä 1")
    (call,) = await world.called("hook")

    assert call.json == {"amount": 200}
    sent = {key: value for key, value in call.headers.items() if key.startswith("ce-")}
    assert sent.pop("ce-time")
    assert sent == {
        "ce-specversion": "1.0",
        "ce-id": wanted,
        "ce-source": "/shops/1",
        "ce-type": "order.paid",
        "ce-subject": "%C3%84%201",
    }
    assert call.headers["x-team"] == "billing"


async def test_a_failing_sink_is_retried_until_it_works(
    client: Client, world: World, name: str
) -> None:
    """With growing delays, the same id and a fresh signature; the log has every attempt's end."""
    world.answers("hook", status=500, times=2)
    state = await client.subscriptions.put(
        name, Webhook(world.url("hook")), types=["retry.me"], policy=FAST
    )
    await publish(client, "retry.me")
    calls = await world.called("hook", 3)
    await settled(lambda: delivered(client, name, 1))

    assert len({call.headers["webhook-id"] for call in calls}) == 1
    for call in calls:
        verified(call, state.secret)
    assert calls[2].at_ms - calls[1].at_ms > calls[1].at_ms - calls[0].at_ms >= 50
    (entry,) = await log_of(client, name)
    assert (entry.status, entry.attempts, entry.http_status) == ("delivered", 3, 200)


async def test_dead_notifications_are_sent_again_on_demand(
    client: Client, world: World, name: str
) -> None:
    """After the last attempt it is dead; a resend has new attempts under the same id."""
    world.answers("hook", status=503, times=2)
    policy = Policy(max_attempts=2, initial_delay=0.01, breaker_failures=100)
    await client.subscriptions.put(
        name, Webhook(world.url("hook")), types=["resend.me"], policy=policy
    )
    await publish(client, "resend.me")
    await settled(lambda: dead(client, name, 1))
    (entry,) = await log_of(client, name)
    assert (entry.status, entry.http_status) == ("dead", 503)
    assert entry.last_error == "the receiver answered 503"
    assert await client.subscriptions.resend(name) == 1
    calls = await world.called("hook", 3)
    await settled(lambda: delivered(client, name, 1))
    assert {call.headers["webhook-id"] for call in calls} == {entry.id}
    assert await client.subscriptions.resend(name) == 0
    assert await client.subscriptions.resend(name, [entry.id]) == 1
    await world.called("hook", 4)


async def dead(client: Client, name: str, count: int) -> bool:
    return (await client.subscriptions.get(name)).dead == count


async def test_an_open_breaker_spares_a_sink_and_tries_one_at_a_time(
    client: Client, world: World, name: str
) -> None:
    """It opens after failures in a row; a success closes it, and the others follow."""
    world.answers("hook", status=500)
    policy = Policy(
        initial_delay=0.01, max_delay=0.01, concurrency=1, breaker_failures=3, breaker_open=1
    )
    await client.subscriptions.put(
        name, Webhook(world.url("hook")), types=["break.me"], policy=policy
    )
    for number in range(5):
        await publish(client, "break.me", number)
    await settled(lambda: has_status(client, name, "open"))
    state = await client.subscriptions.get(name)
    assert (len(world.calls("hook")), state.failures, state.pending) == (3, 3, 5)
    assert state.open_until is not None
    assert state.last_error == "the receiver answered 500"
    await world.called("hook", 4)
    world.answers("hook", status=200)
    await client.subscriptions.resume(name)
    await settled(lambda: delivered(client, name, 5))
    assert (await client.subscriptions.get(name)).status == "active"


async def has_status(client: Client, name: str, status: str) -> bool:
    return (await client.subscriptions.get(name)).status == status


async def test_a_gone_sink_is_disabled_until_it_is_resumed(
    client: Client, world: World, name: str
) -> None:
    """410 disables it at once; events are stored meanwhile."""
    world.answers("hook", status=410, times=1)
    await client.subscriptions.put(name, Webhook(world.url("hook")), types=["go.away"])
    await publish(client, "go.away", 1)
    await settled(lambda: has_status(client, name, "disabled"))
    await publish(client, "go.away", 2)
    assert (await client.subscriptions.get(name)).pending == 1
    await client.subscriptions.resume(name)
    await settled(lambda: delivered(client, name, 1))


async def test_a_paused_subscription_stores_events(
    suite: Suite, client: Client, world: World, name: str
) -> None:
    """Published and of executions; all are sent after the end of the pause."""
    run = workflow(http(world, "work"))
    condition = f'event.type == "pause.me" || event.data.workflow == "{run["id"]}"'
    types = ["pause.me", "flowmesh.workflow.completed"]
    await client.subscriptions.put(name, Webhook(world.url("hook")), types=types, filter=condition)
    assert (await client.subscriptions.pause(name)).status == "paused"
    await publish(client, "pause.me")
    await suite.run(run)
    await settled(lambda: pending(client, name, 2))
    assert world.calls("hook") == []
    await client.subscriptions.resume(name)
    calls = await world.called("hook", 2)
    assert {call.json["type"] for call in calls} == set(types)


async def pending(client: Client, name: str, count: int) -> bool:
    return (await client.subscriptions.get(name)).pending == count


async def test_a_rotated_secret_signs_beside_the_previous_one(
    client: Client, world: World, name: str
) -> None:
    """Within the overlap either verifies; after it only the new one."""
    first = await client.subscriptions.put(name, Webhook(world.url("hook")), types=["rotate.me"])
    second = await client.subscriptions.rotate_secret(name)
    await publish(client, "rotate.me")
    (call,) = await world.called("hook")
    verified(call, first.secret, second)
    third = await client.subscriptions.rotate_secret(name, overlap=0.001)
    await publish(client, "rotate.me")
    call = (await world.called("hook", 2))[1]
    verified(call, third)
    with pytest.raises(WebhookVerificationError):
        verified(call, second)
    changed = await client.subscriptions.put(name, Webhook(world.url("hook")), types=["x"])
    assert (changed.created, changed.secret) == (False, "")


@pytest.mark.feature("S3-48")
async def test_events_go_to_a_queue(client: Client, name: str) -> None:
    """Once per event, with a body made by a template."""
    queue = named("events")
    await client.broker.declare_queue(queue)
    template = {"order": "{{event.data.id}}", "by": "{{subscription.name}}"}
    await client.subscriptions.put(
        name, QueueSink(queue), types=["order.placed"], template=template
    )
    await publish(client, "order.placed", {"id": 7})
    (message,) = await client.messages.receive(queue, 5, wait=10)
    await client.messages.ack(message)
    assert message.body == {"order": 7, "by": name}
    assert message.headers["ce-type"] == "order.placed"


@pytest.mark.feature("S3-48")
async def test_a_subscription_begins_at_an_instant_or_a_cursor(
    suite: Suite, client: Client, world: World, name: str
) -> None:
    """Earlier events of both kinds follow from an instant, those of executions from a cursor."""
    before = datetime.now(UTC)
    run = workflow(http(world, "work"))
    await publish(client, "past.event")
    execution = (await suite.run(run))["executionId"]
    condition = f'event.type == "past.event" || event.subject == "{execution}"'
    await client.subscriptions.put(
        name,
        Webhook(world.url("hook")),
        types=["past.event", "flowmesh.workflow.completed"],
        filter=condition,
        since=before,
    )
    calls = await world.called("hook", 2)
    assert {call.json["type"] for call in calls} == {"past.event", "flowmesh.workflow.completed"}
    await settled(lambda: delivered(client, name, 2))
    cursor = (await client.subscriptions.get(name)).cursor
    other = named("sub")
    await client.subscriptions.put(
        other,
        Webhook(world.url("other")),
        types=["flowmesh.workflow.completed"],
        filter=f'event.data.workflow == "{run["id"]}"',
        cursor=cursor,
    )
    again = await suite.begin(run["id"])
    (call,) = await world.called("other")
    assert call.json["subject"] == again
    await client.subscriptions.delete(other)


async def test_a_test_event_shows_whether_a_sink_works(
    client: Client, world: World, name: str
) -> None:
    """The outcome is answered, and nothing is stored."""
    state = await client.subscriptions.put(name, Webhook(world.url("hook")), types=["none"])
    done = await client.subscriptions.test(name)
    assert (done.delivered, done.http_status) == (True, 200)
    (call,) = world.calls("hook")
    assert verified(call, state.secret)["type"] == "flowmesh.subscription.test"
    world.answers("hook", status=404)
    done = await client.subscriptions.test(name)
    assert (done.delivered, done.error) == (False, "the receiver answered 404")
    assert await log_of(client, name) == []


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.feature("S3-46", "S3-48")
async def test_no_event_is_lost_when_everything_is_killed(tmp_path: Path, world: World) -> None:
    """Killed five times while events are published and executions run; each event arrives."""
    wanted: set[str] = set()
    async with Suite(tmp_path / "data") as suite:
        run = workflow(http(world, "work"))
        await suite.define(run)
        async with Client(suite.grpc_address) as client:
            await client.subscriptions.put(
                "durable",
                Webhook(world.url("hook")),
                types=["kill.*", "flowmesh.workflow.completed"],
                policy=Policy(initial_delay=0.05, max_delay=0.5, breaker_failures=100),
            )
        for number in range(5):
            executions = [await suite.begin(run["id"]) for _ in range(5)]
            for index in range(5):
                event = f"e{number}-{index}"
                answer = await suite.post(
                    "/api/v1/events", {"type": "kill.me", "id": event, "source": "/kill"}
                )
                assert answer.status == 202
                wanted.add(f"kill.me {event}")
            await suite.kill()
            await suite.start()
            for each in executions:
                await suite.wait(each)
                wanted.add(f"flowmesh.workflow.completed {each}")
        async with asyncio.timeout(90):
            while received(world) < wanted:
                await world.called("hook", len(world.calls("hook")) + 1, timeout_s=60)
    assert received(world) == wanted


def received(world: World) -> set[str]:
    """Return the events of all calls: the type, and the id or the execution."""
    found = set()
    for call in world.calls("hook"):
        event = orjson.loads(call.body)
        own = event["type"].startswith("flowmesh.")
        found.add(f"{event['type']} {event['subject'] if own else event['id']}")
    return found
