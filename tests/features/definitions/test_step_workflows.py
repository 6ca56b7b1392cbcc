"""Graphs of steps on the running suite: their shape, their failures, their progress."""

import asyncio
import itertools
import time
from datetime import datetime

import pytest

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.steps import http, retry, sequence_of, step, told, workflow

# More than a worker service has slots.
SLEEPERS = 300


def diamond(world: World) -> object:
    """Extract, both transforms side by side, load."""
    return workflow(
        http(world, "extract"),
        http(world, "transform-users", "extract"),
        http(world, "transform-orders", "extract"),
        http(world, "load", "transform-users", "transform-orders"),
    )


@pytest.mark.feature("S2-01")
async def test_a_graph_runs_in_its_shape(suite: Suite, world: World) -> None:
    """Each step is scheduled after the end of all it depends on, and only then called."""
    execution = await suite.run(diamond(world))
    events = await suite.events(execution["executionId"])

    assert execution["status"] == "completed"
    for before, after in (
        ("extract", "transform-users"),
        ("extract", "transform-orders"),
        ("transform-users", "load"),
        ("transform-orders", "load"),
    ):
        ended = sequence_of(events, "TaskCompleted", before)
        assert ended < sequence_of(events, "TaskScheduled", after)
    routes = [call.route for call in world.calls()]
    assert (routes[0], routes[-1], len(routes)) == ("extract", "load", 4)


@pytest.mark.feature("S2-03")
async def test_independent_steps_overlap(suite: Suite, world: World) -> None:
    """A and B are at their services at once, each for 200 ms; C comes after both."""
    for route in ("a", "b"):
        world.answers(route, delay_ms=200)
    execution = await suite.run(
        workflow(http(world, "a"), http(world, "b"), http(world, "c", "a", "b"))
    )
    results = execution["stepResults"]
    (a,), (b,), (c,) = (world.calls(route) for route in "abc")

    assert abs(a.at_ms - b.at_ms) < 150
    assert c.at_ms >= max(a.at_ms, b.at_ms) + 200
    assert results["a"]["duration"] >= 200 <= results["b"]["duration"]
    assert c.at_ms - min(a.at_ms, b.at_ms) < 400


async def test_with_too_few_slots_steps_start_by_priority(suite: Suite, world: World) -> None:
    """`maxConcurrency` gives its slots to ready steps by priority, then in the order they have."""
    levels = {"low": "LOW", "one": "NORMAL", "top": "CRITICAL", "two": "NORMAL", "high": "HIGH"}
    steps = [http(world, f"slot-{name}", priority=level) for name, level in levels.items()]
    await suite.run(workflow(*steps, maxConcurrency=1))
    called = [call.route.removeprefix("slot-") for call in world.calls()]

    assert called == ["top", "high", "one", "two", "low"]


async def test_a_step_is_held_for_a_retry_in_place(suite: Suite, world: World) -> None:
    """With `onFailure: HOLD` the execution waits, and the retry lets it complete."""
    world.answers("fragile", status=400, times=1)
    flow = workflow(http(world, "fragile", onFailure="HOLD"), http(world, "rest", "fragile"))
    path = f"/api/v1/executions/{await suite.begin(await suite.define(flow))}"

    async def held() -> bool:
        return bool((await suite.get(path)).json["tasks"]["fragile"].get("held"))

    await until("the step is held", held, within_s=30)
    retried = await suite.post(f"{path}/nodes/fragile:retry")
    assert retried.status == 202, retried.text

    async def completed() -> bool:
        return bool((await suite.get(path)).json["status"] == "completed")

    await until("the execution completes", completed, within_s=30)
    assert len(world.calls("rest")) == 1


@pytest.mark.feature("S2-02")
async def test_a_step_is_tried_again_with_growing_pauses(suite: Suite, world: World) -> None:
    """Two failures, 100 and 200 ms of waiting, then success; the step counts three attempts."""
    world.answers("flaky", status=503, times=2)
    execution = await suite.run(
        workflow(http(world, "flaky", retryPolicy=retry(5, 100, 2)), http(world, "next", "flaky"))
    )
    times = [call.at_ms for call in world.calls("flaky")]
    gaps = [after - before for before, after in itertools.pairwise(times)]

    assert execution["status"] == "completed"
    assert execution["stepResults"]["flaky"]["attempts"] == 3
    for gap, wanted in zip(gaps, (100, 200), strict=True):
        assert wanted - 1 <= gap < wanted + 150
    assert len(world.calls("next")) == 1


@pytest.mark.feature("S2-04")
async def test_progress_is_seen_while_it_runs(suite: Suite, world: World) -> None:
    """Each look shows what has ended, what runs, and what has come into the context so far."""
    for route in ("transform-users", "transform-orders"):
        world.hold(route)
    execution_id = await suite.begin(await suite.define(diamond(world)), {"batch": 7})
    await world.called("transform-users")
    await world.called("transform-orders")

    first = await suite.execution(execution_id)
    assert (first["status"], first["completedSteps"]) == ("running", ["extract"])
    assert sorted(first["currentSteps"]) == ["transform-orders", "transform-users"]
    assert set(first["context"]) == {"batch", "extract"}

    world.release("transform-users")
    world.hold("load")
    async with asyncio.timeout(10):
        while len((await suite.execution(execution_id))["completedSteps"]) < 2:
            assert world.calls("load") == []
    second = await suite.execution(execution_id)
    assert second["currentSteps"] == ["transform-orders"]
    assert set(second["context"]) == {"batch", "extract", "transform-users"}

    world.release("transform-orders")
    await world.called("load")
    assert (await suite.execution(execution_id))["currentSteps"] == ["load"]
    world.release("load")
    ended = await suite.wait(execution_id)
    assert (ended["status"], len(ended["completedSteps"])) == ("completed", 4)
    assert ended["endTime"] >= ended["startTime"]


@pytest.mark.feature("S2-06")
async def test_a_failure_stays_where_it_is(suite: Suite, world: World) -> None:
    """The failed run is consistent, its other branch ends; other runs and later ones go on."""
    world.answers("charge", status=402, times=1)
    steps = (http(world, "charge"), http(world, "ship", "charge"), http(world, "log"))
    definition = workflow(*steps)
    other = await suite.begin(await suite.define(workflow(http(world, "other"))))
    failed = await suite.run(definition)

    assert (failed["status"], failed["failedSteps"]) == ("failed", ["charge"])
    assert (failed["completedSteps"], failed["skippedSteps"]) == (["log"], ["ship"])
    assert failed["currentSteps"] == []
    assert failed["stepResults"]["charge"]["error"]["class"] == "ClientError"
    assert (failed["error"]["class"], failed["error"]["stepId"]) == ("ClientError", "charge")
    assert "charge" not in failed["context"]
    assert world.calls("ship") == []
    assert (await suite.wait(other))["status"] == "completed"
    assert (await suite.run(definition))["status"] == "completed"


@pytest.mark.feature("S2-08")
async def test_one_workflow_uses_all_that_steps_can(suite: Suite, world: World) -> None:
    """Dependencies, two branches at once, a retry, data passed on and a webhook at the end."""
    world.answers("price", status=503, times=1)
    world.answers("price", json={"total": 40})
    world.answers("stock", json={"boxes": [1, 2]})
    code = "return { total: context.price.total, boxes: context.stock.boxes.length }"
    definition = workflow(
        http(world, "price", retryPolicy=retry(2)),
        http(world, "stock"),
        step("sum", "transform", {"code": code}, "price", "stock"),
        http(world, "ship", "sum"),
        webhooks={"onComplete": world.url("done")},
    )
    world.hold("price")
    world.hold("stock")
    execution_id = await suite.begin(await suite.define(definition), {"order": "A-17"})
    for route in ("price", "stock"):
        await world.called(route)
    assert len(world.calls()) == 2
    for route in ("price", "stock"):
        world.release(route)
    execution = await suite.wait(execution_id)
    (done,) = await world.called("done")
    (ship,) = world.calls("ship")

    assert execution["status"] == "completed"
    assert execution["stepResults"]["price"]["attempts"] == 2
    assert ship.json["order"] == "A-17"
    assert ship.json["sum"] == {"total": 40, "boxes": 2}
    assert (done.json["event"], done.json["status"]) == ("onComplete", "completed")
    assert done.json["executionId"] == execution["executionId"]


@pytest.mark.feature("S2-29")
async def test_a_delay_takes_its_time(suite: Suite, world: World) -> None:
    """What follows comes 600 ms later; the 5000 of the sample is a timer five seconds ahead."""
    short = workflow(
        http(world, "before"),
        step("pause", "delay", {"duration": 600}, "before"),
        http(world, "after", "pause"),
    )
    execution = await suite.run(short)
    gap_ms = world.calls("after")[0].at_ms - world.calls("before")[0].at_ms
    assert execution["status"] == "completed"
    assert 600 <= gap_ms < 900

    sample = workflow(step("wait", "delay", {"duration": 5000}))
    execution_id = await suite.begin(await suite.define(sample))
    await suite.post(f"/executions/{execution_id}/cancel")
    (timer,) = [each for each in await suite.events(execution_id) if each["type"] == "TimerStarted"]
    begun, fires = (
        datetime.fromisoformat(text) for text in (timer["timestamp"], timer["data"]["fireAt"])
    )
    assert (fires - begun).total_seconds() == 5.0


@pytest.mark.feature("S2-29")
async def test_delays_hold_no_worker_slot(suite: Suite, world: World) -> None:
    """With more steps waiting than there are slots, a call still leaves at once."""
    sleeper = await suite.define(workflow(step("wait", "delay", {"duration": 60_000})))
    busy = await suite.define(workflow(http(world, "call")))
    sleeping = await asyncio.gather(*(suite.begin(sleeper) for _ in range(SLEEPERS)))
    started = time.monotonic()
    execution = await suite.wait(await suite.begin(busy))

    assert execution["status"] == "completed"
    assert time.monotonic() - started < 2
    still = (await suite.get(f"/executions?workflowId={sleeper}&status=running&pageSize=500")).json
    assert len(still["executions"]) == SLEEPERS
    await asyncio.gather(*(suite.post(f"/executions/{each}/cancel") for each in sleeping))
    events = await suite.events(sleeping[0])
    assert told(events, "TaskStarted", "TaskCompleted") == []
    assert events[-1]["type"] == "WorkflowCanceled"
