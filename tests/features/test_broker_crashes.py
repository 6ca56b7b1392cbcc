"""kill -9 among messages: what was acknowledged to a publisher or by a consumer stays so."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flowmesh.errors import FlowmeshError, Unavailable
from flowmesh.sdk import Client, MessageBroker, Outgoing
from flowmesh.sdk.messaging.values import PublishOutcome
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

PATIENCE_S = 60
KILLS = int(os.environ.get("FLOWMESH_BROKER_KILLS", "5"))


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
        while not outcomes:
            with suppress(Unavailable):
                outcomes = await client.messages.publish_many(sent, "numbers")
        assert all(each.queues == 2 for each in outcomes), outcomes


@pytest.mark.long
@pytest.mark.timeout(120 + 20 * KILLS)
@pytest.mark.feature("S3-46", "S1-165", "S1-39")
async def test_the_death_of_the_service_loses_and_repeats_nothing_acknowledged(
    tmp_path: Path,
) -> None:
    """Five kills, or FLOWMESH_BROKER_KILLS, among publishers and consumers that keep working."""
    total = 400 * KILLS
    handled: dict[int, int] = {}
    acked: set[int] = set()
    again: list[int] = []
    async with Cluster(tmp_path / "data") as cluster:
        address = cluster.grpc_address
        async with Client(address) as client, MessageBroker(client) as broker:
            await broker.declare_exchange("numbers", "topic")
            for queue in ("streamed", "called"):
                await broker.declare_queue(queue, max_attempts=1_000, visibility_timeout=2)
                await broker.bind(queue, "numbers", "#")

            async def handle(body: int) -> None:
                handled[body] = handled.get(body, 0) + 1

            async def call() -> None:
                while len(acked) < total:
                    try:
                        found = await client.messages.receive("called", 50, wait=1)
                        again.extend(each.body for each in found if each.body in acked)
                        await client.messages.ack(*found)
                    except FlowmeshError:
                        continue  # some may be settled, and none of them is counted
                    acked.update(each.body for each in found)

            broker.subscribe("streamed", handle, concurrency=50)
            tasks = [asyncio.create_task(each) for each in (_publish(client, total), call())]
            for _ in range(KILLS):
                pid = cluster.send("event")

                async def replaced(before: int = pid) -> bool:
                    member = cluster.member("event")
                    return member.pid not in (0, before)

                await until("another event service", replaced, within_s=PATIENCE_S)
                reached = min(len(handled) + total // (2 * KILLS), total)

                async def progressed(wanted: int = reached) -> bool:
                    return len(handled) >= wanted

                await until("further messages", progressed, within_s=PATIENCE_S)
            await tasks[0]

            async def drained() -> bool:
                for queue in ("streamed", "called"):
                    if (await client.broker.queue(queue)).depth:
                        return False
                return True

            await until("the end of both queues", drained, within_s=PATIENCE_S)
            tasks[1].cancel()
    assert again == []
    assert sorted(handled) == list(range(total))
    repeated = sum(count - 1 for count in handled.values())
    assert repeated <= KILLS * 50
