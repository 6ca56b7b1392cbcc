"""Calls of the operating pages of the console: workers, grids, the map, `open`."""

import re
from typing import Any

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, Worker
from flowmesh.telemetry.export import VERSION
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import apply, http_task, resource, workflow

QUICK = {"id": "wait", "taskRef": "transform", "input": {"source": "{{input}}", "pipeline": []}}


async def answered(value: Json, _context: Any = None) -> Json:
    return value


async def ran(suite: Suite, name: str, value: Json) -> str:
    answer = await suite.post(f"/api/v1/workflows/{name}/execute", {"input": value})
    assert answer.status == 200, answer.text
    return str(answer.json["executionId"])


@pytest.mark.long
@pytest.mark.feature("S3-51")
async def test_attached_workers_are_listed_with_their_slots(suite: Suite) -> None:
    """By REST and by command; a worker disappears when it leaves, built-in executors stay."""
    kind = "console-workers"

    async def mine() -> Json:
        found = (await suite.get("/api/v1/workers")).json["workers"]
        return [each for each in found if kind in each["taskTypes"]]

    async with Client(suite.grpc_address) as client:
        async with Worker(client, {kind: answered}, slots=7, queues=["oven"]):
            await until("listed", lambda: _has(mine, 1), within_s=10)
            (worker,) = await mine()
            assert (worker["slots"], worker["running"], worker["builtin"]) == (7, 0, False)
            assert worker["version"] == f"python-{VERSION}"
            assert worker["queues"] == ["oven"]
            assert worker["attachedAt"]
            by_command = await command(suite, "workers", "--json")
            assert [each["slots"] for each in by_command.json if kind in each["taskTypes"]] == [7]
            other = await suite.get("/api/v1/workers", headers={"flowmesh-namespace": "other-ns"})
            assert all(each["builtin"] for each in other.json["workers"])
        await until("gone", lambda: _has(mine, 0), within_s=10)
    assert any(each["builtin"] for each in (await suite.get("/api/v1/workers")).json["workers"])


async def _has(read: Any, count: int) -> bool:
    return len(await read()) == count


@pytest.mark.feature("S0-160")
async def test_a_grid_has_the_last_executions_by_task(suite: Suite) -> None:
    """Newest first, tasks in the order of the newest version, those of older ones after it."""
    name = "console-grid"
    last = QUICK | {"id": "end", "dependsOn": ["wait"]}
    await apply(suite, workflow(name, QUICK, last | {"id": "old"}))
    first = await ran(suite, name, {"n": 1})
    await apply(suite, workflow(name, QUICK, last))
    second = await ran(suite, name, {"n": 2})
    grid = (await suite.get(f"/api/v1/workflows/{name}/grid")).json
    assert (grid["workflow"], grid["version"], grid["tasksCapped"]) == (name, 2, False)
    assert grid["tasks"] == ["wait", "end", "old"]
    assert [each["executionId"] for each in grid["executions"]] == [second, first]
    newest, oldest = grid["executions"]
    assert set(newest["tasks"]) == {"wait", "end"}
    assert set(oldest["tasks"]) == {"wait", "old"}
    cell = newest["tasks"]["end"]
    assert (cell["status"], cell["attempts"]) == ("success", 1)
    assert cell["durationMs"] >= 0
    one = (await suite.get(f"/api/v1/workflows/{name}/grid?executions=1")).json
    assert [each["executionId"] for each in one["executions"]] == [second]
    for bad in ("executions=0", "executions=101", "executions=x", "pageSize=2"):
        assert (await suite.get(f"/api/v1/workflows/{name}/grid?{bad}")).status == 400, bad
    missing = await suite.get("/api/v1/workflows/console-no-such/grid")
    assert (missing.status, missing.json["error"]["reason"]) == (404, "WORKFLOW_NOT_FOUND")


@pytest.mark.feature("S0-135")
async def test_the_map_has_tasks_edges_and_services_of_all_workflows(suite: Suite) -> None:
    """In pages; a task that calls a service names it."""
    space = {"flowmesh-namespace": "console-map"}
    bank = http_task("console-bank", "https://bank.example/pay")
    task = resource("WorkflowTask", "console-own", type="console.own")
    flow = workflow(
        "console-a", QUICK, {"id": "pay", "taskRef": "console-bank", "dependsOn": ["wait"]}
    )
    other = workflow("console-b", {"id": "run", "taskRef": "console-own"})
    answer = await apply(suite, bank, task, flow, other, **space)
    assert answer.status in (200, 201), answer.text
    found = (await suite.get("/api/v1/workflows:map", headers=space)).json
    first, second = found["workflows"]
    assert (first["workflow"], first["edges"], first["services"]) == (
        "console-a",
        [[0, 1]],
        ["https://bank.example"],
    )
    assert first["tasks"][1] == {
        "id": "pay",
        "type": "http.request",
        "service": "https://bank.example",
    }
    assert second["services"] == ["workers of console.own"]
    page = (await suite.get("/api/v1/workflows:map?pageSize=1", headers=space)).json
    token = page["nextPageToken"]
    rest = await suite.get(f"/api/v1/workflows:map?pageSize=1&pageToken={token}", headers=space)
    assert [each["workflow"] for each in rest.json["workflows"]] == ["console-b"]


@pytest.mark.long
async def test_open_prints_the_address_of_the_console(suite: Suite) -> None:
    """Of the suite or of an execution; an unknown execution and a missing browser are named."""
    await apply(suite, workflow("console-open", QUICK))
    execution_id = await ran(suite, "console-open", {})
    shown = await command(suite, "open", "--no-browser")
    assert (shown.code, shown.lines) == (0, [f"{suite.http_url}/console"])
    page = await command(suite, "open", execution_id, "--no-browser")
    assert page.lines == [f"{suite.http_url}/console/executions/{execution_id}"]
    headers = {"accept": "text/html"}
    answer = await suite.get(page.lines[0].removeprefix(suite.http_url), headers=headers)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    started = await command(suite, "open", environment={"BROWSER": "true"})
    assert (started.code, started.lines, started.err) == (0, shown.lines, "")
    alone = await command(suite, "open", environment={"BROWSER": "false"})
    assert (alone.code, alone.lines) == (0, shown.lines)
    assert "no browser was found" in alone.err
    unknown = await command(suite, "open", "exec-no-such", "--no-browser")
    assert unknown.code == 1
    assert "EXECUTION_NOT_FOUND" in unknown.err


# A program on a terminal, whose output it writes to its own.
ON_A_TERMINAL = "import pty, sys; sys.exit(pty.spawn([sys.executable, *sys.argv[1:]]) >> 8)"


@pytest.mark.long
async def test_commands_on_a_terminal_print_the_page_of_the_execution(suite: Suite) -> None:
    """`start`, `get`, `watch` and `explain` do; nothing that a program reads changes."""
    await apply(suite, workflow("console-linked", QUICK))
    started = await command(suite, "start", "console-linked", "--wait", program=ON_A_TERMINAL)
    found = re.search(rf"{suite.http_url}/console/executions/(exec-\w+)", started.out)
    assert started.code == 0
    assert found, started.out
    execution_id = found.group(1)
    for tokens in (("get", "execution"), ("watch",), ("explain",)):
        shown = await command(suite, *tokens, execution_id, program=ON_A_TERMINAL)
        assert f"/console/executions/{execution_id}" in shown.out, tokens
        assert (await command(suite, *tokens, execution_id)).out.count("/console/") == 0
    read = await command(suite, "get", "execution", execution_id, "--json", program=ON_A_TERMINAL)
    assert "/console/" not in read.out
