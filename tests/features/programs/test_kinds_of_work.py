"""One workflow of local functions, calls and workers of one's own; short runs and long ones."""

import asyncio
from itertools import pairwise

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, Worker
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.graphs import choice, code, edge, graph, node
from tests.features.natives import applied, http_task, resource, workflow

SLOW_MS = 5_000


async def kinds(suite: Suite, name: str, world: World, *more: Json) -> None:
    """A JavaScript function, a call, and a task of a worker, each behind the one before."""
    code = "return {sum: input.a + input.b}"
    await applied(
        suite,
        resource("WorkflowTask", f"{name}-add", type="function", function={"code": code}),
        http_task(f"{name}-call", world.url("called"), retry={"maxAttempts": 1}),
        resource("WorkflowTask", f"{name}-own", type=f"{name}.own"),
        *more,
        workflow(
            name,
            {"id": "add", "taskRef": f"{name}-add", "input": {"a": 1, "b": 2}},
            {"id": "call", "taskRef": f"{name}-call", "input": "{{tasks.add.output}}"},
            {"id": "own", "taskRef": f"{name}-own", "input": "{{tasks.call.output}}"},
            output="{{tasks.own.output}}",
        ),
    )


@pytest.mark.feature("S3-01")
async def test_functions_and_remote_code_work_together(suite: Suite, world: World) -> None:
    """The output of each goes to the next, wherever it runs."""
    world.answers("called", make=lambda call: {"doubled": call.json["sum"] * 2})
    await kinds(suite, "mixed", world)

    async def own(given: Json) -> Json:
        return {"last": given["doubled"] + 1}

    async with Client(suite.grpc_address) as client, Worker(client, {"mixed.own": own}):
        assert await client.run("mixed", {}) == {"last": 7}


@pytest.mark.feature("S3-30", "S3-19")
async def test_workers_run_each_kind_side_by_side_and_tell_of_timeouts(
    suite: Suite, world: World
) -> None:
    """Two branches run at once; what takes too long is told as that and tried again."""
    world.answers("slow", delay_ms=SLOW_MS, times=1)
    world.answers("slow", json={"late": False})
    world.hold("left")
    world.hold("right")
    code = "return input"
    await applied(
        suite,
        resource("WorkflowTask", "sides-f", type="function", function={"code": code}),
        *(http_task(f"sides-{to}", world.url(to)) for to in ("left", "right")),
        http_task("sides-slow", world.url("slow"), timeout="200ms", retry={"initialDelay": "1ms"}),
        workflow(
            "sides",
            {"id": "root", "taskRef": "sides-f", "input": 1},
            {"id": "left", "taskRef": "sides-left", "dependsOn": ["root"]},
            {"id": "right", "taskRef": "sides-right", "dependsOn": ["root"]},
            {"id": "slow", "taskRef": "sides-slow", "dependsOn": ["left", "right"]},
        ),
    )
    answer = await suite.post("/api/v1/workflows/sides/start", {"input": {}})
    execution = answer.json["executionId"]
    await asyncio.gather(world.called("left"), world.called("right"))
    for side in ("left", "right"):
        world.release(side)
    await suite.wait(execution)
    events = await suite.events(execution)
    (failure,) = [e["data"]["error"] for e in events if e["type"] == "TaskRetrying"]
    assert failure["class"] == "Timeout"
    # The worker's own word: an orchestrator that hears nothing does not say how long it was.
    assert "200 ms" in failure["message"]
    found = (await suite.get(f"/api/v1/executions/{execution}")).json
    assert found["status"] == "completed"
    assert found["tasks"]["slow"]["attempts"] == 2


@pytest.mark.feature("S3-30")
async def test_every_type_of_node_is_worked_off(suite: Suite, world: World) -> None:
    """One behind the other; the last of them has seen what each of the others gave."""
    world.answers("called", make=lambda call: {"doubled": call.json["sum"] * 2})
    turned: Json = {
        "transformationType": "map",
        "transformationConfig": {"expression": "item + 1"},
    }
    nodes = [
        node("trigger", "trigger", triggerType="manual", config={}),
        code("function", "return {sum: context.a + context.b}"),
        node("http", "http", url=world.url("called"), method="POST", body="{{context.function}}"),
        choice("decision", yes="context.http.doubled > 5"),
        node("delay", "delay", delayType="fixed", delayValue=1),
        node("webhook", "webhook", webhookId="numbers"),
        node("transformation", "transformation", **turned),
        node("custom", "custom", taskType="types.own", to="{{context.transformation}}"),
    ]
    names = [each["id"] for each in nodes]
    edges = [
        edge(f"{a}>{b}", **({"condition": "yes"} if a == "decision" else {}))
        for a, b in pairwise(names)
    ]

    async def own(given: Json) -> Json:
        return sum(given["to"])

    async with Client(suite.grpc_address) as client, Worker(client, {"types.own": own}):
        execution_id = await suite.begin(
            await suite.define(graph(*nodes, edges=edges)), {"a": 1, "b": 2}
        )
        await client.handle(execution_id).signal("numbers", [1, 2])
        execution = await suite.wait(execution_id)
    assert execution["completedSteps"] == names, execution
    results = {name: each["result"] for name, each in execution["stepResults"].items()}
    assert results["http"] == {"doubled": 6}
    assert (results["transformation"], results["custom"]) == ([2, 3], 5)


@pytest.mark.feature("S0-153")
async def test_long_work_continues_without_its_caller(suite: Suite) -> None:
    """A call that waits has its limit; what it started goes on, can be paused, and resumed."""
    hour = {"id": "nap", "taskRef": "delay", "input": {"duration": "1h"}}
    await applied(suite, workflow("naps", hour))
    waited = await suite.post("/api/v1/workflows/naps/execute", {"input": {}, "timeoutMs": 100})
    assert (waited.status, waited.json["error"]["reason"]) == (504, "SYNC_TIMEOUT"), waited.text
    started = await suite.post("/api/v1/workflows/naps/start", {"input": {}})
    assert started.status == 202, started.text
    for execution in (waited.json["executionId"], started.json["executionId"]):
        shown = (await suite.get(f"/api/v1/executions/{execution}")).json
        assert shown["status"] == "running"
        for step, status in (("pause", "paused"), ("resume", "running"), ("cancel", "canceled")):
            done = await suite.post(f"/api/v1/executions/{execution}:{step}", {})
            assert done.status == 202, done.text
            shown = (await suite.get(f"/api/v1/executions/{execution}")).json
            assert shown["status"] == status
