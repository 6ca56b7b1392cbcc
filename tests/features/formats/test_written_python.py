"""Workflows written as Python, registered from that, are the same versions and do the same."""

from pathlib import Path

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.natives import applied, http_task, text, workflow

PYTHON = "text/x-python; charset=utf-8"


def shop(name: str, world: World) -> list[Json]:
    """A chain, a map over what it finds, an undo, a task for the case that it fails."""
    nodes = [
        {"id": "fetch", "taskRef": f"{name}-fetch", "input": {"id": "{{input.id}}"}},
        {"id": "pay", "taskRef": f"{name}-pay", "dependsOn": ["fetch"],
         "input": {"total": "{{tasks.fetch.output.total}}"},
         "undo": {"taskRef": f"{name}-refund", "input": "{{undo.output}}"}},
        {"id": "each", "dependsOn": ["fetch"], "map": {
            "items": "{{tasks.fetch.output.rows}}", "concurrency": 1,
            "tasks": [{"id": "ship", "taskRef": f"{name}-ship",
                       "input": {"row": "{{item}}", "at": "{{index}}"}}]}},
        {"id": "sorry", "taskRef": "noop", "dependsOn": [{"task": "pay", "on": "failure"}]},
    ]  # fmt: skip
    tasks = [
        http_task(f"{name}-{each}", world.url(each)) for each in ("fetch", "pay", "ship", "refund")
    ]
    output = {"paid": "{{tasks.pay.output}}", "shipped": "{{tasks.each.output}}"}
    return [*tasks, workflow(name, *nodes, output=output, timeout="1m")]


async def output_in(suite: Suite, namespace: str, name: str) -> Json:
    answer = await suite.post(
        f"/workflows/{name}/execute",
        {"input": {"id": 3}},
        headers={"Flowmesh-Namespace": namespace},
    )
    assert answer.status == 200, answer.text
    return answer.json["output"]


@pytest.mark.long
@pytest.mark.feature("S3-16")
async def test_a_workflow_that_is_written_as_python_is_the_same_version(
    suite: Suite, tmp_path: Path
) -> None:
    """By REST and by the command: applied again it changes nothing, and elsewhere it is as new."""
    name, file = "written-python", tmp_path / "flow.py"
    async with World() as world:
        world.answers("fetch", json={"total": 7, "rows": ["a", "b"]})
        world.answers("pay", json="paid")
        world.answers("ship", json="sent")
        first = (await applied(suite, *shop(name, world)))["resources"]
        answer = await suite.get(f"/api/v1/workflows/{name}:export?format=python")
        assert (answer.status, answer.headers["Content-Type"]) == (200, PYTHON)
        assert "pay = flow.use(" in answer.text
        file.write_text(answer.text)
        again = await command(suite, "apply", "-f", str(file), "--json")
        assert again.json["resources"] == [{**first[-1], "created": False}]

        source = tmp_path / "flow.yaml"
        source.write_text(text(*shop(name, world)))
        done = await command(suite, "convert", "-f", str(source), "-t", "python", "-o", str(file))
        assert done.code == 0, done.err
        clean = ("--namespace", "written-clean", "--json")
        found = (await command(suite, "apply", "-f", str(file), *clean)).json["resources"]
        digests = [{each["name"]: each["digest"] for each in listed} for listed in (first, found)]
        assert digests[0] == digests[1]
        assert all(each["created"] for each in found)
        expected = {"paid": "paid", "shipped": ["sent", "sent"]}
        for namespace in ("default", "written-clean"):
            assert await output_in(suite, namespace, name) == expected


@pytest.mark.feature("S3-16")
async def test_what_python_has_no_word_for_is_refused_by_name(suite: Suite) -> None:
    """Each node that cannot be said, and nothing is written."""
    step = {"id": "a", "action": "http.request", "params": {"url": "http://x/{{context.b}}"}}
    await suite.define({"id": "not-python", "steps": [step, {**step, "id": "b"}]})
    answer = await suite.get("/api/v1/workflows/not-python:export?format=python")
    assert (answer.status, answer.json["error"]["reason"]) == (400, "FEATURE_UNSUPPORTED")
    what = "the Python builder has no place for a node that reads the context"
    told = [(each["field"], each["description"]) for each in answer.json["error"]["details"]]
    assert told == [("a", what), ("b", what)]
