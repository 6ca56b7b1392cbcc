"""The records of an execution in the shapes of graph JSON: of a node, and of the whole context."""

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, Worker
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.executions.test_control import ended, reached
from tests.features.graphs import choice, code, edge, graph, node
from tests.features.natives import refusal

NODE_KEYS = {"id", "nodeId", "workflowExecutionId", "status", "attempts", "metadata"}
ATTEMPT_KEYS = {"attemptNumber", "startTime", "status"}
CONTEXT_KEYS = {
    "id",
    "workflowId",
    "status",
    "startTime",
    "processedWorkflow",
    "variables",
    "nodeResults",
    "currentNodes",
    "completedNodes",
    "failedNodes",
    "activePaths",
    "metadata",
}


def story(world: World) -> Json:
    """Tries a call twice, takes one of two ways, and waits for its end on it."""
    world.answers("flaky", status=503, times=1)
    world.answers("flaky", json={"ok": 1})
    retry = {"maxAttempts": 3, "initialDelay": 1}
    return graph(
        node(
            "call",
            "http",
            url=world.url("flaky"),
            method="POST",
            body={"of": "{{context.order}}"},
            retryPolicy=retry,
        ),
        choice("which", no="false", yes="true"),
        code("never"),
        node("wait", "webhook"),
        code("last", "return context.order * 2"),
        edges=[
            edge("call>which"),
            edge("which>never", condition="no"),
            edge("which>wait", condition="yes"),
            edge("wait>last"),
        ],
    )


async def started(suite: Suite, document: Json, context: Json) -> str:
    assert (await suite.post("/api/v1/workflows", document)).status == 201
    start = {"input": context, "labels": {"team": "pay"}}
    answer = await suite.post(f"/api/v1/workflows/{document['id']}/start", start)
    assert answer.status == 202, answer.text
    return str(answer.json["executionId"])


async def called(suite: Suite, execution: str) -> None:
    """Lets the node that waits for a call go on."""
    found = (await suite.get(f"/api/v1/executions/{execution}")).json
    answer = await suite.post(found["tasks"]["wait"]["url"], {"paid": True})
    assert answer.status < 300, answer.text


@pytest.mark.feature("S3-75", "S3-76")
async def test_the_record_of_a_node_has_its_input(suite: Suite, world: World) -> None:
    """While it runs and after: input, output, every attempt; a branch not taken is skipped."""
    execution = await started(suite, story(world), {"order": 7})
    path = f"/api/v1/executions/{execution}/nodes"
    await reached(suite, execution, wait="running")
    for _ in range(2):
        call = (await suite.get(f"{path}/call")).json
        assert call.keys() == NODE_KEYS | {"startTime", "endTime", "input", "output"}
        assert (call["id"], call["nodeId"]) == (f"{execution}/call", "call")
        assert (call["workflowExecutionId"], call["status"]) == (execution, "completed")
        assert (call["input"], call["output"]) == ({"order": 7}, {"ok": 1})
        first, second = call["attempts"]
        assert first.keys() == ATTEMPT_KEYS | {"endTime", "error"}
        assert (first["attemptNumber"], first["status"]) == (1, "failed")
        assert first["error"]["code"] == "ServerError"
        assert "503" in first["error"]["message"]
        assert second.keys() == ATTEMPT_KEYS | {"endTime", "output"}
        assert (second["attemptNumber"], second["status"]) == (2, "completed")
        assert second["output"] == {"ok": 1}
        times = [first["startTime"], first["endTime"], second["startTime"], second["endTime"]]
        assert times == sorted(times)
        assert (call["startTime"], call["endTime"]) == (times[0], times[-1])
        never = (await suite.get(f"{path}/never")).json
        assert never.keys() == NODE_KEYS | {"endTime"}
        assert (never["status"], never["attempts"]) == ("skipped", [])
        waits = (await suite.get(f"{path}/wait")).json
        if waits["status"] == "completed":
            break
        assert (waits["status"], waits["attempts"][0]["status"]) == ("running", "running")
        assert waits["attempts"][0].keys() == ATTEMPT_KEYS
        assert (await suite.get(f"{path}/last")).json["status"] == "pending"
        await called(suite, execution)
        await ended(suite, execution, "completed")
    records = (await suite.get(f"{path}?inputs=true")).json
    inputs = {each["nodeId"]: each.get("input") for each in records["nodes"]}
    assert inputs["last"]["order"] == 7
    assert inputs["last"]["call"] == {"ok": 1}
    assert (inputs["never"], records["truncated"]) == (None, False)
    bare = (await suite.get(path)).json["nodes"]
    assert not any("input" in each for each in bare)
    async with Client(suite.grpc_address) as client:
        found = await client.node_inputs(execution, "call")
    assert found.inputs == {"call": {"order": 7}}


@pytest.mark.feature("S3-75")
async def test_the_record_of_a_failed_node_says_why(suite: Suite, world: World) -> None:
    """Message and code; what is not there is not found."""
    world.answers("gone", status=404)
    document = graph(node("call", "http", url=world.url("gone"), method="GET"))
    execution = await started(suite, document, {})
    await ended(suite, execution, "failed")
    path = f"/api/v1/executions/{execution}/nodes"
    call = (await suite.get(f"{path}/call")).json
    assert (call["status"], call["error"]["code"]) == ("failed", "ClientError")
    assert "404" in call["error"]["message"]
    assert call["error"] == call["attempts"][0]["error"]
    assert refusal(await suite.get(f"{path}/nothing")) == (404, "NODE_NOT_FOUND")
    missing = await suite.get("/api/v1/executions/exec-none/nodes/call")
    assert refusal(missing) == (404, "EXECUTION_NOT_FOUND")


@pytest.mark.feature("S3-75")
async def test_the_record_of_a_handler_that_raised_has_its_stack(suite: Suite) -> None:
    """The traceback, of the node and of its attempt."""

    async def breaks(_: Json) -> Json:
        raise KeyError("price")

    document = graph(node("own", "custom", taskType="records.breaks"))
    async with Client(suite.grpc_address) as client, Worker(client, {"records.breaks": breaks}):
        execution = await started(suite, document, {})
        await ended(suite, execution, "failed")
    record = (await suite.get(f"/api/v1/executions/{execution}/nodes/own")).json
    assert record["error"] == record["attempts"][0]["error"]
    assert record["error"]["code"] == "KeyError"
    assert record["error"]["stack"].startswith("Traceback (most recent call last)")
    assert "in breaks" in record["error"]["stack"]


@pytest.mark.feature("S3-77")
async def test_an_execution_is_shown_as_its_context(suite: Suite, world: World) -> None:
    """The keys of the record and no other, while it runs and once it has ended."""
    document = story(world)
    execution = await started(suite, document, {"order": 7})
    path = f"/api/v1/executions/{execution}/context"
    await reached(suite, execution, wait="running")
    running = (await suite.get(path)).json
    assert running.keys() == CONTEXT_KEYS
    assert (running["id"], running["workflowId"]) == (execution, document["id"])
    assert (running["status"], running["currentNodes"]) == ("running", ["wait"])
    assert running["completedNodes"] == ["call", "which"]
    assert running["variables"] == {"order": 7}
    assert running["metadata"]["label.team"] == "pay"
    paths = [each["nodes"] for each in running["processedWorkflow"]["paths"]]
    assert [paths[at] for at in running["activePaths"]] == [["call", "which", "wait", "last"]]
    assert running["processedWorkflow"]["forest"]["roots"] == ["call"]
    assert running["nodeResults"]["call"]["retryCount"] == 1
    await called(suite, execution)
    await ended(suite, execution, "completed")
    after = (await suite.get(path)).json
    assert after.keys() == CONTEXT_KEYS | {"endTime"}
    assert (after["status"], after["currentNodes"], after["failedNodes"]) == ("completed", [], [])
    assert after["nodeResults"]["last"]["output"] == 14


@pytest.mark.feature("S3-77")
async def test_canceled_is_shown_with_one_l_and_taken_with_two(suite: Suite, world: World) -> None:
    """In the context, and in the filter of the list."""
    document = story(world)
    execution = await started(suite, document, {"order": 7})
    await reached(suite, execution, wait="running")
    await suite.post(f"/api/v1/executions/{execution}:pause")
    path = f"/api/v1/executions/{execution}/context"
    assert (await suite.get(path)).json["status"] == "running"
    await suite.post(f"/api/v1/executions/{execution}:cancel")
    assert (await suite.get(path)).json["status"] == "canceled"
    for spelled in ("canceled", "cancelled"):
        listed = await suite.get(f"/api/v1/executions?workflow={document['id']}&status={spelled}")
        assert [each["executionId"] for each in listed.json["executions"]] == [execution]
