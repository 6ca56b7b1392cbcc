"""Alerts that the suite raises itself: a task that got slow is an event and a notification."""

import asyncio
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import natives
from tests.features.steps import http, workflow
from tests.features.store import metric

# Not a secret: the key that the test signs with.
SECRET = "whsec_" + "a2V5IG9mIGEgdGVzdCBhbmQgbm8gc2VjcmV0"
LISTENER = natives.workflow(
    "on-slowdown",
    {"id": "note", "taskRef": "noop"},
    triggers=[
        {"id": "slow", "event": {"type": "flowmesh.alert.slowdown", "input": "{{event.data}}"}}
    ],
    output={"task": "{{input.taskId}}"},
)


@pytest.mark.long
@pytest.mark.feature("S0-125")
async def test_an_injected_slow_task_raises_an_alert(tmp_path: Path, world: World) -> None:
    """Twenty quick runs and ten slow ones: an event that starts a workflow, a signed POST, a line
    of the log and a metric, once.
    """
    world.answers("quick", delay_ms=1)
    environment = {
        "FLOWMESH_ALERT_WEBHOOK": world.url("pager"),
        "FLOWMESH_ALERT_WEBHOOK_SECRET": SECRET,
    }
    async with Suite(tmp_path / "data", environment=environment) as suite:
        await natives.applied(suite, LISTENER)
        workflow_id = await suite.define(workflow(http(world, "quick")))
        await run_all(suite, workflow_id, 20)
        before = await rounds(suite)
        async with asyncio.timeout(30):
            while await rounds(suite) == before:
                await suite.get("/health")
        world.answers("quick", delay_ms=250)
        await run_all(suite, workflow_id, 10)

        (call,) = await world.called("pager")
        body = call.json
        Webhook(SECRET).verify(call.body, dict(call.headers))
        assert (body["event"], body["workflowId"]) == ("flowmesh.alert.slowdown", workflow_id)
        assert body["taskId"] == "quick"
        assert body["usualMs"] * 3 < 250 <= body["recentMs"]
        assert workflow_id in body["text"]
        path = "/api/v1/executions?workflow=on-slowdown&status=completed"
        async with asyncio.timeout(30):
            while not (found := (await suite.get(path)).json["executions"]):
                pass
        ended = await suite.get(f"/api/v1/executions/{found[0]['executionId']}")
        assert ended.json["output"] == {"task": "quick"}
        assert await metric(suite, "flowmesh_slowdowns_total") == 1
        assert suite.log.read_text().count('"event":"slowdown"') == 1


async def rounds(suite: Suite) -> float:
    """How often the suite has looked for slow tasks."""
    return await metric(suite, "flowmesh_loop_rounds_total", loop="SlowdownLoop", outcome="ok")


async def run_all(suite: Suite, workflow_id: str, times: int) -> None:
    for execution_id in [await suite.begin(workflow_id) for _ in range(times)]:
        await suite.wait(execution_id)
