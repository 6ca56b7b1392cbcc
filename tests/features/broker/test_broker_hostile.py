"""What the broker refuses: names, keys, headers and sizes at their limits and above, and rings."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from flowmesh.api.broker.v1 import message_pb2, message_service_pb2, message_service_pb2_grpc
from flowmesh.broker import limits
from flowmesh.errors import FlowmeshError, Invalid, NotFound, TooLarge
from flowmesh.sdk import Client, Outgoing
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

from .test_broker import PATIENCE_S, named


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with Client(suite.grpc_address) as opened:
        yield opened


@pytest.mark.parametrize("name", ["", "a>b", "a*", "a b", "nul\0", "𝄞", "x" * 129, "x" * 30_000])
async def test_names_that_are_no_ids_are_refused(client: Client, name: str) -> None:
    """BB1: of queues, exchanges, groups and messages."""
    refused: list[FlowmeshError] = []
    for made in (
        client.broker.declare_queue(name),
        client.broker.declare_exchange(name),
        client.broker.queue(name),
        client.messages.publish(1, "a", id=name or "\0"),
    ):
        with pytest.raises(Invalid) as error:
            await made
        refused.append(error.value)
    assert {each.reason for each in refused} <= {"ID_INVALID", "STRING_HAS_NUL"}
    await client.broker.declare_queue("x" * 128)
    await client.broker.delete_queue("x" * 128)


async def test_keys_and_patterns_have_a_limit(client: Client) -> None:
    """BB2: 255 bytes; the longest pattern of `#` matches and the next one is refused."""
    queue, exchange = named("q"), named("x")
    await client.broker.declare_queue(queue)
    await client.broker.declare_exchange(exchange)
    longest = ".".join(["#"] * 128)
    await client.broker.bind(queue, exchange, longest)
    key = ".".join(["a"] * 128)
    assert (await client.messages.publish(1, key, exchange)).queues == 1
    for many in (f"{longest}.", ".".join(["#"] * 10_000)):
        with pytest.raises(Invalid) as refused:
            await client.broker.bind(queue, exchange, many)
        assert refused.value.reason == "TOPOLOGY_INVALID"
        with pytest.raises(Invalid) as long:
            await client.messages.publish(1, many, exchange)
        assert long.value.reason == "MESSAGE_INVALID"


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({f"h{n}": n for n in range(limits.HEADERS_MAX + 1)}, "at most 64"),
        ({f"h{n}": n for n in range(100 * limits.HEADERS_MAX)}, "at most 64"),
        ({"h": "x" * limits.HEADERS_BYTES_MAX}, "at most 16,384"),
        ({"Nats-TTL": "1s"}, "reserved"),
        ({"fm-death-reason": "none"}, "reserved"),
        ({"a\r\nb": 1}, "printable"),
        ({"": 1}, "printable"),
        ({"h": "nul\0"}, "NUL"),
    ],
)
async def test_headers_are_bounded_and_some_reserved(
    client: Client, headers: dict[str, Any], problem: str
) -> None:
    """BB3."""
    with pytest.raises(Invalid) as refused:
        await client.messages.publish(1, "a", headers=headers)
    assert refused.value.reason == "MESSAGE_INVALID"
    assert problem in refused.value.message


async def test_bodies_and_batches_have_a_limit(suite: Suite, client: Client) -> None:
    """BB4: the largest inline and stored bodies, and batches of 500; one more is refused."""
    queue = named("large")
    await client.broker.declare_queue(queue)
    largest = b"\0" * limits.BODY_BYTES_MAX
    await client.messages.publish(largest, queue)
    (stored,) = await client.messages.browse(queue)
    assert stored.body == largest
    with pytest.raises(TooLarge) as refused:
        await client.messages.publish(b"\0" * (limits.REFERENCED_BYTES_MAX + 1), queue)
    assert refused.value.reason == "PAYLOAD_TOO_LARGE"
    sent = [message_pb2.Message(routing_key=queue)] * (limits.BATCH_MESSAGES_MAX + 1)
    request = message_service_pb2.PublishRequest(messages=sent)
    async with grpc.aio.insecure_channel(suite.grpc_address) as channel:
        stub = message_service_pb2_grpc.MessageServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as many:
            await stub.Publish(request)
        assert "501 messages" in str(many.value.details())
        for size in (limits.BODY_BYTES_MAX + 1, 4 * limits.BODY_BYTES_MAX - 1):
            large = message_pb2.Message(routing_key=queue, body=b"\0" * size)
            (outcome,) = (
                await stub.Publish(message_service_pb2.PublishRequest(messages=[large]))
            ).outcomes
            assert outcome.reason == "PAYLOAD_TOO_LARGE"
        del request.messages[-1]
        outcomes = (await stub.Publish(request)).outcomes
        assert len(outcomes) == limits.BATCH_MESSAGES_MAX


async def test_a_ring_of_dead_letter_queues_ends(client: Client) -> None:
    """BB6: each queue of the ring gives the message up once, then it is dropped."""
    first, second = named("first"), named("second")
    own = named("own")
    await client.broker.declare_queue(second, dead_letter_queue=first)
    await client.broker.delete_queue(first)
    await client.broker.declare_queue(first, dead_letter_queue=second)
    await client.broker.declare_queue(own, dead_letter_queue=own)
    for queue in (first, own):
        await client.messages.publish("round", queue)
        seen: list[str] = []
        for _ in range(3):
            for each in (first, second, own):
                for message in await client.messages.receive(each):
                    seen.append(each)
                    await client.messages.reject(message)
        assert len(seen) == 2, seen
        for each in (first, second, own):
            assert (await client.broker.queue(each)).depth == 0


async def test_a_cycle_of_exchanges_ends(client: Client) -> None:
    """BB5: ten exchanges that all lead to each other, and one queue: a message reaches it once."""
    queue, exchanges = named("q"), [named(f"x{n}") for n in range(10)]
    await client.broker.declare_queue(queue)
    for name in exchanges:
        await client.broker.declare_exchange(name, "fanout")
    for before, after in zip(exchanges, exchanges[1:] + exchanges[:1], strict=True):
        await client.broker.bind_exchange(after, before)
        await client.broker.bind_exchange(before, after)
    await client.broker.bind(queue, exchanges[5])
    assert (await client.messages.publish(1, "", exchanges[0])).queues == 1
    assert len(await client.messages.browse(queue)) == 1


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_namespace_full_of_queues_and_bindings_still_routes(suite: Suite) -> None:
    """BB5: 1,000 queues and 10,000 bindings, one more of each is refused; a fan-out to all."""
    gate = asyncio.Semaphore(16)
    async with Client(suite.grpc_address, "crowded") as client:

        async def bounded(call: Any) -> None:
            async with gate:
                await call

        names = [f"q{n}" for n in range(limits.QUEUES_MAX)]
        small: Any = {"durable": False, "max_size": 10, "max_bytes": 10_000}
        await asyncio.gather(
            *(bounded(client.broker.declare_queue(name, **small)) for name in names)
        )
        for kind in ("fanout", "topic"):
            await client.broker.declare_exchange(kind, kind)
        bindings = [client.broker.bind(name, "fanout") for name in names]
        bindings += [
            client.broker.bind(names[n % 1_000], "topic", f"a.{n}.#")
            for n in range(limits.BINDINGS_MAX - len(names))
        ]
        await asyncio.gather(*(bounded(each) for each in bindings))
        for more in (
            client.broker.declare_queue("one-more"),
            client.broker.bind("q0", "topic", "one.more"),
        ):
            with pytest.raises(TooLarge) as refused:
                await more
            assert refused.value.reason == "TOPOLOGY_TOO_LARGE"
        assert (await client.messages.publish(1, "", "fanout")).queues == len(names)
        assert (await client.messages.publish(1, "a.8999.x", "topic")).queues == 1
        assert (await client.broker.queue("q999")).depth == 2
        await client.broker.delete_queue("q999")
        assert await client.broker.declare_queue("one-more", **small)
        with pytest.raises(TooLarge):
            await client.broker.declare_queue("q999", **small)
        names[-1] = "one-more"
        await asyncio.gather(*(bounded(client.broker.delete_queue(name)) for name in names))


@pytest.mark.long
async def test_a_redrive_is_stopped_and_resumed(client: Client) -> None:
    """BB9: of FLOWMESH_BROKER_REDRIVE messages; each is moved once, in order."""
    count = int(os.environ.get("FLOWMESH_BROKER_REDRIVE", "20000"))
    queue, dead = named("work"), named("dead")
    for name in (queue, dead):
        await client.broker.declare_queue(name, max_size=count)
    for start in range(0, count, 5_000):
        numbers = range(start, min(count, start + 5_000))
        await client.messages.publish_many([Outgoing(n, dead) for n in numbers])
    moving = asyncio.create_task(client.messages.redrive(dead, to=queue))

    async def begun() -> bool:
        return (await client.broker.queue(queue)).depth >= count // 10

    await until("a tenth of the messages", begun, within_s=600)
    moving.cancel()
    await asyncio.gather(moving, return_exceptions=True)
    assert (await client.broker.queue(dead)).depth > 0
    await client.messages.redrive(dead, to=queue)
    assert (await client.broker.queue(dead)).depth == 0
    found = [each.body async for each in client.messages.browse_all(queue)]
    assert found == list(range(count))


async def test_receipts_settle_their_own_delivery_only(client: Client) -> None:
    """BB7: a made up one, one of another queue, and a second time are stale."""
    queue, other = named("q"), named("other")
    for each in (queue, other):
        await client.broker.declare_queue(each)
    await client.messages.publish(1, queue)
    (message,) = await client.messages.receive(queue, wait=2)
    call = message_service_pb2_grpc.MessageServiceStub(client.caller.channel).Settle

    async def settled(name: str, receipt: str) -> str:
        settlement = message_service_pb2.Settlement(receipt=receipt, ack=True)
        request = message_service_pb2.SettleRequest(queue=name, settlements=[settlement])
        (outcome,) = (await call(request)).outcomes
        return str(outcome.reason)

    assert await settled(other, message.receipt) == "STALE_DELIVERY"
    for made in ("", "x", "A" * 200, "é", message.receipt[:-2], "A" * 5_000):
        assert await settled(queue, made) == "STALE_DELIVERY"
    assert await settled(queue, message.receipt) == ""
    assert await settled(queue, message.receipt) == "STALE_DELIVERY"


async def test_a_consumer_without_credit_or_acknowledgment_holds_only_its_own(
    client: Client,
) -> None:
    """BB8: it gets as much as its credit, and the others are delivered to another consumer."""
    queue = named("q")
    await client.broker.declare_queue(queue, visibility_timeout=600)
    sent = [Outgoing(number, queue) for number in range(20)]
    await client.messages.publish_many(sent)
    stub = message_service_pb2_grpc.MessageServiceStub(client.caller.channel)
    stuck: Any = stub.Consume()
    hello = message_service_pb2.ConsumeHello(queue=queue, credit=5)
    await stuck.write(message_service_pb2.ConsumeRequest(hello=hello))
    held: set[str] = set()
    while len(held) < 5:
        held |= {each.message.message_id for each in (await stuck.read()).deliveries}
    found = await client.messages.receive(queue, 100, wait=2)
    await client.messages.ack(*found)
    assert len(found) == 15
    assert held.isdisjoint(each.id for each in found)
    await stuck.write(message_service_pb2.ConsumeRequest(acks=[1, 99, 1]))
    response = await stuck.read()
    assert (list(response.settled), sorted(response.stale)) == ([1], [1, 99])
    stuck.cancel()
    again: list[Any] = []

    async def returned() -> bool:
        again.extend(await client.messages.receive(queue, 100, wait=1))
        return len(again) == 4

    await until("the messages of the stream that broke", returned, within_s=PATIENCE_S)


async def test_a_consumer_that_never_reads_holds_its_credit_until_it_ends(client: Client) -> None:
    """BB8: of large messages it gets as many as its credit; they return when its stream breaks."""
    queue = named("q")
    await client.broker.declare_queue(queue, visibility_timeout=600)
    stub = message_service_pb2_grpc.MessageServiceStub(client.caller.channel)
    stuck: Any = stub.Consume()
    hello = message_service_pb2.ConsumeHello(queue=queue, credit=20)
    await stuck.write(message_service_pb2.ConsumeRequest(hello=hello))
    assert (await stuck.read()).subscribed
    body = b"\0" * (limits.BODY_BYTES_MAX - 1)
    for _ in range(30):
        await client.messages.publish(body, queue)

    async def full() -> bool:
        return (await client.broker.queue(queue)).in_flight == 20

    await until("the credit of the consumer", full, within_s=PATIENCE_S)
    got: list[Any] = []

    async def received(count: int) -> bool:
        found = await client.messages.receive(queue, 100, wait=1)
        await client.messages.ack(*found)
        got.extend(found)
        return len(got) == count

    await until("the others", lambda: received(10), within_s=PATIENCE_S)
    assert (await client.broker.queue(queue)).in_flight == 20
    stuck.cancel()
    await until("those of the stream", lambda: received(30), within_s=PATIENCE_S)
    assert all(each.body == body for each in got)


@pytest.mark.parametrize("credit", [limits.CREDIT_MAX + 1, 100 * limits.CREDIT_MAX])
async def test_a_stream_of_a_consumer_begins_with_a_valid_hello(
    client: Client, credit: int
) -> None:
    """Without one, with too much credit, and for a queue that does not exist."""
    stub = message_service_pb2_grpc.MessageServiceStub(client.caller.channel)
    queue = named("q")
    await client.broker.declare_queue(queue)
    hellos = {
        "HELLO_INVALID": message_service_pb2.ConsumeHello(queue=queue, credit=credit),
        "QUEUE_NOT_FOUND": message_service_pb2.ConsumeHello(queue=named("missing"), credit=1),
        "GROUP_INVALID": message_service_pb2.ConsumeHello(queue=queue, credit=1, group="g"),
    }
    for reason, hello in hellos.items():
        call = stub.Consume()
        await call.write(message_service_pb2.ConsumeRequest(hello=hello))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert reason in str(refused.value.trailing_metadata())
    call = stub.Consume()
    await call.write(message_service_pb2.ConsumeRequest(acks=[1]))
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()


async def test_a_subscription_ends_with_its_queue(client: Client) -> None:
    """The stream of a deleted queue ends with QUEUE_NOT_FOUND."""
    queue = named("q")
    await client.broker.declare_queue(queue)
    stub = message_service_pb2_grpc.MessageServiceStub(client.caller.channel)
    call: Any = stub.Consume()
    hello = message_service_pb2.ConsumeHello(queue=queue, credit=1)
    await call.write(message_service_pb2.ConsumeRequest(hello=hello))
    assert (await call.read()).subscribed
    await client.broker.delete_queue(queue)
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        async with asyncio.timeout(PATIENCE_S):
            await call.read()
    assert "QUEUE_NOT_FOUND" in str(ended.value.trailing_metadata())
    with pytest.raises(NotFound):
        await client.messages.receive(queue)


async def test_a_declaration_names_the_argument_that_is_wrong(client: Client) -> None:
    """Bounds, contradictions and schemas."""
    wrong: dict[str, dict[str, Any]] = {
        "max_size": {"max_size": limits.SIZE_MAX + 1},
        "max_priority": {"max_priority": 10},
        "retry.max_attempts": {"max_attempts": 1_001},
        "visibility_timeout_ms": {"visibility_timeout": 0.05},
        "overflow": {"overflow": "dead_letter"},
        "on_expiry": {"on_expiry": "dead_letter"},
        "schema": {"schema": {"type": "nothing"}},
    }
    for field, options in wrong.items():
        with pytest.raises(Invalid) as refused:
            await client.broker.declare_queue(named("q"), **options)
        assert refused.value.reason == "TOPOLOGY_INVALID"
        assert [each.field for each in refused.value.violations] == [field]
    with pytest.raises(Invalid) as stream:
        await client.broker.declare_queue(named("q"), stream=True, max_priority=1)
    assert stream.value.reason == "TOPOLOGY_INVALID"
