"""Messages of users: exchanges route, queues keep, consumers get each message until they settle."""

import asyncio
import time
import uuid
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.errors import Invalid, NotFound, Overloaded, WrongState
from flowmesh.sdk import Client, Message, MessageBroker, Outgoing, Reject
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

PATIENCE_S = 20


def named(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def broker(suite: Suite) -> AsyncIterator[MessageBroker]:
    async with Client(suite.grpc_address) as client, MessageBroker(client, strict=True) as opened:
        yield opened


async def bodies(broker: MessageBroker, queue: str) -> list[Any]:
    """The bodies of the stored messages."""
    return [each.body async for each in broker.client.messages.browse_all(queue)]


async def taken(broker: MessageBroker, queue: str, count: int = 100) -> list[Message]:
    """Messages received in one call, and acknowledged."""
    found = await broker.client.messages.receive(queue, count, wait=2)
    await broker.client.messages.ack(*found)
    return list(found)


@pytest.mark.feature("S4-40", "S4-51", "S4-68", "S3-45")
async def test_a_message_goes_from_its_publisher_to_a_handler(broker: MessageBroker) -> None:
    """Over an exchange, a binding and a queue, as the pipeline of the requirements does."""
    queue, exchange = named("processed"), named("processing")
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    await broker.declare_queue(name=queue, max_size=1000, durable=True, dead_letter_queue="dlq")
    await broker.declare_exchange(exchange, "topic")
    await broker.bind(queue, exchange, "data.#")
    broker.subscribe(queue, arrived.put)
    await broker.publish(body={"data": "process_this"}, routing_key="data.raw", exchange=exchange)
    async with asyncio.timeout(PATIENCE_S):
        assert await arrived.get() == {"data": "process_this"}

    async def empty() -> bool:
        return (await broker.client.broker.queue(queue)).depth == 0

    await until("the acknowledgment", empty, within_s=PATIENCE_S)


@pytest.mark.feature("S4-33", "S4-34", "S4-35", "S3-47", "S3-48")
async def test_each_type_of_exchange_leads_where_its_bindings_say(broker: MessageBroker) -> None:
    """Direct by the key, fanout to all, topic by patterns, headers by typed values."""
    a, b = named("a"), named("b")
    for queue in (a, b):
        await broker.declare_queue(queue)
    names = {kind: named(kind) for kind in ("direct", "fanout", "topic", "headers")}
    for kind, name in names.items():
        await broker.declare_exchange(name, kind)  # type: ignore[arg-type]
    await broker.bind(a, names["direct"], "one")
    await broker.bind(b, names["direct"], "two")
    for queue in (a, b):
        await broker.bind(queue, names["fanout"])
    await broker.bind(a, names["topic"], "data.*")
    await broker.bind(b, names["topic"], "#")
    await broker.bind(a, names["headers"], headers={"kind": "pdf", "pages": 2}, match="all")
    await broker.bind(b, names["headers"], headers={"kind": "pdf", "pages": 2}, match="any")

    await broker.publish(1, "one", names["direct"])
    await broker.publish(2, "", names["fanout"])
    await broker.publish(3, "data.raw", names["topic"])
    await broker.publish(4, "data.x.raw", names["topic"])
    await broker.publish(5, "", names["headers"], headers={"kind": "pdf", "pages": 2})
    await broker.publish(6, "", names["headers"], headers={"kind": "pdf", "pages": "2"})
    await broker.publish(7, "", names["headers"], headers={"kind": "png"})
    assert await bodies(broker, a) == [1, 2, 3, 5]
    assert await bodies(broker, b) == [2, 3, 4, 5, 6]


async def test_a_message_reaches_a_queue_once_however_many_paths_lead_there(
    broker: MessageBroker,
) -> None:
    """Over two bindings, another exchange, a cycle, and an alternate for what matches nothing."""
    queue, lost = named("q"), named("lost")
    first, second, spare = named("x"), named("y"), named("z")
    for each in (queue, lost):
        await broker.declare_queue(each)
    await broker.declare_exchange(spare, "fanout")
    await broker.declare_exchange(first, "topic", alternate=spare)
    await broker.declare_exchange(second, "topic")
    await broker.bind(lost, spare)
    for key in ("a.*", "a.#", "#"):
        await broker.bind(queue, second, key)
    await broker.client.broker.bind_exchange(second, first, "a.#")
    await broker.client.broker.bind_exchange(first, second, "#")
    outcome = await broker.publish("in", "a.b", first)
    assert outcome is not None
    assert outcome.queues == 1
    await broker.publish("out", "b", first)
    assert await bodies(broker, queue) == ["in"]
    assert await bodies(broker, lost) == ["out"]


@pytest.mark.feature("S4-36", "S4-92")
async def test_higher_priorities_come_first(broker: MessageBroker) -> None:
    """In the order of publication within a priority."""
    queue = named("urgent")
    await broker.declare_queue(queue, max_priority=9)
    for number, priority in enumerate((0, 5, 9, 0, 9)):
        await broker.publish(number, queue, priority=priority)
    assert [each.body for each in await taken(broker, queue)] == [2, 4, 1, 0, 3]


@pytest.mark.feature("S4-37", "S4-38", "S3-46")
async def test_a_failing_message_is_retried_and_becomes_a_dead_letter_once(
    broker: MessageBroker,
) -> None:
    """Its attempts grow further apart; its body, its reason and its error are kept."""
    queue, dead = named("work"), named("dead")
    await broker.declare_queue(
        queue, dead_letter_queue=dead, max_attempts=3, retry_delay=0.2, retry_factor=2
    )
    attempts: list[tuple[int, float]] = []

    async def fails(body: Any, message: Message) -> None:
        attempts.append((message.attempt, time.monotonic()))
        raise RuntimeError("no luck")

    broker.subscribe(queue, fails)
    await broker.publish({"n": 1}, queue)

    async def buried() -> bool:
        return (await broker.client.broker.queue(dead)).depth == 1

    await until("the dead letter", buried, within_s=PATIENCE_S)
    assert [number for number, _ in attempts] == [1, 2, 3]
    first, second = (attempts[at + 1][1] - attempts[at][1] for at in (0, 1))
    assert 0.2 <= first < second
    (letter,) = await broker.client.messages.browse(dead)
    assert letter.body == {"n": 1}
    assert letter.death is not None
    assert (letter.death.reason, letter.death.queue) == ("attempts", queue)
    assert letter.death.error == "RuntimeError: no luck"
    assert (await broker.client.broker.queue(queue)).depth == 0


@pytest.mark.feature("S4-37")
async def test_dead_letters_are_redriven_to_where_they_died(broker: MessageBroker) -> None:
    """A handler rejects at once; what is redriven is delivered as new, by reason or all."""
    queue = named("work")
    dead = f"{queue}.dlq"
    await broker.declare_queue(queue, dead_letter_queue=True)
    rejecting = True
    handled: list[Any] = []

    async def handle(body: Any) -> None:
        if rejecting:
            raise Reject("not today")
        handled.append(body)

    broker.subscribe(queue, handle)
    async with broker.batch():
        for number in range(5):
            await broker.publish(number, queue)

    async def depth_of(name: str, wanted: int) -> bool:
        return (await broker.client.broker.queue(name)).depth == wanted

    await until("five letters", lambda: depth_of(dead, 5), within_s=PATIENCE_S)
    none = await broker.client.messages.redrive(dead, reason="expired")
    assert (none.moved, none.kept) == (0, 0)
    rejecting = False
    assert (await broker.client.messages.redrive(dead)).moved == 5
    await until("their handling", lambda: depth_of(queue, 0), within_s=PATIENCE_S)
    assert sorted(handled) == [0, 1, 2, 3, 4]
    assert await bodies(broker, dead) == []


@pytest.mark.long
@pytest.mark.feature("S4-68")
@pytest.mark.parametrize("overflow", ["reject", "drop_oldest", "dead_letter"])
async def test_a_full_queue_does_as_declared(broker: MessageBroker, overflow: Any) -> None:
    """Exactly five of 1,005 messages are refused, dropped from the front, or dead letters."""
    queue, dead = named("small"), named("dead")
    await broker.declare_queue(queue, 1_000, dead_letter_queue=dead, overflow=overflow)
    sent = [Outgoing(number, queue) for number in range(1_005)]
    outcomes = await broker.client.messages.publish_many(sent)
    held, letters = await bodies(broker, queue), await bodies(broker, dead)
    refused = [each.reason for each in outcomes if each.reason]
    assert len(held) == 1_000
    if overflow == "reject":
        assert refused == ["QUEUE_FULL"] * 5
        with pytest.raises(Overloaded):
            await broker.publish("more", queue)
    elif overflow == "drop_oldest":
        assert (refused, held[0], held[-1]) == ([], 5, 1_004)
    else:
        assert (refused, letters) == ([], [1_000, 1_001, 1_002, 1_003, 1_004])


@pytest.mark.feature("S4-94")
@pytest.mark.parametrize("on_expiry", ["drop", "dead_letter"])
async def test_messages_expire_as_declared(broker: MessageBroker, on_expiry: Any) -> None:
    """By the time of the queue or of the message; an expired one is delivered to nobody."""
    queue, dead = named("brief"), named("dead")
    await broker.declare_queue(queue, dead_letter_queue=dead, message_ttl=30, on_expiry=on_expiry)
    await broker.publish("short", queue, ttl=0.3)
    await broker.publish("long", queue)

    async def expired() -> bool:
        return (await bodies(broker, queue)) == ["long"]

    await until("the expiry", expired, within_s=PATIENCE_S)
    assert [each.body for each in await taken(broker, queue)] == ["long"]
    letters = await broker.client.messages.browse(dead)
    reasons = [each.death.reason for each in letters if each.death]
    assert reasons == ([] if on_expiry == "drop" else ["expired"])


@pytest.mark.feature("S3-46")
async def test_an_unsettled_message_is_delivered_again(broker: MessageBroker) -> None:
    """After its visibility timeout; the receipt of the first delivery is then stale."""
    queue = named("slow")
    await broker.declare_queue(queue, visibility_timeout=0.5)
    messages = broker.client.messages
    await broker.publish("once", queue)
    (first,) = await messages.receive(queue, wait=1)
    (second,) = await messages.receive(queue, wait=10)
    assert (first.attempt, second.attempt, second.id) == (1, 2, first.id)
    with pytest.raises(WrongState) as stale:
        await messages.ack(first)
    assert stale.value.reason == "STALE_DELIVERY"
    await messages.ack(second)
    with pytest.raises(WrongState):
        await messages.ack(second)
    assert await bodies(broker, queue) == []


@pytest.mark.long
@pytest.mark.feature("S1-165")
async def test_a_handler_longer_than_the_timeout_gets_its_message_once(
    broker: MessageBroker,
) -> None:
    """The subscription extends the visibility while the handler runs."""
    queue, timer = named("long"), named("timer")
    messages = broker.client.messages
    await broker.declare_queue(queue, visibility_timeout=2.5)
    await broker.declare_queue(timer)
    await broker.publish("tick", timer)
    runs = 0
    later = asyncio.Event()

    async def handle(body: Any) -> None:
        nonlocal runs
        runs += 1
        await later.wait()

    broker.subscribe(queue, handle)
    await broker.publish("once", queue)
    await messages.nack(*await messages.receive(timer, wait=2), delay=4)
    assert await messages.receive(timer, wait=PATIENCE_S)
    later.set()

    async def empty() -> bool:
        return (await broker.client.broker.queue(queue)).depth == 0

    await until("the acknowledgment", empty, within_s=PATIENCE_S)
    assert runs == 1


@pytest.mark.feature("S4-93")
async def test_messages_are_published_and_consumed_in_batches(broker: MessageBroker) -> None:
    """A repeated id is stored once."""
    queue = named("many")
    await broker.declare_queue(queue)
    sent = [Outgoing(number, queue, id=f"{queue}-{number}") for number in range(700)]
    first = await broker.client.messages.publish_many(sent)
    again = await broker.client.messages.publish_many(sent)
    assert [each.duplicate for each in first] == [False] * 700
    assert [each.duplicate for each in again] == [True] * 700
    seen: list[Any] = []
    async for batch in broker.batches(queue, 200):
        assert len(batch) <= 200
        seen += [each.body for each in batch]
        if len(seen) == 700:
            break
    assert seen == list(range(700))


async def test_each_group_of_a_stream_reads_all_of_it(broker: MessageBroker) -> None:
    """From the beginning, from now on, and again from a position."""
    stream = named("log")
    await broker.declare_queue(stream, stream=True)
    messages = broker.client.messages
    for number in range(3):
        await broker.publish(number, stream)

    async def read(group: str) -> list[Any]:
        found = await messages.receive(stream, 10, wait=1, group=group)
        await messages.ack(*found)
        return [each.body for each in found]

    assert await read("audit") == [0, 1, 2]
    assert await read("billing") == [0, 1, 2]
    assert await read("audit") == []
    await messages.seek(stream, "audit", sequence=2)
    assert await read("audit") == [1, 2]
    await messages.seek(stream, "late", latest=True)
    await broker.publish(3, stream)
    assert await read("late") == [3]
    assert (await broker.client.broker.queue(stream)).groups == {
        "audit": 1,
        "billing": 1,
        "late": 0,
    }
    with pytest.raises(Invalid) as refused:
        await messages.receive(stream)
    assert refused.value.reason == "GROUP_INVALID"


async def test_a_body_has_to_fit_the_schema_of_its_queue(broker: MessageBroker) -> None:
    """The refusal names the place; nothing is stored in any queue."""
    strict, loose, exchange = named("strict"), named("loose"), named("x")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    await broker.declare_queue(strict, schema=schema)
    await broker.declare_queue(loose)
    await broker.declare_exchange(exchange, "fanout")
    for queue in (strict, loose):
        await broker.bind(queue, exchange)
    with pytest.raises(Invalid) as refused:
        await broker.publish({"n": "one"}, "", exchange)
    assert refused.value.reason == "MESSAGE_INVALID"
    assert "body.n" in refused.value.message
    await broker.publish({"n": 1}, "", exchange)
    assert await bodies(broker, loose) == await bodies(broker, strict) == [{"n": 1}]


async def test_a_declaration_with_other_arguments_is_refused(broker: MessageBroker) -> None:
    """The same one changes nothing, another names the argument."""
    queue, exchange = named("q"), named("x")
    assert await broker.declare_queue(queue, 10)
    assert not await broker.declare_queue(queue, 10)
    with pytest.raises(WrongState) as differs:
        await broker.declare_queue(queue, 11)
    assert differs.value.reason == "QUEUE_DIFFERS"
    assert "max_size is 10, not 11" in differs.value.message
    await broker.declare_exchange(exchange, "topic")
    with pytest.raises(WrongState) as other:
        await broker.declare_exchange(exchange, "direct")
    assert other.value.reason == "EXCHANGE_DIFFERS"


async def test_what_is_not_declared_is_refused_or_declared_with_a_warning(
    broker: MessageBroker,
) -> None:
    """A strict broker refuses; MessageBroker() declares the exchange, as the requirements need."""
    exchange, queue = named("x"), named("q")
    with pytest.raises(NotFound) as missing:
        await broker.publish(1, "a", exchange)
    assert missing.value.reason == "EXCHANGE_NOT_FOUND"
    lenient = MessageBroker(broker.client)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await lenient.publish(1, "a", exchange)
        subscription = lenient.subscribe(queue, lambda body: None)
        await subscription.ready()
    assert {exchange in str(each.message) for each in caught} == {True, False}
    assert {each.name for each in await broker.client.broker.exchanges()} >= {exchange}
    await lenient.close()
    with pytest.raises(NotFound) as unroutable:
        await broker.publish(1, "a", exchange, mandatory=True)
    assert unroutable.value.reason == "UNROUTABLE"
