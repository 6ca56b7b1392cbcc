"""Pause and resume of running executions, over REST, the CLI and the SDK."""

import pytest

from flowmesh.errors import WrongState
from flowmesh.sdk import Client, Worker, Workflow
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.steps import http, workflow

PATIENCE_S = 30.0


async def begun(suite: Suite) -> str:
    """An execution whose first step waits an hour."""
    definition = {
        "id": "pause-me",
        "name": "pause me",
        "steps": [
            {"id": "wait", "action": "delay", "params": {"duration": 3_600_000}},
            {"id": "after", "dependencies": ["wait"]},
        ],
    }
    await suite.define(definition)
    return await suite.begin("pause-me", {})


async def test_an_execution_is_paused_and_resumed(suite: Suite) -> None:
    """The state says so, the history says who asked and why, a wrong command is a conflict."""
    execution = f"/api/v1/executions/{await begun(suite)}"
    paused = await suite.post(f"{execution}:pause", {"reason": "a look"})
    assert (paused.status, paused.json["status"]) == (202, "paused"), paused.text
    assert (await suite.get(execution)).json["status"] == "paused"

    again = await suite.post(f"{execution}:pause", {})
    assert (again.status, again.json["error"]["reason"]) == (409, "EXECUTION_PAUSED"), again.text
    assert again.json["status"] == "paused"

    resumed = await suite.post(f"{execution}:resume", {})
    assert (resumed.status, resumed.json["status"]) == (202, "running"), resumed.text
    refused = await suite.post(f"{execution}:resume", {})
    assert refused.json["error"]["reason"] == "EXECUTION_NOT_PAUSED", refused.text

    await suite.post(f"{execution}:cancel", {})
    ended = await suite.post(f"{execution}:resume", {})
    assert ended.json["error"]["reason"] == "EXECUTION_ENDED", ended.text
    events = await suite.events(execution.rpartition("/")[2])
    types = [event["type"] for event in events if event["type"].startswith("Workflow")]
    assert types == ["WorkflowStarted", "WorkflowPaused", "WorkflowResumed", "WorkflowCanceled"]
    (pause,) = [event for event in events if event["type"] == "WorkflowPaused"]
    assert pause["data"]["reason"] == "a look"


@pytest.mark.feature("S3-110")
async def test_no_task_leaves_while_it_is_paused(suite: Suite) -> None:
    """What a worker has goes on; the next step waits for the resumption."""
    called: list[str] = []
    flow = Workflow("pause-steps")
    first = flow.task("first", lambda _: called.append("first"))
    flow.task("second", lambda _: called.append("second"), depends_on=[first])
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        handle = await client.start("pause-steps", {})
        await handle.pause("no worker yet")
        with pytest.raises(WrongState):
            await handle.pause()
        async with Worker(client, flow.handlers):
            other = await client.start("pause-steps", {})
            await other.result(30)
            assert (await handle.describe()).status == "paused"
            assert called == ["first", "second"]
            await handle.resume()
            await handle.result(30)
    assert called == ["first", "second"] * 2


@pytest.mark.feature("S3-110")
async def test_what_a_worker_has_ends_while_it_is_paused(suite: Suite, world: World) -> None:
    """And the step behind it begins with the resumption, not before."""
    world.hold("first")
    definition = workflow(http(world, "first"), http(world, "second", "first"))
    execution_id = await suite.begin(await suite.define(definition))
    await world.called("first")
    async with Client(suite.grpc_address) as client:
        handle = client.handle(execution_id)
        await handle.pause()
        world.release("first")

        async def ended() -> bool:
            return "first" in (await suite.execution(execution_id))["completedSteps"]

        await until("the first step ended", ended, within_s=PATIENCE_S)
        types = [event.type async for event in client.history(execution_id)]
        assert (types[-1], "WorkflowPaused" in types) == ("TaskCompleted", True)
        assert world.calls("second") == []
        await handle.resume()
        await handle.result(PATIENCE_S)
    assert len(world.calls("second")) == 1
