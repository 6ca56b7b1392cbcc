"""Durable subscriptions over REST and the command line, and their bounds."""

import asyncio

import pytest

from flowmesh.errors import NotFound
from flowmesh.sdk import Client
from flowmesh.sdk.client.parts.subscriptions import Webhook
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.events.test_subscriptions import SUBSCRIPTIONS, client, named

__all__ = ["client"]


async def test_wrong_subscriptions_are_refused(suite: Suite, client: Client) -> None:
    """With the field that is wrong; nothing is stored."""
    name = named("wrong")
    hook = {"url": "http://127.0.0.1:1/x"}
    for body, field in (
        ({}, "sink"),
        ({"webhook": {"url": "ftp://x"}}, "webhook.url"),
        ({"webhook": {"url": ""}}, "webhook.url"),
        ({"webhook": hook | {"headers": {"ce-id": "1"}}}, "webhook.headers"),
        ({"webhook": hook | {"headers": {"X": "a\r\nb"}}}, "webhook.headers"),
        ({"webhook": hook | {"secretRef": "plain"}}, "webhook.secret_ref"),
        ({"webhook": hook, "queue": {"routingKey": "q"}}, "queue"),
        ({"queue": {}}, "queue.routing_key"),
        ({"webhook": hook, "types": ["a*b"]}, "types[0]"),
        ({"webhook": hook, "types": ["x"] * 51}, "types"),
        ({"webhook": hook, "filter": "event.data >"}, "filter"),
        ({"webhook": hook, "filter": "x" * 4_097}, "filter"),
        ({"webhook": hook, "template": "{{nothing.x}}"}, "template"),
        ({"webhook": hook, "policy": {"maxDelayMs": 86_400_001}}, "policy.max_delay_ms"),
        ({"webhook": hook, "alert": {"windowMs": 1}}, "alert.window_ms"),
        (
            {
                "webhook": hook,
                "types": ["x"],
                "alert": {"metric": {"metric": "executions", "above": 1}},
            },
            "alert.metric",
        ),
        ({"webhook": hook, "cursor": "x"}, "cursor"),
        ({"webhook": hook, "cursor": "x", "since": "2026-01-01T00:00:00Z"}, "since"),
    ):
        answer = await suite.request("PUT", f"{SUBSCRIPTIONS}/{name}", body)
        assert (answer.status, field in answer.json["error"]["message"]) == (400, True), answer.text
    answer = await suite.get(f"{SUBSCRIPTIONS}/{name}")
    assert (answer.status, answer.json["error"]["reason"]) == (404, "SUBSCRIPTION_NOT_FOUND")


async def test_subscriptions_over_rest(suite: Suite, world: World) -> None:
    """Create, change, list, pause, resume, rotate, test, resend and delete."""
    path = f"{SUBSCRIPTIONS}/{named('rest')}"
    body = {"types": ["rest.*"], "webhook": {"url": world.url("hook")}}
    answer = await suite.request("PUT", path, body)
    assert answer.status == 201, answer.text
    assert answer.json["secret"].startswith("whsec_")
    answer = await suite.request("PUT", path, body | {"description": "for the shop"})
    assert (answer.status, answer.json["description"]) == (200, "for the shop")
    assert "secret" not in answer.json
    listed = (await suite.get(SUBSCRIPTIONS)).json["subscriptions"]
    assert path.rpartition("/")[2] in [each["name"] for each in listed]
    assert (await suite.post(f"{path}:pause")).json["status"] == "paused"
    assert (await suite.post(f"{path}:resume")).json["status"] == "active"
    assert (await suite.post(f"{path}:rotateSecret", {"overlapMs": 1000})).json["secret"]
    assert (await suite.post(f"{path}:test")).json["delivered"]
    await suite.post("/api/v1/events", {"type": "rest.made", "id": "r1", "source": "/rest"})
    await world.called("hook", 2)
    found = (await suite.get(f"{path}/notifications")).json["notifications"]
    assert [each["eventId"] for each in found] == ["/rest r1"]
    answer = await suite.post(f"{path}/notifications:resend", {"ids": [found[0]["id"]]})
    assert answer.status == 200, answer.text
    assert (await suite.request("DELETE", path)).json == {"deleted": True}


async def test_the_blocking_client_manages_subscriptions(suite: Suite, world: World) -> None:
    """The same calls as those of the async client, with their values and iterators."""
    name, url = named("blocking"), world.url("hook")

    def begin() -> None:
        with Client.sync(suite.grpc_address) as client:
            state = client.subscriptions.put(name, Webhook(url), types=["blocking.*"])
            assert (state.created, state.secret[:6]) == (True, "whsec_")
            assert name in [each.name for each in client.subscriptions.list()]
            assert client.subscriptions.test(name).delivered
            client.publish("blocking.made", id="b1")

    def end() -> None:
        with Client.sync(suite.grpc_address) as client:
            assert client.subscriptions.pause(name).status == "paused"
            found = [each.type for each in client.subscriptions.notifications(name)]
            assert found == ["blocking.made"]
            client.subscriptions.delete(name)
            with pytest.raises(NotFound):
                client.subscriptions.get(name)

    await asyncio.to_thread(begin)
    await world.called("hook", 2)
    await asyncio.to_thread(end)


@pytest.mark.long
async def test_subscriptions_on_the_command_line(suite: Suite, world: World) -> None:
    """`flowmesh subscription` creates, tests, shows, logs and deletes."""
    name = named("cli")
    done = await command(
        suite, "subscription", "create", name, "--url", world.url("hook"), "--type", "cli.*"
    )
    assert (done.code, f"{name} is created" in done.out) == (0, True), done.err
    done = await command(suite, "subscription", "test", name)
    assert (done.code, "delivered with status 200" in done.out) == (0, True), done.err
    await suite.post("/api/v1/events", {"type": "cli.made"})
    await world.called("hook", 2)
    done = await command(suite, "subscription", "show", name, "--json")
    assert done.json["types"] == ["cli.*"]
    done = await command(suite, "subscription", "log", name)
    assert "cli.made" in done.out
    for verb, words in (
        ("pause", "is paused"),
        ("resume", "is active"),
        ("rotate", "new secret"),
        ("resend", "0 notifications"),
        ("delete", "is deleted"),
    ):
        done = await command(suite, "subscription", verb, name)
        assert (done.code, words in done.out) == (0, True), (verb, done.err)
    done = await command(suite, "subscription", "create", name)
    assert (done.code, "--url" in done.err) == (2, True)


@pytest.mark.long
async def test_subscriptions_are_bounded(suite: Suite) -> None:
    """The next one is refused; changes of those that are there are not."""
    space = {"Flowmesh-Namespace": named("full")}
    body = {"types": ["none"], "queue": {"routingKey": "none"}}
    for number in range(101):
        path = f"{SUBSCRIPTIONS}/s{number}"
        answer = await suite.request("PUT", path, body, headers=space)
        assert answer.status == (201 if number < 100 else 409), answer.text
    assert answer.json["error"]["reason"] == "SUBSCRIPTIONS_FULL"
    answer = await suite.request("PUT", f"{SUBSCRIPTIONS}/s1", body, headers=space)
    assert answer.status == 200
    for number in range(100):
        await suite.request("DELETE", f"{SUBSCRIPTIONS}/s{number}", headers=space)
