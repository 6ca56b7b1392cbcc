"""Versions as those who release them use them: labels, rollbacks, differences, who did what."""

import itertools
from pathlib import Path

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.natives import (
    YAML,
    applied,
    execute,
    http_task,
    refusal,
    resource,
    text,
    workflow,
)

_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    return f"versions-{next(_numbers)}"


def answering(name: str, answer: str, **spec: Json) -> Json:
    """A workflow that answers a word."""
    return workflow(name, {"id": "a", "taskRef": "noop"}, output={"answer": answer}, **spec)


async def said(suite: Suite, name: str, version: int | str) -> str:
    ran = await execute(suite, name, version=version)
    assert ran.status == 200, ran.text
    return str(ran.json["output"]["answer"])


async def point(suite: Suite, name: str, label: str, version: int | str, **headers: str) -> Json:
    path = f"/api/v1/workflows/{name}/labels/{label}"
    answer = await suite.put(path, {"version": version, "reason": "a test"}, headers=headers)
    assert answer.status == 200, answer.text
    return answer.json


@pytest.mark.feature("S4-97", "S3-12")
async def test_two_versions_run_side_by_side(suite: Suite, name: str) -> None:
    """By number, by label, and the newest without either; over REST and from Python."""
    for answer in ("one", "two", "three"):
        await applied(suite, answering(name, answer))
    await point(suite, name, "production", 1)
    await point(suite, name, "canary", 2)
    versions: list[int | str] = [1, "1", "production", 2, "canary", 0, ""]
    expected = ["one", "one", "one", "two", "two", "three", "three"]
    assert [await said(suite, name, version) for version in versions] == expected
    async with Client(suite.grpc_address) as client:
        assert await client.run(name, version="canary") == {"answer": "two"}
        async with client.session() as session:
            assert await session.run(name, version="production") == {"answer": "one"}
        assert (await client.get_workflow(name, version="canary")).version == 2
    started = await suite.post("/executions/start", {"workflowId": name, "version": "production"})
    assert (await suite.wait(started.json["executionId"]))["status"] == "completed"


@pytest.mark.feature("S0-131")
async def test_a_rollback_moves_the_label_and_says_so(suite: Suite, name: str) -> None:
    """Back to the version and digest before, as often as it moved; with who and why."""
    digests = [
        (await applied(suite, answering(name, answer)))["digest"] for answer in ("one", "two")
    ]
    digests.append((await applied(suite, answering(name, "three")))["digest"])
    for version in (1, 2, 2, 3):
        await point(suite, name, "production", version, **{"Flowmesh-Actor": "ada"})
    path = f"/api/v1/workflows/{name}/labels/production"
    for version in (2, 1):
        answer = await suite.post(f"{path}:rollback", {"reason": "it broke"})
        assert (answer.status, answer.json["version"]) == (200, version)
        assert await said(suite, name, "production") == {1: "one", 2: "two"}[version]
        stored = await suite.get(f"/api/v1/workflows/{name}?version=production")
        assert stored.json["digest"] == digests[version - 1]
    assert refusal(await suite.post(f"{path}:rollback", {})) == (409, "LABEL_NOT_MOVED")
    changes = (await suite.get(f"/api/v1/workflows/{name}/changes?label=production")).json
    moves = [
        (each["action"], each.get("previousVersion"), each["version"], each.get("actor"))
        for each in changes["changes"]
    ]
    assert moves == [
        ("label_rolled_back", 2, 1, None),
        ("label_rolled_back", 3, 2, None),
        ("label_set", 2, 3, "ada"),
        ("label_set", 1, 2, "ada"),
        ("label_set", None, 1, "ada"),
    ]
    assert [each["reason"] for each in changes["changes"]] == ["it broke"] * 2 + ["a test"] * 3


async def test_a_label_that_cannot_be_set_is_refused(suite: Suite, name: str) -> None:
    """A number for a name, a version or label that is not there, none, a workflow that is not."""
    await applied(suite, answering(name, "one"))
    base = f"/api/v1/workflows/{name}/labels"
    for nothing in (0, "0", "00", ""):
        none = await suite.put(f"{base}/x", {"version": nothing})
        assert refusal(none) == (400, "REQUEST_INVALID")
        assert "a version number from 1, or another label" in none.text
    assert refusal(await suite.put(f"{base}/7", {"version": 1})) == (400, "LABEL_INVALID")
    for version, reason in ((2, "WORKFLOW_NOT_FOUND"), ("none", "LABEL_NOT_FOUND")):
        assert refusal(await suite.put(f"{base}/x", {"version": version})) == (404, reason)
    assert refusal(await suite.get(f"{base}/x")) == (404, "LABEL_NOT_FOUND")
    assert refusal(await suite.delete(f"{base}/x")) == (404, "LABEL_NOT_FOUND")
    assert refusal(await execute(suite, name, version="x")) == (404, "LABEL_NOT_FOUND")
    await point(suite, name, "x", 1)
    assert [each["label"] for each in (await suite.get(base)).json["labels"]] == ["x"]
    assert (await suite.delete(f"{base}/x")).status == 204
    assert (await suite.get(base)).json == {"labels": []}
    gone = f"/api/v1/workflows/{name}-none/labels"
    assert refusal(await suite.get(gone)) == (404, "WORKFLOW_NOT_FOUND")


@pytest.mark.feature("S3-108")
async def test_every_change_is_kept_with_its_author_and_difference(suite: Suite, name: str) -> None:
    """Also when the workflow is gone; page by page."""
    author = {"Flowmesh-Actor": "grace"}
    await applied(suite, answering(name, "one"), **author)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    await applied(suite, answering(name, "two", inputSchema=schema), **author)
    deleted = await suite.delete(f"/api/v1/workflows/{name}?reason=unused", headers=author)
    assert deleted.status == 204
    path = f"/api/v1/workflows/{name}/changes?pageSize=2"
    first = (await suite.get(path)).json
    rest = (await suite.get(f"{path}&pageToken={first['nextPageToken']}")).json
    gone, changed, created = first["changes"] + rest["changes"]
    assert rest["nextPageToken"] == ""
    assert [each["action"] for each in (gone, changed, created)] == [
        "deleted",
        "changed",
        "created",
    ]
    assert {each["actor"] for each in (gone, changed, created)} == {"grace"}
    assert (gone["previousVersion"], gone["reason"]) == (2, "unused")
    assert (changed["previousVersion"], changed["version"]) == (1, 2)
    assert changed["differences"] == [
        {"area": "schema", "action": "changed", "subject": "input", "after": schema},
        {
            "area": "output",
            "action": "changed",
            "subject": "",
            "field": "answer",
            "before": "one",
            "after": "two",
        },
    ]
    assert refusal(await suite.get(f"/api/v1/workflows/{name}-none/changes")) == (
        404,
        "WORKFLOW_NOT_FOUND",
    )


async def test_two_versions_are_compared_by_meaning(suite: Suite, name: str) -> None:
    """Nodes, edges, policies, labels; the order of tasks is no difference."""
    a, b = {"id": "a", "taskRef": "noop"}, {"id": "b", "taskRef": "noop", "dependsOn": ["a"]}
    await applied(suite, workflow(name, a, b))
    retry = {"maxAttempts": 9}
    c = {"id": "c", "taskRef": "delay", "input": {"duration": "1ms"}, "retry": retry}
    old, new = workflow(name, b, a), workflow(name, c, {**b, "dependsOn": ["c"]}, a)
    new["metadata"]["labels"] = {"team": "shop"}
    await applied(suite, old)
    await applied(suite, new)
    path = f"/api/v1/workflows/{name}/diff"
    assert (await suite.get(f"{path}?from=1&to=2")).json["differences"] == []
    answer = (await suite.get(f"{path}?from=1")).json
    assert (answer["from"], answer["to"]) == (1, 3)
    found = {(each["area"], each["action"], each["subject"]) for each in answer["differences"]}
    assert found == {
        ("node", "added", "c"),
        ("policy", "added", "c"),
        ("edge", "removed", "a -> b"),
        ("edge", "added", "c -> b"),
        ("label", "added", "team"),
    }
    assert refusal(await suite.get(f"{path}?from=9")) == (404, "WORKFLOW_NOT_FOUND")


@pytest.mark.long
async def test_the_command_line_releases_and_rolls_back(
    suite: Suite, name: str, tmp_path: Path
) -> None:
    """Label, diff, changes and rollback, as a person types them."""
    first, second = tmp_path / "one.yaml", tmp_path / "two.yaml"
    first.write_text(text(answering(name, "one")))
    second.write_text(text(answering(name, "two")))
    for file in (first, second):
        assert (await command(suite, "apply", "-f", str(file))).code == 0
    line = '~ output answer: "one" -> "two"'
    assert (await command(suite, "diff", name, "1", "2")).lines == [line]
    assert (await command(suite, "diff", str(first), str(second))).lines == [line]
    await command(suite, "label", "set", name, "production", "1")
    moved = await command(suite, "label", "set", name, "production", "2", "--reason", "tested")
    assert moved.lines == [f"{name} production: 1 -> 2"]
    back = await command(suite, "rollback", name, "--reason", "it broke")
    assert back.lines == [f"{name} production: 2 -> 1"]
    (row,) = (await command(suite, "label", "list", name, "--json")).json
    assert (row["label"], row["version"]) == ("production", 1)
    changes = (await command(suite, "changes", name, "--label", "production", "--json")).json
    assert [each["reason"] for each in changes] == ["it broke", "tested", ""]
    assert (await command(suite, "label", "rm", name, "production")).code == 0
    missing = await command(suite, "rollback", name)
    assert missing.code == 1
    assert "[LABEL_NOT_FOUND]" in missing.err


async def test_a_label_goes_nowhere_where_the_data_does_not_flow(suite: Suite, name: str) -> None:
    """A task changed since: the old version would break with it."""
    number, word = (
        {"type": "object", "properties": {"x": {"type": t}}} for t in ("number", "string")
    )

    def task(schema: Json) -> Json:
        return resource(
            "WorkflowTask",
            f"{name}-t",
            type="function",
            function={"code": "return 1"},
            inputSchema=schema,
        )

    node = {"id": "a", "taskRef": f"{name}-t"}
    await applied(suite, task(number), workflow(name, {**node, "input": {"x": 1}}))
    await applied(suite, task(word), workflow(name, {**node, "input": {"x": "1"}}))
    path = f"/api/v1/workflows/{name}/labels/production"
    refused = await suite.put(path, {"version": 1})
    assert refusal(refused) == (400, "TYPE_MISMATCH")
    (problem,) = (await suite.post("/api/v1/workflows:validate", task(number))).json["problems"]
    broken = problem["broken"]
    assert (broken["workflow"], broken["namespace"], broken["version"]) == (name, "default", 2)
    assert f"would break: {broken['problem']}" in problem["message"]
    assert (await suite.put(path, {"version": 2})).status == 200


def taking(name: str, schema: Json, **spec: Json) -> Json:
    return workflow(name, {"id": "a", "taskRef": "noop"}, inputSchema=schema, **spec)


@pytest.mark.long
async def test_a_new_version_is_compatible_with_callers_or_says_why_not(
    suite: Suite, name: str, tmp_path: Path
) -> None:
    """Input and output, member by member; of versions, and of a file before it is registered."""
    text_, number = {"type": "string"}, {"type": "number"}
    old: Json = {"type": "object", "properties": {"id": text_, "n": number}}
    await applied(suite, taking(name, old, outputSchema=old))
    wider = {"type": "object", "properties": {**old["properties"], "note": text_}}
    await applied(suite, taking(name, wider, outputSchema=wider))
    narrower = {
        "type": "object",
        "required": ["id"],
        "properties": {"id": text_, "n": {"type": "integer"}},
    }
    await applied(suite, taking(name, narrower, outputSchema={**old, "properties": {"id": text_}}))
    path = f"/api/v1/workflows/{name}/compatibility"

    async def verdicts(query: str) -> list[str]:
        answer = (await suite.get(f"{path}?{query}")).json
        return [answer[key] for key in ("verdict", "input", "output")]

    assert await verdicts("from=1&to=2") == ["compatible"] * 3
    assert await verdicts("to=2") == ["compatible"] * 3
    assert await verdicts("from=2&to=1") == ["breaking", "compatible", "breaking"]
    answer = (await suite.get(f"{path}?from=1")).json
    assert (answer["from"], answer["to"], answer["verdict"]) == (1, 3, "breaking")
    broken = {
        (each["side"], each["path"]) for each in answer["reasons"] if each["verdict"] == "breaking"
    }
    assert broken == {("input", ""), ("input", "n"), ("output", "n")}

    newest = await command(suite, "compat", name, "--json")
    assert (newest.code, newest.json["from"], newest.json["to"]) == (1, 2, 3), newest.out
    first = await suite.get(f"{path}?to=1")
    assert refusal(first) == (400, "REQUEST_INVALID"), first.text

    file = tmp_path / "next.yaml"
    file.write_text(text(taking(name, {"type": "array"})))
    checked = await command(suite, "compat", name, "1", "-f", str(file), "--json")
    assert (checked.code, checked.json["verdict"], checked.json["to"]) == (1, "breaking", 0)
    assert (await suite.get(f"/api/v1/workflows/{name}")).json["version"] == 3
    sent = await suite.post(f"{path}?from=1", data=file.read_bytes(), headers=YAML)
    assert sent.json["verdict"] == "breaking"


async def test_what_runs_could_move_where_what_has_started_is_unchanged(
    suite: Suite, world: World, name: str
) -> None:
    """Also when the task that it runs with is another one since."""
    world.hold("first")

    def flow(*more: Json, value: int = 1) -> Json:
        node = {"id": "a", "taskRef": f"{name}-t", "input": {"n": value}}
        return workflow(name, node, {"id": "b", "taskRef": "noop", "dependsOn": ["a"]}, *more)

    await applied(suite, http_task(f"{name}-t", world.url("first")), flow())
    started = await suite.post(f"/api/v1/workflows/{name}/start", {})
    execution = started.json["executionId"]
    await world.called("first")
    await applied(suite, flow({"id": "c", "taskRef": "noop", "dependsOn": ["b"]}))
    await applied(suite, flow(value=2))
    path = f"/api/v1/workflows/{name}/compatibility"

    async def move(to: int) -> Json:
        (found,) = (await suite.get(f"{path}?from=1&to={to}")).json["executions"]
        assert (found["executionId"], found["version"]) == (execution, 1)
        return found["movable"], found["reasons"]

    assert await move(2) == (True, [])
    assert await move(3) == (False, ["a has started and differs in input"])
    await applied(suite, http_task(f"{name}-t", world.url("second")))
    assert await move(2) == (False, ["a has started and differs in task"])
    world.release("first")
    assert (await suite.wait(execution))["status"] == "completed"
    assert (await suite.get(f"{path}?from=1&to=2")).json["executions"] == []


@pytest.mark.feature("S3-100")
async def test_a_definition_read_often_is_read_once(suite: Suite, name: str) -> None:
    """The share of reads that a cache answered is exported."""
    await applied(suite, answering(name, "one"))

    async def reads(result: str) -> float:
        found = (await suite.get("/metrics")).text
        wanted = f'flowmesh_definition_cache_reads_total{{cache="workflow",result="{result}"}} '
        lines = [line for line in found.splitlines() if line.startswith(wanted)]
        return float(lines[0].split()[-1]) if lines else 0.0

    hits, misses = await reads("hit"), await reads("miss")
    for _ in range(10):
        assert (await suite.get(f"/api/v1/workflows/{name}")).status == 200
    assert (await reads("hit") - hits, await reads("miss") - misses) == (9, 1)
    ratio = [
        float(line.split()[-1])
        for line in (await suite.get("/metrics")).text.splitlines()
        if line.startswith('flowmesh_definition_cache_hit_ratio{cache="workflow"}')
    ]
    assert 0 < ratio[0] <= 1


@pytest.mark.slow
@pytest.mark.feature("S3-13")
async def test_definitions_survive_the_death_of_everything(tmp_path: Path, name: str) -> None:
    """Versions, labels, changes and templates are there again, and run."""
    async with Suite(tmp_path / "data") as suite:
        for answer in ("one", "two"):
            await applied(suite, answering(name, answer))
        await point(suite, name, "production", 1)
        await applied(suite, resource("WorkflowTemplate", name, resources=[answering("x", "y")]))
        paths = [
            f"/api/v1/workflows/{name}/versions",
            f"/api/v1/workflows/{name}/labels",
            f"/api/v1/workflows/{name}/changes",
            f"/api/v1/templates/{name}",
        ]
        before = [(await suite.get(path)).json for path in paths]
        await suite.kill_everything()
        await suite.start()
        assert [(await suite.get(path)).json for path in paths] == before
        assert await said(suite, name, "production") == "one"
