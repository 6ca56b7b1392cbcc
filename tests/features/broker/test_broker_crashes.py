"""kill -9 among messages: what was acknowledged to a publisher or by a consumer stays so."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flowmesh.errors import FlowmeshError, Unavailable
from flowmesh.sdk import Client, Outgoing
from flowmesh.sdk.values.messages import PublishOutcome
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

PATIENCE_S = 60
KILLS = int(os.environ.get("FLOWMESH_BROKER_KILLS", "6"))
MESSAGES = int(os.environ.get("FLOWMESH_BROKER_MESSAGES", str(400 * KILLS)))


@pytest.mark.long
@pytest.mark.feature("S4-39")
async def test_messages_survive_the_death_of_everything(tmp_path: Path) -> None:
    """Durable ones come once more, but for those acknowledged; transient ones are gone."""
    suite = Suite(tmp_path / "data")
    async with suite:
        async with Client(suite.grpc_address) as client:
            await client.broker.declare_queue("kept", visibility_timeout=1)
            await client.broker.declare_queue("brief", durable=False)
            for queue in ("kept", "brief"):
                sent = [Outgoing(number, queue) for number in range(300)]
                outcomes = await client.messages.publish_many(sent)
                assert all(each.queues == 1 for each in outcomes)
            found = await client.messages.receive("kept", 100, wait=2)
            await client.messages.ack(*found[:50])
        await suite.kill_everything()
        await suite.start()
        async with Client(suite.grpc_address) as client:
            left: list[Any] = []
            while len(left) < 250:
                more = await client.messages.receive("kept", 100, wait=10)
                await client.messages.ack(*more)
                left += [each.body for each in more]
            assert sorted(left) == list(range(50, 300))
            assert (await client.broker.queue("kept")).depth == 0
            assert (await client.broker.queue("brief")).depth == 0
            await client.messages.publish("again", "brief")
            (again,) = await client.messages.receive("brief", wait=5)
            assert again.body == "again"


async def _publish(client: Client, total: int) -> None:
    """Publish numbers, again with the same ids while the service is away."""
    for start in range(0, total, 20):
        sent = [Outgoing(number, "n", id=f"n-{number}") for number in range(start, start + 20)]
        outcomes: tuple[PublishOutcome, ...] = ()
        while not outcomes or any(each.reason == "SERVICE_UNAVAILABLE" for each in outcomes):
            with suppress(Unavailable):
                outcomes = await client.messages.publish_many(sent, "numbers")
        assert all(each.queues == 2 for each in outcomes), outcomes


CONSUMER = """
import asyncio, sys
from flowmesh.sdk import Client, MessageBroker

async def main(address, path):
    log = open(path, "a", buffering=1)
    async with Client(address) as client, MessageBroker(client) as broker:
        async def handle(body: int) -> None:
            log.write(f"{body}\\n")
        broker.subscribe("streamed", handle, concurrency=50)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


class Consumer:
    """A process that consumes the queue `streamed` and writes down each message it handles."""

    def __init__(self, address: str, log: Path) -> None:
        self._arguments = (sys.executable, "-c", CONSUMER, address, str(log))
        self._log = log
        self._running: list[asyncio.subprocess.Process] = []

    def handled(self) -> list[int]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [int(line) for line in lines]

    async def start(self) -> None:
        self._running.append(await asyncio.create_subprocess_exec(*self._arguments))

    async def kill(self) -> None:
        process = self._running.pop()
        process.kill()
        await process.wait()


async def _replace_service(cluster: Cluster) -> None:
    before = cluster.send("event")

    async def replaced() -> bool:
        return cluster.member("event").pid not in (0, before)

    await until("another event service", replaced, within_s=PATIENCE_S)


async def _replace_nats(cluster: Cluster) -> None:
    before = cluster.pids["nats"]
    os.kill(before, signal.SIGKILL)

    async def replaced() -> bool:
        return cluster.pids["nats"] not in (0, before)

    await until("another NATS server", replaced, within_s=PATIENCE_S)


async def _drained(client: Client) -> bool:
    return not any([(await client.broker.queue(queue)).depth for queue in ("streamed", "called")])


@pytest.mark.long
@pytest.mark.timeout(120 + 20 * KILLS)
@pytest.mark.feature("S3-46", "S1-165", "S1-39")
async def test_deaths_of_service_nats_and_consumer_lose_nothing(tmp_path: Path) -> None:
    """Six kills, or FLOWMESH_BROKER_KILLS, in turn, among publishers and consumers that work on.

    FLOWMESH_BROKER_MESSAGES is the number of messages, 400 a kill unless given.
    """
    total = MESSAGES
    acked: set[int] = set()
    again: list[int] = []
    async with Cluster(tmp_path / "data") as cluster:
        consumer = Consumer(cluster.grpc_address, tmp_path / "handled.txt")

        async def replace_consumer() -> None:
            await consumer.kill()
            await consumer.start()

        replacements: list[Callable[[], Awaitable[None]]] = [
            partial(_replace_service, cluster),
            partial(_replace_nats, cluster),
            replace_consumer,
        ]
        async with Client(cluster.grpc_address) as client:
            await client.broker.declare_exchange("numbers", "topic")
            for queue in ("streamed", "called"):
                await client.broker.declare_queue(queue, max_attempts=1_000, visibility_timeout=2)
                await client.broker.bind(queue, "numbers", "#")
            await consumer.start()

            async def call() -> None:
                while len(acked) < total:
                    try:
                        found = await client.messages.receive("called", 50, wait=1)
                        again.extend(each.body for each in found if each.body in acked)
                        await client.messages.ack(*found)
                    except FlowmeshError:
                        continue  # some may be settled, and none of them is counted
                    acked.update(each.body for each in found)

            publishing = asyncio.create_task(_publish(client, total))
            calling = asyncio.create_task(call())
            try:
                for number in range(KILLS):
                    await replacements[number % len(replacements)]()
                    reached = min(len(set(consumer.handled())) + total // (2 * KILLS), total)

                    async def progressed(wanted: int = reached) -> bool:
                        for task in (publishing, calling):
                            if task.done():
                                task.result()
                        return len(set(consumer.handled())) >= wanted

                    await until("further messages", progressed, within_s=PATIENCE_S)
                await publishing
                await until(
                    "the end of both queues", partial(_drained, client), within_s=PATIENCE_S
                )
            finally:
                await consumer.kill()
                for task in (publishing, calling):
                    task.cancel()
    handled = consumer.handled()
    repeated = len(handled) - len(set(handled))
    print(f"{KILLS} kills, {total} messages: {repeated} repeated of at most {KILLS * 50} in flight")
    assert again == []
    assert sorted(set(handled)) == list(range(total))
    assert repeated <= KILLS * 50
