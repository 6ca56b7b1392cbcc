"""Routing compared with RabbitMQ: the same bindings and messages lead to the same queues."""

import asyncio
import os
from pathlib import Path
from random import Random
from typing import Any

import aio_pika
import pytest

from flowmesh.sdk import Client, Outgoing
from flowmesh.testing.rabbitmq import rabbitmq
from flowmesh.testing.suite import Suite
from tests.features.broker.oracle import needs_rabbitmq

SEED = int(os.environ.get("FLOWMESH_BROKER_SEED", "1"))
MESSAGES = 5_000
QUEUES = 60
WORDS = ("a", "b", "c", "")
VALUES: tuple[Any, ...] = (1, 2, "1", "x", 1.5, 1.0, True, False)
NAMES = ("kind", "pages", "x-key", "lang")
MATCHES = ("all", "any", "all-with-x", "any-with-x")


def pattern(random: Random) -> str:
    return ".".join(random.choice((*WORDS, "*", "#")) for _ in range(random.randrange(5)))


def key(random: Random) -> str:
    return ".".join(random.choice(WORDS) for _ in range(random.randrange(6)))


def some_headers(random: Random, names: int) -> dict[str, Any]:
    return {name: random.choice(VALUES) for name in random.sample(NAMES, random.randrange(names))}


class Case:
    """Bindings of a topic and a headers exchange, and messages for both."""

    def __init__(self, random: Random) -> None:
        self.patterns = [(n, pattern(random)) for n in range(QUEUES) for _ in range(2)]
        self.arguments = [
            (n, some_headers(random, 4), random.choice(MATCHES)) for n in range(QUEUES)
        ]
        self.keys = [key(random) for _ in range(MESSAGES)]
        self.headers = [some_headers(random, 5) for _ in range(MESSAGES)]


async def routed_by_rabbitmq(url: str, case: Case) -> dict[str, list[int]]:
    """The numbers of the messages in each queue."""
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        topic = await channel.declare_exchange("topic", aio_pika.ExchangeType.TOPIC)
        headers = await channel.declare_exchange("headers", aio_pika.ExchangeType.HEADERS)
        queues = {
            f"{kind}{n}": await channel.declare_queue(f"{kind}{n}")
            for kind in ("t", "h")
            for n in range(QUEUES)
        }
        for n, words in case.patterns:
            await queues[f"t{n}"].bind(topic, words)
        for n, given, match in case.arguments:
            await queues[f"h{n}"].bind(headers, arguments={**given, "x-match": match})
        for start in range(0, MESSAGES, 500):
            sent = []
            for number in range(start, start + 500):
                body = str(number).encode()
                sent.append(topic.publish(aio_pika.Message(body), case.keys[number]))
                message = aio_pika.Message(body, headers=case.headers[number])
                sent.append(headers.publish(message, ""))
            await asyncio.gather(*sent)
        return await stored(channel, queues)


async def stored(channel: Any, queues: dict[str, Any]) -> dict[str, list[int]]:
    """The bodies in each queue of RabbitMQ."""
    found: dict[str, list[int]] = {name: [] for name in queues}
    left, done = 0, asyncio.Event()
    for name in queues:
        declared = await channel.declare_queue(name, passive=True)
        left += declared.declaration_result.message_count

    def taker(name: str) -> Any:
        async def take(message: Any) -> None:
            nonlocal left
            found[name].append(int(message.body))
            left -= 1
            if not left:
                done.set()

        return take

    for name, queue in queues.items():
        await queue.consume(taker(name), no_ack=True)
    await done.wait()
    return found


async def routed_by_flowmesh(client: Client, case: Case) -> dict[str, list[int]]:
    names = [f"{kind}{n}" for kind in ("t", "h") for n in range(QUEUES)]
    for name in names:
        await client.broker.declare_queue(name)
    await client.broker.declare_exchange("topic", "topic")
    await client.broker.declare_exchange("headers", "headers")
    for n, words in case.patterns:
        await client.broker.bind(f"t{n}", "topic", words)
    for n, given, match in case.arguments:
        await client.broker.bind(
            f"h{n}",
            "headers",
            headers=given,
            match=match,  # type: ignore[arg-type]
        )
    topics = [Outgoing(number, words) for number, words in enumerate(case.keys)]
    headed = [Outgoing(number, headers=given) for number, given in enumerate(case.headers)]
    await client.messages.publish_many(topics, "topic")
    await client.messages.publish_many(headed, "headers")
    return {name: [each.body async for each in client.messages.browse_all(name)] for name in names}


@pytest.mark.long
@pytest.mark.timeout(400)
@needs_rabbitmq
@pytest.mark.feature("S4-33", "S4-34", "S4-35", "S3-47")
async def test_messages_go_where_rabbitmq_leads_them(suite: Suite, tmp_path: Path) -> None:
    """10,000 messages with random keys and headers, 180 random bindings, empty words included."""
    case = Case(Random(SEED))
    async with (
        rabbitmq(tmp_path / "rabbitmq") as url,
        Client(suite.grpc_address, "rabbitmq") as client,
    ):
        expected, found = await asyncio.gather(
            routed_by_rabbitmq(url, case), routed_by_flowmesh(client, case)
        )
    assert sum(len(each) for each in expected.values()) > MESSAGES
    wrong = {
        name: (sorted(set(numbers) ^ set(found[name]))[:5])
        for name, numbers in expected.items()
        if sorted(numbers) != sorted(found[name])
    }
    assert not wrong
