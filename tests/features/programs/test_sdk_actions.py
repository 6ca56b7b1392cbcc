"""Custom actions, generated definitions, and what a task gets without asking."""

import asyncio
import runpy
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from flowmesh.insight.causes import Cause
from flowmesh.sdk import Client, Status, TaskContext, Worker, Workflow
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.natives import applied, http_task, workflow
from tests.features.operations.test_insight import explained
from tests.features.steps import step
from tests.features.steps import workflow as steps_of

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def example(name: str) -> Any:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


@pytest.mark.feature("S2-47")
async def test_a_registered_executor_runs_the_steps_of_its_action(suite: Suite) -> None:
    """`register_executor('custom-action', …)` gets params and context and gives the result."""
    results = await example("sdk_custom_executor")(suite.grpc_address)
    assert results["rebate"]["pay"] == 72
    assert results["rebate"]["customer"] == "ada"
    assert results["rebate"]["key"]


@pytest.mark.feature("S2-48")
async def test_a_generated_definition_is_registered_and_runs(suite: Suite) -> None:
    """One step for every item of the order, and one behind all of them."""
    results = await example("sdk_dynamic_workflow")(suite.grpc_address)
    assert results == {"pick-book": 2, "pick-pen": 5, "pack": 7}


@pytest.mark.feature("S4-54")
async def test_a_task_without_a_timeout_has_one(suite: Suite) -> None:
    """The handler sees a deadline although nobody set a timeout: five minutes from now."""
    left: list[float | None] = []

    async def look(value: Any, context: TaskContext) -> None:
        left.append(context.remaining_s)

    flow = Workflow("default-timeout")
    flow.task("look", look)
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        async with Worker(client, flow.handlers):
            await client.run("default-timeout")
    assert left[0] is not None
    assert 290 < left[0] <= 300


@pytest.mark.feature("S4-54")
async def test_a_call_without_a_timeout_has_one(suite: Suite, world: World) -> None:
    """While the service keeps its answer the attempt is told to end 30 s after it was sent."""
    world.hold("kept")
    url = world.url("kept")
    task = http_task("kept", url)
    own = {"id": "own", "taskRef": "kept", "timeout": "7s"}
    await applied(suite, task, workflow("kept-calls", {"id": "default", "taskRef": "kept"}, own))
    steps = [step("request", "http.request", {"url": url}), step("hook", "webhook", {"url": url})]
    await suite.define(steps_of(*steps, id="kept-steps"))
    async with Client(suite.grpc_address) as client:
        executions = [await suite.begin("kept-calls"), await suite.begin("kept-steps")]
        await world.called("kept", 4)
        limits: dict[object, float] = {}
        for execution in executions:
            for found in (await explained(client, execution, Cause.RUNNING)).findings:
                assert isinstance(found.since, datetime), found
                assert isinstance(found.until, datetime), found
                limits[found.task_id] = (found.until - found.since).total_seconds()
        world.release("kept")
        for execution in executions:
            assert (await suite.wait(execution))["status"] == "completed"
    wanted = {"default": 30, "own": 7, "request": 30, "hook": 30}
    assert limits == pytest.approx(wanted, abs=0.5)


async def test_the_blocking_client_follows_an_execution(suite: Suite) -> None:
    """The example without async: events to the end, then the status."""
    status = await asyncio.to_thread(example("sdk_blocking"), suite.grpc_address)
    assert status is Status.COMPLETED
