"""Task types that are nearly built-in ones: warned of before anything waits for a worker."""

import itertools
import os
import sys
from asyncio import create_subprocess_exec, subprocess
from pathlib import Path

import orjson
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, Workflow, task
from flowmesh.testing.suite import Suite
from tests.features.natives import resource

_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A name that only this test uses."""
    return f"mistyped-{next(_numbers)}"


def steps(name: str, *actions: str) -> Json:
    return {"id": name, "steps": [{"id": f"s{n}", "action": a} for n, a in enumerate(actions)]}


async def warned(suite: Suite, path: str, document: Json) -> dict[str, str]:
    """What is warned of, by its place."""
    answer = await suite.post(f"/api/v1/workflows{path}", document)
    assert answer.status in (200, 201), answer.text
    found = [*answer.json.get("problems", []), *answer.json.get("warnings", [])]
    assert {(p["code"], p["severity"]) for p in found} <= {("TASK_TYPE_UNKNOWN", "warning")}
    assert all(p["line"] > 0 for p in found)
    return {p["path"]: p["message"] for p in found}


@pytest.mark.feature("S0-23")
@pytest.mark.parametrize("path", [":validate", ""])
async def test_a_type_that_is_nearly_built_in_is_warned_of(
    suite: Suite, name: str, path: str
) -> None:
    """In step JSON, graph JSON and tasks; when it is checked and when it is registered."""
    said = (
        "'transfrom' is no built-in task type; did you mean 'transform'? As it is written, it runs "
        "only once a worker has registered for it"
    )
    mistyped = steps(name, "transfrom", "transfer")
    assert await warned(suite, path, mistyped) == {"steps[0].action": said}
    node = {"id": "a", "type": "custom", "data": {"taskType": "transfrom"}}
    graph = {"id": f"{name}-g", "name": "g", "nodes": [node], "edges": []}
    assert await warned(suite, path, graph) == {"nodes[0].data.taskType": said}
    node["data"] = {"action": "transfrom"}
    graph["id"] = f"{name}-h"
    assert await warned(suite, path, graph) == {"nodes[0].data.action": said}
    native = resource("WorkflowTask", f"{name}-t", type="transfrom")
    assert await warned(suite, path, native) == {"type": said}


@pytest.mark.feature("S0-23")
async def test_types_of_workers_are_not_warned_of(suite: Suite, name: str) -> None:
    """Words that are like built-in ones and mean something else, and what is named as a handler."""
    own = ("transfer", "approve", "relay", "python3", "login", "publisher", "orders.publish")
    assert await warned(suite, ":validate", steps(name, *own)) == {}
    handler = {"handlerId": "transfrom"}
    node = {"id": "a", "type": "custom", "data": handler}
    graph = {"id": name, "name": name, "nodes": [node], "edges": []}
    assert await warned(suite, ":validate", graph) == {}
    native = resource("WorkflowTask", f"{name}-t", type="function", function=handler)
    assert await warned(suite, "", native) == {}
    used = resource("Workflow", name, tasks=[{"id": "delays", "taskRef": f"{name}-t"}])
    assert await warned(suite, "", used) == {}


@pytest.mark.feature("S0-23")
async def test_a_workflow_in_python_is_warned_of_too(suite: Suite, name: str) -> None:
    """The name of a handler is a task type."""

    @task("delya")
    async def wait(_input: Json) -> None: ...

    flow = Workflow(name)
    flow.task("wait", wait)
    async with Client(suite.grpc_address) as client:
        found = await client.validate(flow)
    (problem,) = found.problems
    assert found.valid
    assert (problem.code, problem.severity.lower()) == ("TASK_TYPE_UNKNOWN", "warning")
    assert "did you mean 'delay'?" in problem.message


@pytest.mark.long
@pytest.mark.feature("S0-23")
async def test_the_command_tells_the_line(suite: Suite, name: str, tmp_path: Path) -> None:
    """A warning is no failure; with --strict it is."""
    file = tmp_path / "flow.json"
    file.write_bytes(orjson.dumps(steps(name, "webhok"), option=orjson.OPT_INDENT_2))
    results = []
    for flags in ([], ["--strict"]):
        process = await create_subprocess_exec(
            sys.executable, "-m", "flowmesh.suite", "validate", "-f", str(file), *flags,
            env={**os.environ, "FLOWMESH_ADDRESS": suite.grpc_address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        results.append((process.returncode, out.decode()))
    (fine, told), (strict, _) = results
    assert (fine, strict) == (0, 1)
    assert f"{file}:6:" in told
    assert "did you mean 'webhook'?" in told
