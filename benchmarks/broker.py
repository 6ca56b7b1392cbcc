"""Throughput and latency of the broker, beside RabbitMQ on the same machine in the same run.

`.venv/bin/python benchmarks/broker.py [--messages 5000] [--rounds 3] [--write]` starts a suite, and
RabbitMQ if Debian's package is installed, and measures them in turns. It prints the medians, and
writes them into docs/messages.md. No round begins that would exceed three minutes in all.
"""

import argparse
import asyncio
import os
import re
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
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
BUDGET_S = 180
# A measurement that hangs fails.
STEP_S = 60
PAGE = Path(__file__).resolve().parent.parent / "docs" / "messages.md"
BEGIN, END = "<!-- written by benchmarks/broker.py: begin -->", "<!-- end -->"
ROWS = {
    "published_per_s": "confirmed publishes per second, 200 in flight",
    "published_in_batches_per_s": "the same in batches of 100, 4 in flight",
    "consumed_per_s": "messages consumed and acknowledged per second",
    "handler_p50_ms": "publish to handler, p50, ms",
    "handler_p99_ms": "publish to handler, p99, ms",
}

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
    async with asyncio.timeout(STEP_S):
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
        await asyncio.wait_for(done.wait(), STEP_S)
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
        await asyncio.wait_for(done.wait(), STEP_S)
        found["consumed_per_s"] = stored / (time.perf_counter() - began)
        await queue.cancel(tag)
        arrived: list[float] = []

        async def note(received: Any) -> None:
            arrived.append(time.perf_counter() - float(received.body))
            await received.ack()

        async def publish(at: float) -> None:
            await exchange.publish(aio_pika.Message(str(at).encode()), name)

        tag = await queue.consume(note)
        found |= await latencies(publish, arrived)
        await queue.cancel(tag)
        await queue.delete(if_unused=False, if_empty=False)
    return found


async def measured(messages: int, rounds: int) -> dict[str, list[Figures]]:
    """Return the figures of the rounds by system."""
    figures: dict[str, list[Figures]] = {}
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        suite = await stack.enter_async_context(Suite(folder / "suite"))
        client = await stack.enter_async_context(Client(suite.grpc_address))
        url = ""
        if SERVER.exists():
            url = await stack.enter_async_context(rabbitmq(folder / "rabbitmq"))
        for number in range(rounds):
            started = time.monotonic()
            name = f"measured-{number}"
            figures.setdefault("Flowmesh", []).append(await of_flowmesh(client, messages, name))
            if url:
                system = "RabbitMQ 3.10, aio-pika"
                figures.setdefault(system, []).append(await of_rabbitmq(url, messages, name))
            now = time.monotonic()
            if now - began + (now - started) > BUDGET_S:
                break
    return figures


def table(figures: dict[str, list[Figures]]) -> str:
    """Return the medians as a table."""
    lines = [f"| median of {len(figures['Flowmesh'])} rounds | {' | '.join(figures)} |"]
    lines.append(f"|---|{'---:|' * len(figures)}")
    for name, title in ROWS.items():
        medians = [statistics.median(each[name] for each in found) for found in figures.values()]
        digits = 1 if name.endswith("_ms") else 0
        lines.append(f"| {title} | {' | '.join(f'{each:,.{digits}f}' for each in medians)} |")
    return "\n".join(lines)


def write(text: str, note: str) -> None:
    """Replace the figures of the page."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    head = f"Measured on {day}, {os.cpu_count()} cores, bodies of 200 bytes, durable queues"
    found = f"{BEGIN}\n{head}{f'; {note}' if note else ''}.\n\n{text}\n{END}"
    page = PAGE.read_text()
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: found, page, flags=re.DOTALL))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the table into the page")
    parser.add_argument("--note", default="", help="a remark about the machine, for the page")
    given = parser.parse_args()
    result = table(asyncio.run(measured(given.messages, given.rounds)))
    print(result)
    if given.write:
        write(result, given.note)
