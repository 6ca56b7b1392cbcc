"""Delays, limited consumers, encryption, large bodies, and the watch of queues."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import nats
import pytest

from flowmesh.api.broker.v1 import message_service_pb2, message_service_pb2_grpc
from flowmesh.errors import Invalid, NotFound, WrongState
from flowmesh.sdk import Client, Message, MessageBroker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command

from .test_broker import PATIENCE_S, named

pytestmark = pytest.mark.long

QUEUES = "/api/v1/message-queues"


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with Client(suite.grpc_address) as opened:
        yield opened


@pytest.fixture
async def broker(client: Client) -> AsyncIterator[MessageBroker]:
    async with MessageBroker(client, strict=True) as opened:
        yield opened


async def gone(client: Client, queue: str) -> None:
    async def is_gone() -> bool:
        try:
            await client.broker.queue(queue)
        except NotFound:
            return True
        return False

    await until("the deletion of the queue", is_gone, within_s=PATIENCE_S)


# --- delays ---


async def test_a_delayed_message_comes_after_its_delay(client: Client) -> None:
    """Once, also if it is published twice; an undelayed one overtakes it."""
    queue, exchange = named("later"), named("x")
    await client.broker.declare_queue(queue)
    await client.broker.declare_exchange(exchange)
    await client.broker.bind(queue, exchange, "data.#")
    began = time.monotonic()
    sent = [
        await client.messages.publish(n, "data.raw", exchange, delay=1, id=f"{queue}-1")
        for n in (1, 2)
    ]
    assert [(each.queues, each.duplicate) for each in sent] == [(1, False), (1, True)]
    await client.messages.publish("now", queue)
    (first,) = await client.messages.receive(queue, wait=5)
    (second,) = await client.messages.receive(queue, wait=10)
    assert (first.body, second.body, second.id) == ("now", 1, f"{queue}-1")
    assert time.monotonic() - began >= 1
    await client.messages.ack(first, second)
    assert (await client.broker.queue(queue)).depth == 0


async def test_delays_are_bounded(client: Client) -> None:
    """A year at most; a mandatory message is routed before its delay."""
    with pytest.raises(Invalid) as long:
        await client.messages.publish(1, "q", delay=366 * 24 * 3_600)
    assert long.value.reason == "MESSAGE_INVALID"
    assert [each.field for each in long.value.violations] in ([], ["delay_ms"])
    exchange = named("x")
    await client.broker.declare_exchange(exchange)
    with pytest.raises(NotFound) as unroutable:
        await client.messages.publish(1, "none", exchange, delay=1, mandatory=True)
    assert unroutable.value.reason == "UNROUTABLE"


# --- consumers ---


def consume(client: Client, queue: str, consumer: str = "") -> Any:
    call: Any = message_service_pb2_grpc.MessageServiceStub(client.caller.channel).Consume()
    hello = message_service_pb2.ConsumeHello(queue=queue, credit=10, consumer_id=consumer)
    return call, message_service_pb2.ConsumeRequest(hello=hello)


async def opened(client: Client, queue: str, consumer: str = "") -> Any:
    """An open stream of a consumer."""
    call, request = consume(client, queue, consumer)
    await call.write(request)
    assert (await call.read()).subscribed
    return call


async def test_an_exclusive_queue_has_one_consumer_and_ends_with_it(client: Client) -> None:
    """Another one is refused; the first may reconnect; then the queue is deleted."""
    queue = named("own")
    await client.broker.declare_queue(queue, exclusive=True)
    first = await opened(client, queue, "me")
    other, request = consume(client, queue, "you")
    await other.write(request)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await other.read()
    assert "QUEUE_IN_USE" in str(refused.value.trailing_metadata())
    with pytest.raises(WrongState) as busy:
        await client.messages.receive(queue)
    assert busy.value.reason == "QUEUE_IN_USE"
    first.cancel()
    again = await opened(client, queue, "me")
    await client.messages.publish("mine", queue)
    response = await again.read()
    assert [each.message.body for each in response.deliveries] == [b'"mine"']
    again.cancel()
    await gone(client, queue)


async def test_an_auto_delete_queue_ends_with_its_last_consumer(client: Client) -> None:
    """Not before it has had one, and not while another is left."""
    queue = named("brief")
    await client.broker.declare_queue(queue, auto_delete=True)
    first, second = await opened(client, queue), await opened(client, queue)
    first.cancel()
    await client.messages.publish("kept", queue)
    assert [each.message.body for each in (await second.read()).deliveries] == [b'"kept"']
    assert (await client.broker.queue(queue)).auto_delete
    second.cancel()
    await gone(client, queue)


async def test_one_of_several_consumers_is_active(broker: MessageBroker) -> None:
    """The first gets all messages in order; the next takes over when it leaves."""
    queue = named("single")
    await broker.declare_queue(queue, single_active=True)
    handled: list[tuple[str, Any]] = []

    def handler(name: str) -> Any:
        async def handle(body: Any) -> None:
            handled.append((name, body))

        return handle

    first = broker.subscribe(queue, handler("first"), concurrency=1)
    await first.ready()
    second = broker.subscribe(queue, handler("second"), concurrency=1)
    await second.ready()
    for number in range(10):
        await broker.publish(number, queue)
    await until("the first ten", lambda: _count(handled, 10), within_s=PATIENCE_S)
    await first.close()
    for number in range(10, 15):
        await broker.publish(number, queue)
    await until("the others", lambda: _count(handled, 15), within_s=PATIENCE_S)
    expected = [("first", n) for n in range(10)] + [("second", n) for n in range(10, 15)]
    assert handled == expected


async def _count(found: list[Any], wanted: int) -> bool:
    return len(found) >= wanted


@pytest.mark.parametrize("option", ["exclusive", "auto_delete"])
async def test_a_stream_outlives_its_consumers(client: Client, option: str) -> None:
    """It has neither an exclusive consumer nor an end with its last one."""
    options: dict[str, Any] = {option: True}
    with pytest.raises(Invalid) as refused:
        await client.broker.declare_queue(named("log"), stream=True, **options)
    assert refused.value.reason == "TOPOLOGY_INVALID"


# --- encryption ---


def files_with(folder: Path, text: bytes) -> list[Path]:
    """The files of the message bus below a folder that hold a text."""
    found = (each for each in folder.rglob("*") if each.is_file() and "jetstream" in str(each))
    return [each for each in found if text in each.read_bytes()]


@pytest.mark.feature("S4-65")
async def test_encrypted_bodies_are_ciphertext_at_rest(suite: Suite, client: Client) -> None:
    """In the queue, as a dead letter and while delayed; their consumer gets the plain body."""
    plain, queue = named("plain"), named("sealed")
    canary, secret = named("canary"), named("secret")
    await client.broker.declare_queue(plain)
    await client.broker.declare_queue(queue, encrypt=True, dead_letter_queue=True)
    await client.messages.publish({"card": canary}, plain)
    await client.messages.publish({"card": secret}, queue)
    await client.messages.publish({"card": secret}, queue, delay=1)
    assert (await client.broker.queue(f"{queue}.dlq")).encrypt
    assert files_with(suite.data_dir, canary.encode())
    assert not files_with(suite.data_dir, secret.encode())
    (message,) = await client.messages.receive(queue, wait=5)
    assert message.body == {"card": secret}
    await client.messages.reject(message, error="no")
    (later,) = await client.messages.receive(queue, wait=10)
    assert later.body == {"card": secret}
    (letter,) = await client.messages.browse(f"{queue}.dlq")
    assert letter.body == {"card": secret}
    assert (await client.messages.redrive(f"{queue}.dlq", to=plain)).moved == 1
    assert [each.body for each in await client.messages.browse(plain)][1] == {"card": secret}
    assert not files_with(suite.data_dir, secret.encode())


@pytest.mark.feature("S4-65")
async def test_encrypted_bodies_are_ciphertext_on_the_message_bus(
    suite: Suite, client: Client
) -> None:
    """On every subject, of publishes and of deliveries; a plain body is seen there."""
    plain, queue = named("plain"), named("sealed")
    canary, secret = named("canary"), named("secret")
    seen: list[bytes] = []

    async def note(message: Any) -> None:
        seen.append(message.data)

    connection = await nats.connect(str(suite.about["nats"]), connect_timeout=PATIENCE_S)
    try:
        await connection.subscribe(">", cb=note)
        await connection.flush()
        for name, body, encrypt in ((plain, canary, False), (queue, secret, True)):
            await client.broker.declare_queue(name, encrypt=encrypt)
            await client.messages.publish({"card": body}, name)
            (message,) = await client.messages.receive(name, wait=5)
            assert message.body == {"card": body}
            await client.messages.ack(message)

        async def canary_seen() -> bool:
            return any(canary.encode() in each for each in seen)

        await until("the plain body", canary_seen, within_s=PATIENCE_S)
        await connection.flush()
    finally:
        await connection.close()
    assert not any(secret.encode() in each for each in seen)


# --- large bodies ---


async def test_large_bodies_are_stored_apart(suite: Suite, broker: MessageBroker) -> None:
    """A body above 256 KiB reaches a handler, a receiver and a dead letter; REST has its name."""
    client = broker.client
    queue = named("large")
    await broker.declare_queue(queue, dead_letter_queue=True)
    value = {"text": "x" * 300_000}
    arrived: asyncio.Queue[tuple[Any, Message]] = asyncio.Queue()

    async def handle(body: Any, message: Message) -> None:
        await arrived.put((body, message))

    await broker.publish(value, queue)
    await broker.publish(b"\0" * 300_000, queue)
    (browsed, _) = await client.messages.browse(queue)
    assert browsed.body is None
    assert await client.messages.fetch(browsed) == value
    answer = await suite.get(f"{QUEUES}/{queue}/messages")
    assert answer.json["messages"][0]["body"]["$payload"]["digest"] == browsed.digest
    (received,) = await client.messages.receive(queue, wait=5)
    assert received.body == value
    await client.messages.reject(received)
    (letter,) = await client.messages.browse(f"{queue}.dlq")
    assert await client.messages.fetch(letter) == value
    body = {"messages": [{"body": value}]}
    answer = await suite.post(f"{QUEUES}/{queue}:publish", body)
    assert [each.get("reason") for each in answer.json["outcomes"]] == [None]
    broker.subscribe(queue, handle)
    async with asyncio.timeout(PATIENCE_S):
        found = [(await arrived.get())[0] for _ in range(2)]
    assert sorted(found, key=lambda each: isinstance(each, dict)) == [b"\0" * 300_000, value]


async def test_a_missing_body_is_refused(suite: Suite, client: Client) -> None:
    """And a queue that encrypts or checks its bodies takes none that is stored apart."""
    queue, sealed = named("q"), named("sealed")
    await client.broker.declare_queue(queue)
    await client.broker.declare_queue(sealed, encrypt=True)
    reference = {"$payload": {"digest": "0" * 64, "sizeBytes": 1}}
    body = {"messages": [{"body": reference}, {"body": {"$payload": {**reference["$payload"]}}}]}
    answer = await suite.post(f"{QUEUES}/{queue}:publish", body)
    reasons = [each["reason"] for each in answer.json["outcomes"]]
    assert reasons == ["PAYLOAD_MISSING"] * 2
    with pytest.raises(Invalid) as refused:
        await client.messages.publish("x" * 300_000, sealed)
    assert refused.value.reason == "MESSAGE_INVALID"
    assert "encrypts" in refused.value.message


# --- watch ---


async def test_a_watch_reports_changes_of_queues(suite: Suite, client: Client) -> None:
    """First all watched queues, then the changed and the deleted ones; over REST the same."""
    queue, other = named("seen"), named("other")
    for each in (queue, other):
        await client.broker.declare_queue(each)
    watch = client.broker.watch_queues(queue)
    first = await anext(watch)
    assert [(each.name, each.depth) for each in first.queues] == [(queue, 0)]
    lines: asyncio.Queue[str] = asyncio.Queue()
    reading = asyncio.create_task(read_events(suite, f"{QUEUES}:watch?queue={queue}", lines))
    async with asyncio.timeout(PATIENCE_S):
        assert await lines.get() == "event: Queue"
        await client.messages.publish(1, other)
        await client.messages.publish(1, queue)
        changed = await anext(watch)
        assert [(each.name, each.depth) for each in changed.queues] == [(queue, 1)]
        await client.broker.delete_queue(queue)
        assert (await anext(watch)).removed == (queue,)
        seen = [await lines.get()]
        while seen[-1] != "event: QueueRemoved":
            seen.append(await lines.get())
    depths = [json.loads(each[6:])["depth"] for each in seen if each.startswith("data: ")]
    assert (depths[0], depths[-1]) == (0, 1)
    reading.cancel()
    with pytest.raises(NotFound):
        await anext(client.broker.watch_queues(queue))
    answer = await suite.get(f"{QUEUES}:watch?queue={queue}")
    assert (answer.status, answer.json["error"]["reason"]) == (404, "QUEUE_NOT_FOUND")


async def read_events(suite: Suite, path: str, lines: "asyncio.Queue[str]") -> None:
    """Put the lines of a stream of events into a queue, without the empty ones."""
    async with aiohttp.ClientSession() as http, http.get(f"{suite.http_url}{path}") as answer:
        async for line in answer.content:
            if line.startswith((b"event:", b"data:")):
                await lines.put(line.decode().strip())


@pytest.mark.long
async def test_the_command_follows_queues(suite: Suite, client: Client) -> None:
    """`flowmesh queue watch` prints a line per queue; a declaration shows its arguments."""
    queue = named("followed")
    options = ["--single-active", "--encrypt"]
    done = await command(suite, "queue", "declare", queue, *options)
    assert done.code == 0, done.err
    done = await command(suite, "queue", "publish", queue, "1", "--delay", "2")
    assert done.code == 0, done.err
    done = await command(suite, "queue", "watch", queue, "--seconds", "4")
    assert (done.code, done.lines[-1]) == (0, f"{queue}  1 message"), done.err
    done = await command(suite, "queue", "show", queue)
    assert "single_active, encrypt" in done.out
