"""An orderly stop in the middle of work: what runs ends and is kept, nothing is done twice."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from flowmesh.testing.cluster import Cluster
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World

pytestmark = pytest.mark.long

EXECUTIONS = 50
STEPS = ("charge", "reserve", "pack", "ship", "tell")
LATENCY_MS = (100, 600)
STOP_S = 10.0


def orders(world: World) -> dict[str, object]:
    """Calls one after the other."""
    steps = []
    for number, route in enumerate(STEPS):
        steps.append(
            {
                "id": route,
                "name": route,
                "action": "http.request",
                "params": {"url": world.url(route), "method": "POST"},
                "dependencies": [STEPS[number - 1]] if number else [],
            }
        )
    return {"id": "orders", "name": "Orders", "steps": steps}


@pytest.mark.parametrize("layout", [Suite, pytest.param(Cluster, marks=pytest.mark.long)])
async def test_a_stop_in_the_middle_of_work_repeats_nothing(
    tmp_path: Path, layout: type[Suite]
) -> None:
    """50 executions in flight: the stop takes less than 10 s, all end after the next start."""
    async with World(latency_ms=LATENCY_MS, seed=1) as world:
        suite = layout(tmp_path / "data")
        await suite.start()
        await suite.define(orders(world))
        begun = [await suite.begin("orders", {"order": n}) for n in range(EXECUTIONS)]
        await world.called("pack", EXECUTIONS // 5, timeout_s=60)
        started = asyncio.get_running_loop().time()
        assert await suite.stop() == 0
        took_s = asyncio.get_running_loop().time() - started
        before = len(world.calls())
        async with suite:
            ended = [await suite.wait(execution_id, 60) for execution_id in begun]
    assert 0 < before < EXECUTIONS * len(STEPS)
    assert took_s < STOP_S
    assert {execution["status"] for execution in ended} == {"completed"}
    attempts = {s["attempts"] for e in ended for s in e["stepResults"].values()}
    assert attempts == {1}
    calls = Counter((call.route, call.key) for call in world.calls())
    assert len(calls) == EXECUTIONS * len(STEPS)
    assert set(calls.values()) == {1}
