"""Versions as those who release them use them: labels, rollbacks, differences, who did what."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import (
    applied,
    execute,
    refusal,
    resource,
    text,
    workflow,
)

_numbers = itertools.count(1)
Json = Any


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


@pytest.mark.feature("S4-97")
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
    """A number for a name, a version or label that is not there, a workflow that is not."""
    await applied(suite, answering(name, "one"))
    base = f"/api/v1/workflows/{name}/labels"
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
    gone, changed, created = [*first["changes"], *rest["changes"]]
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
    assert (await suite.put(path, {"version": 2})).status == 200
