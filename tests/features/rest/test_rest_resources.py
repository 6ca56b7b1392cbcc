"""Workflows and tasks as resources, run at once, described by themselves."""

import itertools
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World

_numbers = itertools.count(1)
YAML = {"content-type": "application/yaml"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


@pytest.fixture
def name() -> str:
    """A name that only this test uses, for a workflow and with an ending for its tasks."""
    return f"checkout-{next(_numbers)}"


def task(name: str, url: str, **spec: Any) -> dict[str, Any]:
    http = {"method": "POST", "url": url, "body": {"amount": "{{input.amount}}"}}
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": {"name": name},
        "spec": {"type": "http", "http": http, "retry": {"maxAttempts": 1}, **spec},
    }


def checkout(name: str, **spec: Any) -> dict[str, Any]:
    """Two calls side by side, then one that takes from both."""
    call = {"taskRef": f"{name}-call"}
    last = {"amount": "{{tasks.charge.output.total}}", "x": "{{tasks.reserve.output.total}}"}
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {
            "tasks": [
                {"id": "charge", **call, "input": {"amount": "{{input.amount}}"}},
                {"id": "reserve", **call, "input": {"amount": "{{input.amount}}"}},
                {"id": "confirm", **call, "input": last},
            ],
            "inputSchema": {
                "type": "object",
                "properties": {"amount": {"type": "number", "minimum": 0.01}},
                "required": ["amount"],
            },
            "output": {"total": "{{tasks.confirm.output.total}}"},
            **spec,
        },
    }


async def applied(suite: Suite, world: World, name: str, **spec: Any) -> None:
    call = task(f"{name}-call", world.url("call"))
    assert (await suite.put(f"/api/v1/tasks/{name}-call", call)).status == 201
    assert (await suite.put(f"/api/v1/workflows/{name}", checkout(name, **spec))).status == 201


@pytest.mark.feature("S0-145", "S0-136")
async def test_execute_answers_the_outputs(suite: Suite, world: World, name: str) -> None:
    """Validated, run in groups, answered in one response, under the short path too."""
    world.answers("call", json={"total": 42})
    await applied(suite, world, name)
    for path in (f"/workflows/{name}/execute", f"/api/v1/workflows/{name}/execute"):
        ran = await suite.post(path, {"input": {"amount": 42}})
        assert ran.status == 200, ran.text
        assert ran.json["status"] == "completed"
        assert ran.json["outputs"]["confirm"] == {"total": 42}
        assert ran.json["output"] == {"total": 42}
        assert ran.json["tasks"]["charge"]["status"] == "success"
        assert ran.json["tasks"]["charge"]["attempts"] == 1
        assert ran.json["durationMs"] >= ran.json["tasks"]["charge"]["durationMs"]


@pytest.mark.feature("S0-120")
async def test_invalid_input_runs_nothing(suite: Suite, world: World, name: str) -> None:
    """400 with the place of every violation; no execution is recorded and no task called."""
    await applied(suite, world, name)
    for given, field in (({"amount": 0}, "amount"), ({}, "amount"), ({"amount": "1"}, "amount")):
        refused = await suite.post(f"/workflows/{name}/execute", {"input": given})
        assert refused.status == 400, refused.text
        assert refused.json["error"]["reason"] == "INPUT_INVALID"
        assert field in str(refused.json["error"]["details"])
    assert (await suite.get(f"/executions?workflowId={name}")).json["executions"] == []
    assert world.calls() == []


@pytest.mark.feature("S0-145")
async def test_a_failed_run_says_what_failed(suite: Suite, world: World, name: str) -> None:
    """422 in the same shape, with the class and the task of the failure."""
    world.answers("call", status=402)
    await applied(suite, world, name)
    ran = await suite.post(f"/workflows/{name}/execute", {"input": {"amount": 1}})
    assert ran.status == 422
    assert ran.json["status"] == "failed"
    assert ran.json["error"]["class"] == "ClientError"
    assert ran.json["error"]["taskId"] in ("charge", "reserve")
    assert ran.json["tasks"]["confirm"]["status"] in ("skipped", "canceled", "pending")


@pytest.mark.feature("S0-152")
async def test_waiting_has_a_limit(suite: Suite, world: World, name: str) -> None:
    """At the limit: 504 with the id, or 202 where that is preferred; the execution goes on."""
    world.hold("call")
    world.answers("call", json={"total": 1})
    await applied(suite, world, name)
    path, body = f"/workflows/{name}/execute", {"input": {"amount": 1}, "timeoutMs": 100}
    late = await suite.post(path, body)
    assert (late.status, late.json["error"]["reason"]) == (504, "SYNC_TIMEOUT")
    prefer = {"Prefer": "respond-async"}
    other = await suite.post(path, body, headers=prefer)
    assert (other.status, set(other.json)) == (202, {"executionId"})
    too_long = await suite.post(path, body | {"timeoutMs": 30_001})
    assert (too_long.status, too_long.json["error"]["details"][0]["field"]) == (400, "timeoutMs")
    world.release("call")
    for answer in (late, other):
        assert (await suite.wait(answer.json["executionId"]))["status"] == "completed"


@pytest.mark.feature("S3-90")
async def test_start_answers_at_once(suite: Suite, world: World, name: str) -> None:
    """202 with the id; the parameters are the input that every task can refer to."""
    world.answers("call", json={"total": 7})
    await applied(suite, world, name)
    started = await suite.post(f"/api/v1/workflows/{name}/start", {"input": {"amount": 7}})
    assert (started.status, set(started.json)) == (202, {"executionId"})
    execution_id = started.json["executionId"]
    await suite.wait(execution_id)
    state = (await suite.get(f"/api/v1/executions/{execution_id}")).json
    assert (state["workflow"], state["status"], state["input"]) == (
        name,
        "completed",
        {"amount": 7},
    )
    assert state["output"] == {"total": 7}
    assert state["tasks"]["confirm"]["dependencies"] == ["charge", "reserve"]
    assert [call.json for call in world.calls("call")] == [{"amount": 7}] * 3
    context = (await suite.get(f"/api/v1/executions/{execution_id}/context")).json
    assert context["variables"] == {"amount": 7}


async def test_a_task_has_the_statistics_of_its_runs(suite: Suite, world: World, name: str) -> None:
    """Those of all nodes that refer to it: completed and failed ones, and none at first."""
    await applied(suite, world, name)
    path = f"/api/v1/tasks/{name}-call/statistics"
    none = {"workflows": 1, "completed": 0, "failed": 0, "retried": 0}
    assert (await suite.get(path)).json == none
    world.answers("call", json={"total": 42})
    await suite.post(f"/workflows/{name}/execute", {"input": {"amount": 1}})

    async def counted() -> bool:
        return bool((await suite.get(path)).json["completed"] == 3)

    await until("the runs are counted", counted, within_s=60)
    found = (await suite.get(path)).json
    assert (found["successRate"], found["failed"]) == (1.0, 0)
    assert found["medianMs"] > 0
    assert (await suite.get("/api/v1/tasks/nowhere/statistics")).status == 404


@pytest.mark.feature("S0-136")
async def test_resources_have_versions(suite: Suite, world: World, name: str) -> None:
    """Applied as YAML all or none, unchanged content is 200, a change the next version."""
    call, flow = task(f"{name}-call", world.url("call")), checkout(name)
    source = yaml.safe_dump_all([call, flow]).encode()
    first = await suite.request("POST", "/api/v1/workflows", headers=YAML, data=source)
    assert first.status == 201, first.text
    kinds = [(each["kind"], each["version"]) for each in first.json["resources"]]
    assert kinds == [("WorkflowTask", 1), ("Workflow", 1)]
    again = await suite.request("POST", "/api/v1/tasks", headers=YAML, data=source)
    assert (again.status, again.json["created"]) == (200, False)
    changed = await suite.put(f"/api/v1/workflows/{name}", checkout(name, parallelism=1))
    assert (changed.status, changed.json["version"]) == (201, 2)
    other = await suite.put("/api/v1/workflows/other", flow)
    assert (other.status, other.json["error"]["details"][0]["field"]) == (400, "metadata.name")
    newest = (await suite.get(f"/api/v1/workflows/{name}")).json
    assert re.fullmatch("[0-9a-f]{64}", newest["digest"])
    assert newest["definition"]["spec"]["parallelism"] == 1
    one = (await suite.get(f"/api/v1/workflows/{name}/versions/1")).json
    assert one["definition"] == flow
    versions = (await suite.get(f"/api/v1/workflows/{name}/versions")).json["versions"]
    assert [each["version"] for each in versions] == [2, 1]
    usages = (await suite.get(f"/api/v1/tasks/{name}-call/usages")).json
    assert usages == {"workflows": [{"name": name, "version": 2}]}
    in_use = await suite.delete(f"/api/v1/tasks/{name}-call")
    assert (in_use.status, in_use.json["error"]["reason"]) == (409, "TASK_IN_USE")
    assert (await suite.delete(f"/api/v1/workflows/{name}")).status == 204
    assert (await suite.get(f"/api/v1/workflows/{name}")).status == 404
    assert (await suite.delete(f"/api/v1/tasks/{name}-call")).status == 204


@pytest.mark.feature("S0-136")
async def test_a_definition_can_be_checked_and_analysed(
    suite: Suite, world: World, name: str
) -> None:
    """Checking stores nothing and tells every problem; the analysis shows groups and joins."""
    await applied(suite, world, name)
    graph = (await suite.get(f"/api/v1/workflows/{name}/analysis")).json
    groups = [sorted(group) for group in graph["execution"]["parallelExecutionGroups"]]
    assert groups == [["charge", "reserve"], ["confirm"]]
    assert graph["convergencePoints"] == ["confirm"]
    assert graph["forest"]["adjacencyList"]["charge"]["successors"] == ["confirm"]
    assert graph["pathCount"] == 2
    broken = {"id": f"{name}-x", "steps": [{"id": "a", "dependencies": ["b"]}]}
    checked = await suite.post("/api/v1/workflows:validate", broken)
    assert (checked.status, checked.json["valid"]) == (200, False)
    assert checked.json["problems"][0]["code"] == "GRAPH_UNKNOWN_NODE"
    unreadable = await suite.request(
        "POST", "/api/v1/workflows:validate", headers=YAML, data=b"a: &a [*a]"
    )
    assert (unreadable.status, unreadable.json["valid"]) == (200, False)
    assert (await suite.get(f"/workflows/{name}-x")).status == 404


@pytest.mark.feature("S0-147", "S0-136")
async def test_the_description_is_served_with_its_page(suite: Suite) -> None:
    """OpenAPI 3.1 in groups; the page loads nothing from elsewhere."""
    described = (await suite.get("/openapi.json")).json
    assert described["openapi"].startswith("3.1")
    groups = [tag["name"] for tag in described["tags"]]
    assert groups == ["Execute", "Test", "Manage", "Administer"]
    page = await suite.get("/swagger")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "://" not in page.text
    loaded = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert len(loaded) == 3
    for path in loaded:
        asset = await suite.get(path)
        assert asset.status == 200, path
        assert asset.body


@pytest.mark.feature("S4-81", "S4-83")
async def test_probes_and_metrics_are_there(suite: Suite) -> None:
    """Health, readiness and metrics under the names that probes look for."""
    for path in ("/health", "/healthz", "/livez", "/ready", "/readyz"):
        answer = await suite.get(path)
        assert answer.status == 200, path
        assert answer.json["status"]
    await suite.get("/workflows/no-such-workflow")
    metrics = await suite.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain")
    assert (
        'flowmesh_http_requests_total{method="GET",route="/workflows/{workflowId}"' in metrics.text
    )
    assert "no-such-workflow" not in metrics.text


async def test_operations_of_pipelines_are_described(suite: Suite) -> None:
    """Each with a JSON Schema that its own example fits."""
    operations = (await suite.get("/api/v1/transform/operations")).json["operations"]
    assert {"filter", "map", "sort", "limit"} <= {each["name"] for each in operations}
    for each in operations:
        Draft202012Validator(each["parameters"]).validate(each["example"]["parameters"])


async def test_a_large_input_comes_back_whole(suite: Suite, world: World, name: str) -> None:
    """Above 256 KiB a value is stored once, and answered inline all the same."""
    world.answers("call", json={"total": 1})
    await applied(suite, world, name)
    given = {"amount": 1, "note": "ä" * 200_000}
    started = await suite.post(f"/api/v1/workflows/{name}/start", {"input": given})
    assert started.status == 202, started.text
    await suite.wait(started.json["executionId"])
    state = (await suite.get(f"/api/v1/executions/{started.json['executionId']}")).json
    assert state["input"] == given
    stored = await suite.request(
        "PUT",
        "/api/v1/payloads",
        headers={"content-type": "application/json"},
        data=b'{"amount":2}',
    )
    assert stored.status == 201
    again = await suite.post(f"/workflows/{name}/execute", {"input": stored.json})
    assert again.status == 200, again.text


@pytest.mark.feature("S0-98", "S0-99", "S0-104")
async def test_the_trace_tells_where_the_time_went(suite: Suite, world: World, name: str) -> None:
    """Under a limit: planned 2 wide, run 1 wide; the critical path and the slowest are named."""
    world.answers("call", json={"total": 1}, delay_ms=30)
    await applied(suite, world, name, parallelism=1)
    started = await suite.post(f"/api/v1/workflows/{name}/start", {"input": {"amount": 7}})
    execution_id = started.json["executionId"]
    await suite.wait(execution_id)
    trace = (await suite.get(f"/api/v1/executions/{execution_id}/trace")).json
    assert (trace["groups"]["plannedWidth"], trace["groups"]["actualWidth"]) == (2, 1)
    assert trace["criticalPath"][-1] == "confirm"
    assert trace["slowest"] in ("charge", "reserve", "confirm")
    last = next(task for task in trace["tasks"] if task["id"] == "confirm")
    assert last["order"] == 3
    assert last["runMs"] >= 30
    assert last["readyMs"] >= max(task["endedMs"] for task in trace["tasks"] if task is not last)
    assert trace["durationMs"] >= 90
    first, second = trace["resolutionOrder"][:2]
    assert {first, second, trace["resolutionOrder"][2]} == {"charge", "reserve", "confirm"}
    by_id = {task["id"]: task for task in trace["tasks"]}
    for task in by_id.values():
        assert task["queuedMs"] <= task["readyMs"] <= task["startedMs"] < task["endedMs"]
        waited_ms = task["startedMs"] - task["readyMs"]
        assert task["waitMs"] == pytest.approx(waited_ms, abs=0.01)
    # Nothing but the limit kept the second one from beginning with the first.
    held = by_id[second]
    assert held["readyMs"] - held["queuedMs"] >= 30
    assert held["queuedMs"] == by_id[first]["queuedMs"]
    (limit,) = (wait for wait in held["waits"] if wait["reason"] == "parallelism")
    assert limit["toMs"] - limit["fromMs"] >= 30
