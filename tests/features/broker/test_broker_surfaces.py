"""The broker over REST and the command line, its metrics, its diagnosis, and its access rules."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.errors import Forbidden, NotFound
from flowmesh.sdk import Client, Message, MessageBroker, Outgoing, Reject
from flowmesh.sdk.client.parts.subscriptions import Webhook
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.closed import Closed, closed_suite
from tests.features.commands import command
from tests.features.events.test_subscriptions import verified
from tests.features.store import database

from .test_broker import PATIENCE_S, named

QUEUES = "/api/v1/message-queues"


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with Client(suite.grpc_address) as opened:
        yield opened


@pytest.mark.feature("S4-40")
async def test_messages_over_rest(suite: Suite) -> None:
    """Declare, bind, publish JSON and bytes, receive, settle, browse, redrive and delete."""
    queue, exchange = named("q"), named("x")
    options = {"deadLetterQueue": f"{queue}.dlq", "maxSize": 10}
    for status, created in ((201, True), (200, False)):
        answer = await suite.request("PUT", f"{QUEUES}/{queue}", options)
        assert (answer.status, answer.json["created"]) == (status, created), answer.text
    answer = await suite.request("PUT", f"/api/v1/exchanges/{exchange}", {"type": "topic"})
    assert answer.status == 201, answer.text
    binding = {"queue": queue, "key": "data.#"}
    answer = await suite.post(f"/api/v1/exchanges/{exchange}:bind", binding)
    assert answer.status == 201, answer.text
    raw = base64.b64encode(b"\x00\xff").decode()
    messages = [
        {"routingKey": "data.raw", "body": {"n": 1}, "headers": {"pages": 2}},
        {"routingKey": "data.raw", "bodyBase64": raw, "contentType": "image/png"},
        {"routingKey": "other"},
    ]
    path = f"/api/v1/exchanges/{exchange}:publish"
    answer = await suite.post(path, {"messages": messages, "mandatory": True})
    outcomes = [(each["queues"], each.get("reason")) for each in answer.json["outcomes"]]
    assert outcomes == [(1, None), (1, None), (0, "UNROUTABLE")]

    answer = await suite.post(f"{QUEUES}/{queue}:receive", {"count": 5, "waitMs": 2000})
    first, second = answer.json["messages"]
    assert (first["body"], first["headers"], first["attempt"]) == ({"n": 1}, {"pages": 2}, 1)
    assert (second["bodyBase64"], second["contentType"]) == (raw, "image/png")
    settled = {
        "acks": [first["receipt"]],
        "nacks": [{"receipt": second["receipt"], "reject": True, "error": "no picture"}],
    }
    answer = await suite.post(f"{QUEUES}/{queue}:settle", settled)
    assert answer.json["outcomes"] == [{}, {}]
    answer = await suite.post(f"{QUEUES}/{queue}:settle", {"acks": [first["receipt"]]})
    assert answer.json["outcomes"][0]["reason"] == "STALE_DELIVERY"
    answer = await suite.get(f"{QUEUES}/{queue}.dlq/messages")
    (letter,) = answer.json["messages"]
    assert (letter["bodyBase64"], letter["death"]["error"]) == (raw, "no picture")
    answer = await suite.post(f"{QUEUES}/{queue}.dlq:redrive", {})
    assert (answer.json["moved"], answer.json["remaining"]) == (1, False)
    answer = await suite.get(f"{QUEUES}/{queue}")
    assert (answer.json["depth"], answer.json["maxSize"]) == (1, 10)
    answer = await suite.request("DELETE", f"{QUEUES}/{queue}?ifEmpty=true")
    assert (answer.status, answer.json["error"]["reason"]) == (409, "QUEUE_NOT_EMPTY")
    assert (await suite.post(f"{QUEUES}/{queue}:purge", None)).json == {"count": 1}
    answer = await suite.request("DELETE", f"{QUEUES}/{queue}?ifEmpty=true")
    assert answer.status == 200, answer.text
    answer = await suite.get(f"{QUEUES}/{queue}")
    assert (answer.status, answer.json["error"]["reason"]) == (404, "QUEUE_NOT_FOUND")


@pytest.mark.long
async def test_messages_on_the_command_line(suite: Suite) -> None:
    """`flowmesh queue` and `flowmesh exchange` do what the SDK does."""
    queue, exchange = named("q"), named("x")
    done = await command(suite, "exchange", "declare", exchange, "topic")
    assert (done.code, done.out.strip()) == (0, f"{exchange} is created"), done.err
    options = ["--dead-letter-queue", f"{queue}.dlq", "--max-size", "10"]
    done = await command(suite, "queue", "declare", queue, *options)
    assert done.code == 0, done.err
    done = await command(suite, "queue", "bind", queue, exchange, "data.#")
    assert done.code == 0, done.err
    for number in (1, 2):
        body = f'{{"n": {number}}}'
        done = await command(suite, "exchange", "publish", exchange, "data.raw", body)
        assert done.out.strip().endswith("is stored in 1 queue"), done.err
    done = await command(suite, "queue", "peek", queue, "--json")
    assert [each["body"] for each in done.json] == [{"n": 1}, {"n": 2}]
    done = await command(suite, "queue", "consume", queue, "--json")
    assert [each["body"] for each in done.json] == [{"n": 1}]
    done = await command(suite, "queue", "show", queue)
    assert done.lines[0] == f"{queue}  1 message"
    assert f"  bound to {exchange} by 'data.#'" in done.lines
    assert re.fullmatch(r"  oldest message \d+s ago, \d+ bytes", done.lines[2])
    done = await command(suite, "queue", "purge", queue)
    assert done.out.strip() == "1 message deleted"
    done = await command(suite, "queue", "show", named("missing"))
    assert (done.code, "QUEUE_NOT_FOUND" in done.err) == (1, True)


@pytest.mark.long
@pytest.mark.feature("S4-77", "S4-78", "S4-79", "S4-80")
async def test_the_metrics_count_messages(suite: Suite, client: Client) -> None:
    """Published, consumed and failed messages, and the depth of each queue."""
    queue = named("measured")
    await client.broker.declare_queue(queue)
    for number in range(4):
        await client.messages.publish(number, queue)
    first, second = await client.messages.receive(queue, 2, wait=2)
    await client.messages.ack(first)
    await client.messages.reject(second)
    label = f'{{namespace="default",queue="{queue}"}}'
    wanted = {
        f"messages_published_total{label}": 4.0,
        f"messages_consumed_total{label}": 1.0,
        f"messages_failed_total{label}": 1.0,
        f"queue_sizes{label}": 2.0,
    }

    async def shown() -> bool:
        lines = (await suite.get("/metrics")).text.splitlines()
        found = dict(line.rsplit(" ", 1) for line in lines if label in line)
        return {name: float(found.get(name, 0)) for name in wanted} == wanted

    await until("the metrics", shown, within_s=PATIENCE_S)


@pytest.mark.feature("S4-86")
async def test_a_diagnosis_names_the_cause(suite: Suite, client: Client) -> None:
    """A missing binding, a missing consumer, failing handlers with dead letters, a full queue."""
    queue, exchange = named("stuck"), named("x")

    async def causes() -> list[str]:
        return [each.cause for each in await client.broker.diagnose(queue)]

    await client.broker.declare_queue(queue, max_size=2, dead_letter_queue=f"{queue}.dlq")
    await client.broker.declare_exchange(exchange)
    assert await causes() == ["NO_BINDING"]
    await client.broker.bind(queue, exchange, "order.*.paid")
    await client.messages.publish(1, "order.paid", exchange)
    (finding,) = await client.broker.diagnose(queue)
    assert finding.cause == "NO_MATCH"
    assert "'order.paid'" in finding.explanation
    assert "'order.*.paid'" in finding.explanation
    await client.messages.publish(1, "order.7.paid", exchange)
    assert await causes() == ["NO_CONSUMER"]

    async def refuse(body: Any) -> None:
        raise Reject("the schema changed")

    async with MessageBroker(client) as broker:
        broker.subscribe(queue, refuse)

        async def failing() -> bool:
            return "ALL_FAILING" in await causes()

        await until("the failure", failing, within_s=PATIENCE_S)
    done = await command(suite, "diagnose", "messages", queue)
    assert done.code == 0, done.err
    assert "ALL_FAILING: Every settled delivery failed (1); most often: the schema" in done.out
    assert f"DEAD_LETTERS: '{queue}.dlq' holds 1 message: " in done.out
    assert "1 rejected: the schema changed" in done.out
    outcomes = await client.messages.publish_many([Outgoing(n, queue) for n in range(3)])
    assert [each.reason for each in outcomes] == ["", "", "QUEUE_FULL"]
    assert "QUEUE_FULL" in await causes()


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    folder: Path = tmp_path_factory.mktemp("closed-broker")
    async with closed_suite(folder) as made:
        yield made


@pytest.mark.long
@pytest.mark.feature("S4-62", "S4-51")
async def test_a_closed_installation_separates_the_queues_of_tenants(closed: Closed) -> None:
    """An editor publishes and consumes, a viewer only reads, a stranger finds nothing."""
    project, other = await closed.project("mail"), await closed.project("rest")
    keys = {role: await closed.key(project.id, role) for role in ("editor", "viewer", "admin")}
    stranger = await closed.key(other.id, "admin")
    address = closed.suite.grpc_address
    arrived: asyncio.Queue[tuple[Any, Message]] = asyncio.Queue()

    async def handle(body: Any, message: Message) -> None:
        await arrived.put((body, message))

    async with (
        Client(address, "mail", api_key=keys["editor"].credential) as editor,
        Client(address, "mail", api_key=keys["viewer"].credential) as viewer,
        Client(address, "rest", api_key=stranger.credential) as foreign,
        Client(address, "mail", api_key=stranger.credential) as intruder,
        MessageBroker(editor) as broker,
    ):
        await broker.declare_queue("letters")
        broker.subscribe("letters", handle)
        await broker.publish("hello", "letters")
        async with asyncio.timeout(PATIENCE_S):
            assert (await arrived.get())[0] == "hello"
        assert [each.name async for each in viewer.broker.queues()] == ["letters"]
        with pytest.raises(Forbidden):
            await viewer.messages.publish("mine", "letters")
        with pytest.raises(Forbidden):
            await editor.messages.purge("letters")
        with pytest.raises(NotFound) as missing:
            await foreign.messages.browse("letters")
        assert missing.value.reason == "QUEUE_NOT_FOUND"
        with pytest.raises(NotFound) as hidden:
            await intruder.messages.browse("letters")
        assert hidden.value.reason == "NAMESPACE_NOT_FOUND"
    headers = {"flowmesh_namespace": "mail"}
    status, _ = await keys["viewer"].rest("POST", f"{QUEUES}/letters:purge", **headers)
    assert status == 403
    status, body = await keys["admin"].rest("POST", f"{QUEUES}/letters:purge", **headers)
    assert (status, body) == (200, {"count": 0})


@pytest.mark.long
async def test_a_closed_installation_seals_the_secrets_of_subscriptions(
    closed: Closed, world: World
) -> None:
    """The database holds no secret; the present and the former one still sign."""
    project = await closed.project("hooks")
    key = await closed.key(project.id, "admin")
    async with Client(closed.suite.grpc_address, "hooks", api_key=key.credential) as client:
        state = await client.subscriptions.put("signed", Webhook(world.url("hook")), types=["x"])
        second = await client.subscriptions.rotate_secret("signed")
        outcome = await client.subscriptions.test("signed")
        assert outcome.delivered, outcome.error
        (call,) = await world.called("hook", 1)
        verified(call, state.secret, second)
    async with database(closed.suite, "event") as connection:
        row = await connection.fetchrow("select * from subscriptions where name = 'signed'")
    assert row is not None
    assert row["secret"].startswith("sealed:")
    assert row["previous_secret"].startswith("sealed:")
    assert state.secret not in str(dict(row))
    assert second not in str(dict(row))
