"""Seeing, comparing and explaining executions of the running suite."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowmesh.errors import Invalid, NotFound
from flowmesh.insight.causes import Cause, Explanation
from flowmesh.sdk import Client, Worker, Workflow
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import Outcome, command
from tests.features.natives import applied, http_task, workflow
from tests.features.steps import http, retry, step
from tests.features.steps import workflow as steps_of

WIDTH = 80
PATIENCE_S = 20
SIDES = ("left", "right")
Run = Callable[..., Awaitable[Outcome]]


@pytest.fixture
def flowmesh(suite: Suite) -> Run:
    async def run(*tokens: str) -> Outcome:
        outcome = await command(suite, *tokens)
        assert all(len(line) <= WIDTH for line in outcome.lines if "--json" not in tokens)
        return outcome

    return run


async def explained(client: Client, execution_id: str, cause: Cause, task: str = "") -> Explanation:
    """The explanation, once it has the cause: what leads to it may take a moment."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await client.explain(execution_id, task)
            if cause in found.counts:
                return found


def order(world: World) -> list[Any]:
    """Two prices that a third task adds up, and a task that pays the sum."""
    return [
        http_task("price-of", world.url("price")),
        workflow(
            "insight-order",
            {"id": "price", "taskRef": "price-of", "input": {"sku": "{{input.sku}}"}},
            {
                "id": "pay",
                "taskRef": "price-of",
                "input": {"amount": "{{tasks.price.output.total}}"},
            },
        ),
    ]


@pytest.mark.long
@pytest.mark.feature("S1-115")
async def test_an_execution_is_shown_as_it_was(suite: Suite, world: World, flowmesh: Run) -> None:
    """At any event and any time, over REST, the SDK and the command line."""
    world.answers("price", json={"total": 7})
    await applied(suite, *order(world))
    async with Client(suite.grpc_address) as client:
        handle = await client.start("insight-order", {"sku": "x"})
        await handle.result(PATIENCE_S)
        events = [event async for event in client.history(handle.id)]
        paid = next(e.sequence for e in events if e.type == "TaskCompleted" and e.node == "price")
        before, after = [await client.state_at(handle.id, at) for at in (paid - 1, paid)]
        assert before.nodes["price"].status == "running"
        assert (after.nodes["price"].status, after.variables.tasks) == (
            "success",
            {"price": {"total": 7}},
        )
        assert (after.event, after.task_id, after.last_sequence) == (
            "TaskCompleted",
            "price",
            len(events),
        )
        assert "pay" not in before.nodes
        by_time = await client.state_at(handle.id, events[-1].at or datetime.now(UTC))
        assert (by_time.sequence, by_time.status) == (len(events), "completed")
        with pytest.raises(Invalid):
            await client.state_at(handle.id, datetime(2020, 1, 1, tzinfo=UTC))
        with pytest.raises(NotFound):
            await client.state_at("exec-none")
    rest = await suite.get(f"/api/v1/executions/{handle.id}/state?at={paid}")
    assert rest.json["nodes"]["price"]["status"] == "success"
    listed = await suite.get(f"/api/v1/executions/{handle.id}/nodes?inputs=true")
    nodes = listed.json["nodes"]
    assert [(one["nodeId"], one["status"], one["input"], one["output"]) for one in nodes] == [
        ("price", "completed", {"sku": "x"}, {"total": 7}),
        ("pay", "completed", {"amount": 7}, {"total": 7}),
    ]
    times = [datetime.fromisoformat(one[key]) for one in nodes for key in ("startTime", "endTime")]
    assert times == sorted(times)
    assert [len(one["attempts"]) for one in nodes] == [1, 1]
    shown = await flowmesh("state-at", handle.id, str(paid))
    assert shown.lines[1].startswith("TaskCompleted price; insight-order is running")
    assert "  price  success" in shown.lines
    assert (await flowmesh("state-at", handle.id, "soon")).code == 2
    assert (await flowmesh("state-at", handle.id, str(paid), "--json")).json == rest.json


@pytest.mark.long
@pytest.mark.feature("S0-102")
async def test_two_executions_are_compared(suite: Suite, world: World, flowmesh: Run) -> None:
    """Differing outputs and attempts, durations, and the task at which they part."""
    world.answers("first", json={"total": 1}, times=1)
    world.answers("first", json={"total": 2}, times=1)
    world.answers("second", json={}, times=1)
    world.answers("second", status=503, times=1)
    made = steps_of(http(world, "first"), http(world, "second", "first", retryPolicy=retry(2)))
    name = await suite.define(made)
    ids = []
    for _ in range(2):
        ids.append(await suite.begin(name, {"n": 1}))
        await suite.wait(ids[-1])
    report = (await suite.get(f"/api/v1/executions/{ids[0]}/compare/{ids[1]}")).json
    assert (report["same"], report["firstDivergence"]["taskId"]) == (False, "first")
    first, second = report["nodes"]
    assert [(d["path"], d["before"], d["after"]) for d in first["output"]] == [("total", 1, 2)]
    assert "attempts" in second["differs"]
    assert [second[side]["attempts"] for side in ("left", "right")] == [1, 2]
    assert all(each[side]["durationMs"] > 0 for each in (first, second) for side in SIDES)
    assert report["left"]["durationMs"] > first["left"]["durationMs"]
    assert report["left"]["planDigest"] == report["right"]["planDigest"]
    shown = await flowmesh("compare", *ids)
    assert shown.code == 1
    assert shown.lines[0].split() == ids
    assert "first divergence: first has another output" in shown.lines
    async with Client(suite.grpc_address) as client:
        assert (await client.compare(ids[0], ids[0])).same
    assert (await flowmesh("compare", ids[0], ids[0])).code == 0
    assert (await flowmesh("compare", ids[0], "exec-none")).code == 1


@pytest.mark.long
@pytest.mark.feature("S0-102")
async def test_executions_are_compared_that_got_and_became_something_else(
    suite: Suite, world: World, flowmesh: Run
) -> None:
    """Their inputs, those of their tasks, their statuses; what is alike is not told."""
    world.answers("price", json={"total": 7}, times=2)
    world.answers("price", status=400)
    await applied(suite, *order(world))
    ids = []
    for sku in "xy":
        answer = await suite.post("/api/v1/workflows/insight-order/start", {"input": {"sku": sku}})
        ids.append(answer.json["executionId"])
        await suite.wait(ids[-1])
    report = (await suite.get(f"/api/v1/executions/{ids[0]}/compare/{ids[1]}")).json
    assert [report[side]["status"] for side in SIDES] == ["completed", "failed"]
    assert report["input"] == [{"path": "sku", "action": "changed", "before": "x", "after": "y"}]
    assert report["firstDivergence"]["what"] == "input"
    price = next(each for each in report["nodes"] if each["id"] == "price")
    assert [price[side]["status"] for side in SIDES] == ["success", "failed"]
    assert {"status", "nodeInput", "output"} <= set(price["differs"])
    assert price["input"] == report["input"]
    assert price["right"]["error"]["class"] == "ClientError"
    shown = await flowmesh("compare", *ids)
    assert "input.sku" in shown.out


@pytest.mark.long
@pytest.mark.feature("S0-103")
async def test_a_value_is_followed_along_the_chain(
    suite: Suite, world: World, flowmesh: Run
) -> None:
    """Its value after each task, who set it and who read it."""
    world.answers("price", json={"total": 7})
    await applied(suite, *order(world))
    async with Client(suite.grpc_address) as client:
        handle = await client.start("insight-order", {"sku": "x"})
        await handle.result(PATIENCE_S)
        report = await client.watch_variable(handle.id, "tasks.price.output.total")
        assert [(s.action, s.task_id, s.value) for s in report.steps] == [
            ("set", "price", 7),
            ("read", "pay", 7),
            ("pass", "pay", 7),
        ]
        with pytest.raises(Invalid):
            await client.watch_variable(handle.id, "nowhere.at.all")
    rest = await suite.get(f"/api/v1/executions/{handle.id}/watch?path=input.sku")
    assert rest.json["readers"] == ["price"]
    assert rest.json["steps"][0]["value"] == "x"
    shown = await flowmesh("watch-variable", handle.id, "tasks.price.output.total")
    assert [line.split()[1:3] for line in shown.lines[1:3]] == [["set", "price"], ["read", "pay"]]


@pytest.mark.long
@pytest.mark.feature("S0-104", "S3-54")
async def test_the_slow_task_of_many_executions_is_named(
    suite: Suite, world: World, flowmesh: Run
) -> None:
    """Percentiles by task, ranked by what each cost; the trace of one names its bottleneck."""
    world.answers("quick", delay_ms=1)
    world.answers("slow", delay_ms=60)
    name = await suite.define(steps_of(http(world, "quick"), http(world, "slow", "quick")))
    for _ in range(3):
        execution_id = await suite.begin(name)
        await suite.wait(execution_id)
    report = (await suite.get(f"/api/v1/workflows/{name}/bottlenecks?executions=3")).json
    first = report["nodes"][0]
    assert (first["id"], first["reason"], first["criticalIn"]) == ("slow", "run", 3)
    assert 60 <= first["run"]["p50Ms"] <= first["run"]["p99Ms"] < PATIENCE_S * 1_000
    trace = (await suite.get(f"/api/v1/executions/{execution_id}/trace")).json
    assert (trace["bottleneck"]["taskId"], trace["criticalPath"]) == ("slow", ["quick", "slow"])
    assert (await flowmesh("bottlenecks", name)).lines[2].split()[0] == "slow"
    assert any(
        "bottleneck: slow ran" in line for line in (await flowmesh("trace", execution_id)).lines
    )
    refused = await suite.get("/api/v1/workflows/never-run/bottlenecks")
    assert (refused.status, refused.json["error"]["reason"]) == (404, "WORKFLOW_NOT_FOUND")


@pytest.mark.long
@pytest.mark.feature("S4-84")
async def test_a_stuck_workflow_is_explained(suite: Suite, flowmesh: Run, tmp_path: Path) -> None:
    """The three causes: a circle, a handler that nobody has, a timeout that does not fit."""
    circle = tmp_path / "circle.yaml"
    circle.write_text(
        "id: round\nsteps:\n- {id: a, dependencies: [b]}\n- {id: b, dependencies: [a]}\n"
    )
    shown = await flowmesh("explain", str(circle), "--json")
    assert shown.code == 1
    assert [each["cause"] for each in shown.json["findings"]] == ["GRAPH_CYCLE"]
    assert "a" in shown.json["findings"][0]["text"]

    flow = Workflow("stuck-flow", timeout="20s")
    flow.task("charge", "nobody-has-it", timeout="50s", queue="gpu")
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        handle = await client.start("stuck-flow", {})
        found = (await explained(client, handle.id, Cause.NO_WORKER)).findings[0]
        assert found.task_id == "charge"
        assert found.text == "no worker takes nobody-has-it from queue gpu"
        shown = await flowmesh("explain", handle.id)
        assert (shown.code, "start a worker" in shown.out) == (1, True)
        await handle.terminate()
    diagnosis = await suite.get("/api/v1/workflows/stuck-flow/explain")
    assert {each["cause"] for each in diagnosis.json["findings"]} == {
        "NO_WORKER",
        "LIMIT_TOO_SHORT",
    }
    told = await flowmesh("explain", "stuck-flow")
    assert "one attempt may take 50000 ms, but the workflow ends after 20000 ms" in " ".join(
        told.out.split()
    )


async def test_each_wait_has_its_cause(suite: Suite, world: World) -> None:
    """A timer, a retry, a signal's limit, a pause with who and why, a dependency, a worker."""
    world.answers("flaky", status=503)
    name = await suite.define(
        steps_of(
            step("nap", "delay", {"duration": 3_600_000}),
            http(world, "flaky", retryPolicy=retry(3, initial_ms=60_000)),
            http(world, "later", "nap"),
        )
    )
    execution_id = await suite.begin(name)
    async with Client(suite.grpc_address) as client:
        found = await explained(client, execution_id, Cause.RETRY_BACKOFF)
        by_task = {each.task_id: each for each in found.findings}
        assert by_task["nap"].cause == Cause.TIMER
        assert by_task["nap"].until
        assert "503" in by_task["flaky"].text
        assert found.next_at == by_task["flaky"].until
        later = await client.explain(execution_id, "later")
        assert [each.cause for each in later.findings] == [Cause.DEPENDENCY, Cause.TIMER]
        with pytest.raises(NotFound) as refused:
            await client.explain(execution_id, "nowhere")
        assert refused.value.reason == "NODE_NOT_FOUND"

        await client.handle(execution_id).pause("a look")
        paused = await client.explain(execution_id)
        assert "(a look)" in paused.findings[0].text
        await client.handle(execution_id).cancel()
        assert (await client.explain(execution_id)).counts == {Cause.ENDED: 1}
    rest = await suite.get(f"/api/v1/executions/{execution_id}/explain?task=nap")
    assert rest.json["findings"][-1]["cause"] == "NODE_ENDED"


async def test_workers_are_known_while_they_are_there(suite: Suite) -> None:
    """A task at a worker, others behind it that wait for its slot, and nobody once it has left."""
    held = asyncio.Event()

    async def hold(_: Any) -> None:
        await held.wait()

    flow = Workflow("insight-held")
    flow.task("one", hold)
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        async with Worker(client, flow.handlers, slots=1):
            first = await client.start("insight-held", {})
            running = await explained(client, first.id, Cause.RUNNING)
            assert running.findings[0].until
            second = await client.start("insight-held", {})
            busy = await explained(client, second.id, Cause.WORKERS_BUSY)
            assert "waiting: 1 task" in busy.findings[0].text
            held.set()
            await second.result(PATIENCE_S)
        third = await client.start("insight-held", {})
        await explained(client, third.id, Cause.NO_WORKER)
        await third.terminate()


@pytest.mark.long
@pytest.mark.feature("S3-52")
async def test_an_execution_is_drawn_on_its_graph(
    suite: Suite, world: World, flowmesh: Run
) -> None:
    """Each node in the colour of what became of it, as SVG and as text for other tools."""
    world.answers("bad", status=400)
    name = await suite.define(steps_of(http(world, "good"), http(world, "bad", "good")))
    execution_id = await suite.begin(name)
    await suite.wait(execution_id)
    path = f"/api/v1/executions/{execution_id}/graph"
    drawn = await suite.get(f"{path}?format=json")
    assert {each["id"]: each["status"] for each in drawn.json["nodes"]} == {
        "good": "success",
        "bad": "failed",
    }
    picture = (await suite.get(path)).text
    assert 'class="box success"' in picture
    assert 'class="box failed"' in picture
    assert "status" not in (await suite.get(f"/api/v1/workflows/{name}/graph?format=json")).text
    told = await flowmesh("graph", "--execution", execution_id, "-o", "mermaid")
    assert told.out.count("style n") == 2
