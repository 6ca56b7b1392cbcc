"""What subscribers share, and what orchestration costs beside the tasks."""

import asyncio
import json
from pathlib import Path
from typing import Any

import nats
import pytest

from flowmesh.testing.polling import slowness, until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import store
from tests.features.steps import http, step, workflow

pytestmark = pytest.mark.long

SUBSCRIBERS = 40
PATIENCE_S = 15.0
SLOW_MS = 500
OVERHEAD_MAX = 0.05


async def readers_of(suite: Suite) -> int:
    """How many consumers the event stream has, as NATS counts them."""
    connection = await nats.connect(str(suite.about["nats"]))
    try:
        info = await connection.jetstream().stream_info("FM_EVENTS")
        return int(info.state.consumer_count)
    finally:
        await connection.close()


@pytest.mark.feature("S0-95")
async def test_subscribers_share_one_subscription_of_the_bus(tmp_path: Path, world: World) -> None:
    """Forty sockets hear everything over what one reads: NATS has no further consumer for them."""
    # Of its own: readers that others have left are counted for a while.
    async with Suite(tmp_path / "data") as suite:
        await _shared(suite, world)


async def _shared(suite: Suite, world: World) -> None:
    world.hold("only")
    execution_id = await suite.begin(await suite.define(workflow(http(world, "only"))))
    await world.called("only")
    assert await readers_of(suite) == 1

    async def hear() -> list[str]:
        url = f"/api/v1/executions/{execution_id}/events/ws"
        async with suite.websocket(url) as socket:
            return [json.loads(message.data)["type"] async for message in socket]

    hearing = [asyncio.create_task(hear()) for _ in range(SUBSCRIBERS)]

    async def all_there() -> bool:
        return await subscribers(suite) == SUBSCRIBERS

    await until("all subscribed", all_there, within_s=PATIENCE_S)
    assert await store.metric(suite, "flowmesh_bus_readers") == 1
    assert await readers_of(suite) == 1
    world.release("only")
    async with asyncio.timeout(PATIENCE_S):
        heard = await asyncio.gather(*hearing)
    assert {each[-1] for each in heard} == {"WorkflowCompleted"}
    assert all(each == heard[0] for each in heard)


async def subscribers(suite: Suite) -> float:
    return await store.metric(suite, "flowmesh_event_subscribers", kind="execution")


async def overheads(suite: Suite) -> tuple[float, float, float]:
    """How many executions were measured, what they add up to, how many were within the goal."""
    name = "flowmesh_execution_overhead_ratio"
    within = await store.metric(suite, f"{name}_bucket", le=str(OVERHEAD_MAX))
    return (
        await store.metric(suite, f"{name}_count"),
        await store.metric(suite, f"{name}_sum"),
        within,
    )


@pytest.mark.feature("S0-123")
async def test_orchestration_takes_less_than_a_twentieth(suite: Suite, world: World) -> None:
    """Of a run whose tasks take time; the share is a metric, for each execution that completed."""
    for route in ("a", "b", "c"):
        world.answers(route, delay_ms=SLOW_MS)
    world.answers("broken", status=400)
    before = await overheads(suite)
    run: Any = await suite.run(
        workflow(http(world, "a"), http(world, "b", "a"), http(world, "c", "b"))
    )
    await suite.run(workflow(http(world, "broken")))
    after = await overheads(suite)
    assert run["status"] == "completed"
    measured, share, within = (now - then for now, then in zip(after, before, strict=True))
    assert measured == 1
    assert 0 < share < OVERHEAD_MAX * slowness()
    assert within == (share <= OVERHEAD_MAX)


@pytest.mark.feature("S0-123")
async def test_waiting_that_was_asked_for_is_not_overhead(suite: Suite) -> None:
    """A delay is a task that takes its time."""
    before = await overheads(suite)
    await suite.run(workflow(step("nap", "delay", {"duration": 300})))
    nap = await overheads(suite)
    assert nap[0] - before[0] == 1
    assert nap[1] - before[1] < 0.2
