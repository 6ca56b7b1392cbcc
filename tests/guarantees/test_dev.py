"""What `flowmesh dev` promises when it, or one of its servers, is killed."""

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from flowmesh.sdk import Client, Handle
from flowmesh.testing.polling import allowed_s, done, pause
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.drills.drill import Drill
from tests.drills.orders import shipped
from tests.features.natives import applied, execute, workflow

pytestmark = pytest.mark.long

SERVING_WITHIN_S = 5.0
CLIENTS = 5
WAITED_S = 60.0
RESTARTED_WITHIN_S = 10.0
# Long enough to be noticed; who registers waits for longer.
HANGS_S = 0.7
EVENTS_WITHIN_S = 10.0


def drill(dev: Suite, world: World, fault: str) -> Drill:
    return Drill(
        fault,
        world=world,
        http_url=lambda: dev.http_url,
        events=lambda: dev.channel,
        executions=lambda: dev.channel,
        postgres=lambda: str(dev.about["postgres"]),
    )


async def sequences(handle: Handle) -> list[int]:
    """The events of an execution as the SDK's client gets them, to the last one."""
    return [event.sequence async for event in handle.events()]


async def killed(dev: Suite, server: str) -> int:
    """Kills one server of the suite; its supervisor starts another."""
    pid = dev.pids[server]
    os.kill(pid, signal.SIGKILL)
    return pid


async def restarted(dev: Suite, server: str, before: int) -> None:
    """Returns when another process runs in the place of the killed one."""

    def other() -> bool:
        return dev.pids[server] not in (0, before)

    await done(f"{server} restarted", other, within_s=RESTARTED_WITHIN_S)


@pytest.mark.feature("S2-50", "S2-54", "S3-39", "S3-104", "S0-143", "S0-96")
@pytest.mark.fault("F7")
async def test_everything_killed_at_once_loses_nothing(dev: Suite, world: World) -> None:
    """The suite and its servers die by SIGKILL; started again, all executions go on and end.

    Clients that were reading events or waiting for a result go on by themselves.
    """
    async with (
        drill(dev, world, "kill -9 dev and all children") as running,
        Client(dev.grpc_address) as client,
    ):
        await running.in_flight()
        handles = [client.handle(execution_id) for execution_id in running.orders.ids[:CLIENTS]]
        reading = [asyncio.create_task(sequences(handle)) for handle in handles]
        waiting = asyncio.gather(*(handle.result(WAITED_S) for handle in handles))
        await dev.kill_everything()
        running.breaks()
        started = time.monotonic()
        await dev.start()
        serving_s = time.monotonic() - started
        outcome = await running.finish()

        for handle, got in zip(handles, await asyncio.gather(*reading), strict=True):
            assert got == list(range(1, (await handle.describe()).last_sequence + 1))
        orders = running.orders.order_of
        assert await waiting == [shipped(orders[handle.id]) for handle in handles]

    print(f"serving again after {serving_s:.2f} s")
    assert outcome.unknown_starts > 0
    assert serving_s <= allowed_s(SERVING_WITHIN_S)


@pytest.mark.long
@pytest.mark.feature("S3-22", "S3-46", "S0-96", "S1-137", "S3-103")
@pytest.mark.fault("F14")
async def test_a_killed_nats_delays_events_only(dev: Suite, world: World) -> None:
    """Executions go on without it; when it is back, every event follows in order."""
    async with drill(dev, world, "kill -9 NATS") as running:
        await running.in_flight()
        before = await killed(dev, "nats")
        running.breaks()
        await restarted(dev, "nats", before)
        await running.finish(extra_deliveries=0)


@pytest.mark.long
@pytest.mark.feature("S3-22", "S3-46")
@pytest.mark.fault("F15")
async def test_a_lost_nats_store_loses_no_event(dev: Suite, world: World) -> None:
    """Its folder gone, NATS starts empty; subscribers and callbacks still get everything."""
    async with drill(dev, world, "NATS store deleted") as running:
        await running.in_flight(followed=80)
        store = dev.data_dir / "nats" / "jetstream"
        before = await killed(dev, "nats")
        shutil.rmtree(store)
        running.breaks()
        await restarted(dev, "nats", before)
        await running.finish(extra_deliveries=0)


async def test_a_nats_that_hangs_for_a_moment_keeps_no_start_from_a_new_version(dev: Suite) -> None:
    """Who changes a workflow hears of it when starts use it; events are heard at once again."""

    def answering(word: str) -> Any:
        return workflow("hanging", {"id": "a", "taskRef": "noop"}, output=word)

    await applied(dev, answering("older"))
    assert (await execute(dev, "hanging")).json["output"] == "older"
    pid = dev.pids["nats"]
    os.kill(pid, signal.SIGSTOP)
    try:
        applying = asyncio.create_task(applied(dev, answering("newer")))
        await pause(HANGS_S)
        assert not applying.done()
    finally:
        os.kill(pid, signal.SIGCONT)
    await applying
    assert (await execute(dev, "hanging")).json["output"] == "newer"
    async with Client(dev.grpc_address) as client, asyncio.timeout(allowed_s(EVENTS_WITHIN_S)):
        handle = await client.start("hanging", {})
        assert await sequences(handle)


@pytest.mark.long
@pytest.mark.feature("S3-22", "S3-103")
@pytest.mark.fault("F20")
async def test_a_killed_redis_changes_no_result(dev: Suite, world: World) -> None:
    """Nothing that must last is in it."""
    async with drill(dev, world, "kill -9 Redis") as running:
        await running.in_flight()
        before = await killed(dev, "redis")
        running.breaks()
        await restarted(dev, "redis", before)
        await running.finish(extra_deliveries=0)


@pytest.mark.feature("S0-143", "S2-54", "S1-137", "S3-103")
@pytest.mark.fault("F9")
async def test_a_killed_postgres_loses_no_commit(dev: Suite, world: World) -> None:
    """Commits of unknown outcome are sent again and applied once; callers wait or come again."""
    async with drill(dev, world, "kill -9 PostgreSQL") as running:
        await running.in_flight()
        before = await killed(dev, "postgres")
        running.breaks()
        await restarted(dev, "postgres", before)
        await running.finish()


@pytest.mark.fault("F22")
async def test_a_log_that_cannot_be_written_stops_no_work(tmp_path: Path, world: World) -> None:
    """Every line fails to be written; orders are shipped all the same, and it stops in order."""
    suite = Suite(tmp_path / "data", "--log-level", "debug", environment={"FLOWMESH_TYPO": "1"})
    suite.log = Path("/dev/full")
    async with suite:
        async with drill(suite, world, "no room for logs") as running:
            await running.in_flight()
            running.breaks()
            await running.finish(extra_deliveries=0)
        assert await suite.stop() == 0
