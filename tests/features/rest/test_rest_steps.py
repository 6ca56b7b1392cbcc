"""The step-JSON routes, as their clients call them."""

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import curl
from tests.features.steps import tasks_of

_numbers = itertools.count(1)
DETAILS = {
    "executionId",
    "workflowId",
    "status",
    "startTime",
    "currentSteps",
    "completedSteps",
    "failedSteps",
    "stepResults",
    "context",
}
CALLED = {
    "order-processing": [
        "validation-service/validate",
        "payment-service/charge",
        "fulfillment-service/fulfill",
    ],
    "etl-pipeline": ["source-system/data", "target-system/load"],
}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


def post(world: World, step_id: str, *after: str, **more: Any) -> dict[str, Any]:
    return {
        "id": step_id,
        "name": step_id.title(),
        "type": "task",
        "action": "http.request",
        "params": {"url": world.url(step_id), "method": "POST"},
        "dependencies": list(after),
        **more,
    }


def workflow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    name = f"rest-steps-{next(_numbers)}"
    return {"id": name, "name": name.title(), "steps": list(steps), **more}


async def begun(suite: Suite, world: World, *steps: dict[str, Any]) -> str:
    """An execution whose step `charge` is at the service and gets no answer."""
    world.hold("charge")
    execution_id = await suite.begin(await suite.define(workflow(*steps)), {"orderId": "o-1"})
    await world.called("charge")
    return execution_id


@pytest.mark.long
@pytest.mark.feature("S2-09", "S2-16", "S2-17", "S2-18", "S2-19", "S2-20", "S2-21", "S2-24")
async def test_every_sample_command_runs_as_it_is_written(suite: Suite, world: World) -> None:
    """In their order, against the same host; only the services that steps call are replaced."""
    world.answers("source-system/data", json={"users": [{"id": 1, "name": "Ada"}], "orders": []})
    execution_id = ""
    for command in curl.commands("step_json.sh"):
        command = curl.in_world(command, world.address).replace("exec-abc-123", execution_id)
        answer = await curl.run(suite, command)
        assert answer.status in (200, 201), f"{command}\n{answer.text}"
        if "executionId" in answer.json and not execution_id:
            execution_id = answer.json["executionId"]
            assert execution_id.startswith("exec-")
            assert set(answer.json) == {"executionId"}
    listed = (await suite.get("/executions?workflowId=etl-pipeline")).json["executions"]
    for each in (execution_id, listed[0]["executionId"]):
        ended = await suite.wait(each)
        assert ended["status"] == "completed"
        assert set(CALLED[ended["workflowId"]]) <= {call.route for call in world.calls()}


@pytest.mark.feature("S2-49")
@pytest.mark.parametrize(("valid", "number"), [(True, 150), (True, 50), (False, 150)])
async def test_a_condition_reads_what_earlier_steps_gave(
    suite: Suite, world: World, valid: bool, number: int
) -> None:
    """A result by the id of its step, and by `.result`; each decides who comes behind it."""
    world.answers("validate-order", json={"valid": valid})
    conditions = {
        "checked": 'context["validate-order"].valid',
        "large": "context.previousStep.result > 100",
    }
    after = ("validate-order", "previousStep")
    execution = await suite.run(
        workflow(
            post(world, "validate-order"),
            {
                "id": "previousStep",
                "action": "transform",
                "params": {"code": "return input.number"},
            },
            *(
                {
                    "id": name,
                    "action": "condition",
                    "params": {"expression": text},
                    "dependencies": after,
                }
                for name, text in conditions.items()
            ),
            post(world, "ship", "checked"),
            post(world, "insure", "large"),
        ),
        {"number": number},
    )
    assert execution["status"] == "completed", execution
    assert execution["context"]["previousStep"] == number
    taken = {route for route in ("ship", "insure") if world.calls(route)}
    assert taken == ({"ship"} if valid else set()) | ({"insure"} if number > 100 else set())


@pytest.mark.feature("S2-15")
async def test_steps_without_an_action_succeed_in_order(suite: Suite) -> None:
    """The pipeline of the samples, with ids, names and dependencies only, however it is listed."""
    answer = await curl.run(
        suite,
        "curl -X POST http://localhost:3000/workflows"
        ' -H "Content-Type: application/json" -d @cicd_pipeline.json',
    )
    assert answer.status in (200, 201)
    ended = await suite.wait(await suite.begin("cicd-pipeline"))
    assert ended["status"] == "completed"
    steps = json.loads((curl.SAMPLES / "cicd_pipeline.json").read_text())["steps"]
    assert ended["completedSteps"] == [step["id"] for step in steps]
    backwards = {"id": "cicd-backwards", "steps": steps[::-1]}
    ended = await suite.run(backwards)
    events = await suite.events(ended["executionId"])
    assert tasks_of(events, "TaskCompleted") == [step["id"] for step in steps]


@pytest.mark.feature("S2-09", "S2-10", "S2-14", "S2-16", "S2-17")
async def test_registering_answers_the_version(suite: Suite, world: World) -> None:
    """201 for new content, 200 for the same again, the next version for a change; documented."""
    policy = {"maxAttempts": 3, "backoffMultiplier": 2, "initialDelay": 1_000, "maxDelay": 9_000}
    posted = workflow(
        post(world, "charge", retryPolicy=policy),
        post(world, "ship", "charge"),
        description="Charges",
        webhooks={"onFailure": world.url("failed")},
    )
    first = await suite.post("/workflows", posted)
    assert first.status == 201
    assert first.json | {"digest": ""} == {
        "id": posted["id"],
        "version": 1,
        "digest": "",
        "created": True,
    }
    again = await suite.post("/workflows", posted)
    assert (again.status, again.json) == (200, first.json | {"created": False})
    changed = await suite.post("/workflows", posted | {"name": "Other"})
    assert (changed.status, changed.json["version"]) == (201, 2)
    assert (await suite.get(f"/workflows/{posted['id']}")).json == posted | {"name": "Other"}
    listed = (await suite.get("/workflows?pageSize=1000")).json["workflows"]
    assert posted["id"] in [each.get("id") for each in listed]
    unknown = await suite.get("/workflows/no-such-workflow")
    assert (unknown.status, unknown.json["error"]["reason"]) == (404, "WORKFLOW_NOT_FOUND")
    wrong = await suite.post("/workflows", posted | {"steps": [{"id": "a", "dependencies": ["b"]}]})
    assert (wrong.status, wrong.json["error"]["reason"]) == (400, "GRAPH_UNKNOWN_NODE")
    described = (await suite.get("/openapi.json")).json
    answer = described["paths"]["/workflows"]["post"]["responses"]["201"]
    named = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert first.json.keys() <= described["components"]["schemas"][named]["properties"].keys()


@pytest.mark.feature("S2-21", "S2-22", "S2-23", "S2-25")
async def test_an_execution_shows_its_steps_while_it_runs(suite: Suite, world: World) -> None:
    """All keys by their names; a running step has no duration and no result."""
    world.answers("validate", json={"valid": True})
    steps = (
        post(world, "validate"),
        post(world, "charge", "validate"),
        post(world, "ship", "charge"),
    )
    execution_id = await begun(suite, world, *steps)
    running = await suite.execution(execution_id)
    assert set(running) >= DETAILS
    assert running["status"] == "running"
    assert 1_700_000_000 < running["startTime"] < 10_000_000_000
    assert running["currentSteps"] == ["charge"]
    assert running["completedSteps"] == ["validate"]
    assert running["failedSteps"] == []
    validated = running["stepResults"]["validate"]
    assert validated | {"startTime": 0, "endTime": 0, "duration": 0} == {
        "stepId": "validate",
        "status": "success",
        "attempts": 1,
        "duration": 0,
        "result": {"valid": True},
        "startTime": 0,
        "endTime": 0,
    }
    charging = running["stepResults"]["charge"]
    assert (charging["stepId"], charging["status"]) == ("charge", "running")
    assert {"duration", "result"}.isdisjoint(charging)
    assert running["context"] == {"orderId": "o-1", "validate": {"valid": True}}
    world.release("charge")
    ended = await suite.wait(execution_id)
    assert (ended["status"], ended["currentSteps"]) == ("completed", [])
    assert set(ended["context"]) == {"orderId", "validate", "charge", "ship"}
    assert world.calls("ship")[0].json["validate"] == {"valid": True}


@pytest.mark.feature("S2-24", "S2-26")
async def test_the_picture_shows_what_has_begun(suite: Suite, world: World) -> None:
    """In definition order with dependencies; pending steps only when all are asked for."""
    steps = (
        post(world, "validate"),
        post(world, "charge", "validate"),
        post(world, "ship", "charge"),
    )
    execution_id = await begun(suite, world, *steps)
    picture = (await suite.get(f"/executions/{execution_id}/visualize")).json
    assert set(picture) == {"executionId", "workflowName", "status", "duration", "steps"}
    assert picture["workflowName"].startswith("Rest-Steps-")
    first, second = picture["steps"]
    assert (first["id"], first["name"], first["status"]) == ("validate", "Validate", "success")
    assert (second["id"], second["status"], second["dependencies"]) == (
        "charge",
        "running",
        ["validate"],
    )
    shown = {"id", "name", "status", "attempts", "dependencies"}
    assert set(first) == shown | {"duration"}
    assert set(second) == shown
    assert (first["attempts"], second["attempts"], first["dependencies"]) == (1, 1, [])
    assert 0 < first["duration"] <= picture["duration"]
    whole = (await suite.get(f"/executions/{execution_id}/visualize?all=true")).json
    assert [step["status"] for step in whole["steps"]] == ["success", "running", "pending"]
    world.release("charge")
    await suite.wait(execution_id)


@pytest.mark.feature("S2-25", "S2-27")
async def test_attempts_are_counted_while_a_step_retries(suite: Suite, world: World) -> None:
    """Between two attempts the step runs on its second; what never ran is skipped at the end."""
    world.answers("first", status=500, times=1)
    world.answers("first", status=402)
    policy = {"maxAttempts": 2, "backoffMultiplier": 1, "initialDelay": 10, "maxDelay": 10}
    steps = (post(world, "first", retryPolicy=policy), post(world, "second", "first"))
    world.hold("first")
    execution_id = await suite.begin(await suite.define(workflow(*steps)))
    await world.called("first")
    world.release("first")
    world.hold("first")
    await world.called("first", times=2)
    retrying = await suite.execution(execution_id)
    assert retrying["stepResults"]["first"]["attempts"] == 2
    assert retrying["stepResults"]["first"]["status"] == "running"
    world.release("first")
    ended = await suite.wait(execution_id)
    assert ended["status"] == "failed"
    assert ended["failedSteps"] == ["first"]
    assert ended["skippedSteps"] == ["second"]
    assert ended["error"]["stepId"] == "first"
    assert ended["stepResults"]["first"]["error"]["class"] == "ClientError"


@pytest.mark.feature("S2-18", "S2-19", "S2-20")
async def test_executions_are_listed_and_filtered(suite: Suite, world: World) -> None:
    """Newest first, by workflow and state, page by page."""
    workflow_id = await suite.define(workflow({"id": "only", "name": "Only"}))
    started = [await suite.begin(workflow_id) for _ in range(3)]
    for execution_id in started:
        await suite.wait(execution_id)
    other = await begun(suite, world, post(world, "charge"))
    path = f"/executions?workflowId={workflow_id}"
    listed = (await suite.get(path)).json
    assert [each["executionId"] for each in listed["executions"]] == started[::-1]
    assert (await suite.get(f"{path}&status=running")).json["executions"] == []
    page = (await suite.get(f"{path}&pageSize=2")).json
    rest = (await suite.get(f"{path}&pageSize=2&pageToken={page['nextPageToken']}")).json
    pages = [each["executionId"] for each in page["executions"] + rest["executions"]]
    assert (pages, rest["nextPageToken"]) == (started[::-1], "")
    everything = (await suite.get("/executions?status=running")).json["executions"]
    assert other in [each["executionId"] for each in everything]
    canceled = await suite.post(f"/executions/{other}/cancel")
    assert canceled.status == 202
    assert (await suite.wait(other))["status"] == "canceled"
    again = await suite.post(f"/executions/{other}/cancel")
    assert (again.status, again.json["status"]) == (409, "canceled")
    world.release("charge")


@pytest.mark.feature("S2-18", "S3-90")
async def test_a_start_with_a_known_key_answers_the_first(suite: Suite) -> None:
    """The parameters of a start are its context; the same key starts nothing anew."""
    workflow_id = await suite.define(workflow({"id": "only", "name": "Only"}))
    body: dict[str, Any] = {
        "workflowId": workflow_id,
        "context": {"customer": {"id": 7}, "big": 12345678901234567890},
    }
    key = {"Idempotency-Key": f"key-{workflow_id}"}
    first = await suite.post("/executions/start", body, headers=key)
    again = await suite.post("/executions/start", body, headers=key)
    assert (first.status, first.json) == (again.status, again.json)
    ended = await suite.wait(first.json["executionId"])
    assert ended["context"] == body["context"] | {"only": None}
    changed = await suite.post("/executions/start", body | {"context": {}}, headers=key)
    assert (changed.status, changed.json["error"]["reason"]) == (409, "REQUEST_ID_REUSED")
    unknown = await suite.post("/executions/start", {"workflowId": "no-such-workflow"})
    assert (unknown.status, unknown.json["error"]["reason"]) == (404, "WORKFLOW_NOT_FOUND")


async def test_a_list_shows_executions_whole(suite: Suite) -> None:
    """What `GET /executions` says of one is what asking for it by its id says."""
    await suite.define({"id": "listed-whole", "steps": [{"id": "one"}, {"id": "two"}]})
    execution_id = await suite.begin("listed-whole", {"a": 1})
    await suite.wait(execution_id)
    single = (await suite.get(f"/executions/{execution_id}")).json
    listed = (await suite.get("/executions?workflowId=listed-whole")).json
    assert listed["executions"] == [single]
    assert single["completedSteps"] == ["one", "two"]
