"""Throughput and latency of the broker, beside RabbitMQ on the same machine in the same run.

`.venv/bin/python benchmarks/broker.py [--messages 20000] [--rounds 3]`: starts a suite, and
RabbitMQ if Debian's package is installed; prints the median of the rounds.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from flowmesh.sdk import Client, MessageBroker, Outgoing
from flowmesh.testing.rabbitmq import SERVER, rabbitmq
from flowmesh.testing.suite import Suite

BODY = b"x" * 200
IN_FLIGHT = 200
BATCH = 100
BATCHES_IN_FLIGHT = 4
PACED = 500
PACE_S = 0.005

Figures = dict[str, float]


async def rate(count: int, in_flight: int, publish: Callable[[int], Awaitable[Any]]) -> float:
    """Calls per second with so many in flight."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await publish(number)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return count / (time.perf_counter() - began)


async def latencies(publish: Callable[[float], Awaitable[Any]], arrived: list[float]) -> Figures:
    """The time from a publish to its handler, of messages at a steady pace."""
    for _ in range(PACED):
        await publish(time.perf_counter())
        await asyncio.sleep(PACE_S)
    while len(arrived) < PACED:  # noqa: ASYNC110 the handlers belong to two libraries
        await asyncio.sleep(0.01)
    found = sorted(each * 1_000 for each in arrived)
    return {"handler_p50_ms": found[len(found) // 2], "handler_p99_ms": found[-len(found) // 100]}


async def of_flowmesh(client: Client, count: int, queue: str) -> Figures:
    found: Figures = {}
    await client.broker.declare_queue(queue)
    async with MessageBroker(client, strict=True) as broker:
        found["published_per_s"] = await rate(
            count, IN_FLIGHT, lambda _: broker.publish(BODY, queue)
        )
        batch = [Outgoing(BODY, queue)] * BATCH
        batches = await rate(
            count // BATCH, BATCHES_IN_FLIGHT, lambda _: client.messages.publish_many(batch)
        )
        found["published_in_batches_per_s"] = batches * BATCH
        stored = (await client.broker.queue(queue)).depth
        done, handled = asyncio.Event(), 0

        async def handle(_: Any) -> None:
            nonlocal handled
            handled += 1
            if handled == stored:
                done.set()

        began = time.perf_counter()
        consuming = broker.subscribe(queue, handle, concurrency=1_000)
        await done.wait()
        found["consumed_per_s"] = stored / (time.perf_counter() - began)
        await consuming.close()
        arrived: list[float] = []

        async def note(body: float) -> None:
            arrived.append(time.perf_counter() - body)

        await broker.subscribe(queue, note).ready()
        found |= await latencies(lambda at: broker.publish(at, queue), arrived)
    await client.broker.delete_queue(queue)
    return found


async def of_rabbitmq(url: str, count: int, name: str) -> Figures:
    import aio_pika

    found: Figures = {}
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        queue = await channel.declare_queue(name, durable=True)
        exchange = channel.default_exchange
        message = aio_pika.Message(BODY, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        found["published_per_s"] = await rate(
            count, IN_FLIGHT, lambda _: exchange.publish(message, name)
        )

        async def publish_batch(_: int) -> None:
            await asyncio.gather(*(exchange.publish(message, name) for _ in range(BATCH)))

        batches = await rate(count // BATCH, BATCHES_IN_FLIGHT, publish_batch)
        found["published_in_batches_per_s"] = batches * BATCH
        declared = await channel.declare_queue(name, passive=True)
        stored = declared.declaration_result.message_count or 0
        await channel.set_qos(1_000)
        done, handled = asyncio.Event(), 0

        async def handle(received: Any) -> None:
            nonlocal handled
            await received.ack()
            handled += 1
            if handled == stored:
                done.set()

        began = time.perf_counter()
        tag = await queue.consume(handle)
        await done.wait()
        found["consumed_per_s"] = stored / (time.perf_counter() - began)
        await queue.cancel(tag)
        arrived: list[float] = []

        async def note(received: Any) -> None:
            arrived.append(time.perf_counter() - float(received.body))
            await received.ack()

        async def publish(at: float) -> None:
            await exchange.publish(aio_pika.Message(str(at).encode()), name)

        await queue.consume(note)
        found |= await latencies(publish, arrived)
        await queue.delete(if_unused=False, if_empty=False)
    return found


async def main(messages: int, rounds: int) -> None:
    figures: dict[str, list[Figures]] = {"flowmesh": [], "rabbitmq": []}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for number in range(rounds):
            async with Suite(folder / f"suite{number}") as suite, Client(suite.grpc_address) as it:
                figures["flowmesh"].append(await of_flowmesh(it, messages, "measured"))
            if SERVER.exists():
                async with rabbitmq(folder / f"rabbitmq{number}") as url:
                    figures["rabbitmq"].append(await of_rabbitmq(url, messages, "measured"))
    shown = {
        system: {
            name: round(statistics.median(each[name] for each in found), 1) for name in found[0]
        }
        for system, found in figures.items()
        if found
    }
    print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.messages, given.rounds))
