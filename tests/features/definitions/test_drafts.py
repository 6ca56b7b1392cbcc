"""Calls of editors of workflows: texts with comments, drafts, schemas, no lost changes."""

import itertools
from typing import Any

import pytest

from flowmesh.testing.suite import Suite
from tests.features.natives import YAML, execute

_numbers = itertools.count(1)
TEXT = """\
# The order of a shop.
apiVersion: workflow.io/v1
kind: Workflow
metadata: {{name: {name}}}   # as in the shop
spec:
  tasks:
    - id: a          # first
      taskRef: noop
    - {{id: b, taskRef: noop, dependsOn: [a]}}
  output: {{answer: {answer}}}
"""
STEPS = {
    "id": "hello",
    "name": "Hello",
    "steps": [{"id": "wait", "name": "Wait", "action": "delay", "params": {"duration": 1000}}],
}


@pytest.fixture
def name() -> str:
    return f"draft-{next(_numbers)}"


async def put(suite: Suite, name: str, text: str, **headers: str) -> Any:
    return await suite.put(f"/api/v1/workflows/{name}", data=text.encode(), headers=YAML | headers)


async def source(suite: Suite, name: str, query: str = "") -> Any:
    return await suite.get(f"/api/v1/workflows/{name}/source{query}")


def header(answer: Any, name: str) -> str:
    return str({key.lower(): value for key, value in answer.headers.items()}[name])


async def analyzed(suite: Suite, text: str) -> Any:
    return await suite.post("/api/v1/workflows:analyze", data=text.encode(), headers=YAML)


@pytest.mark.feature("S0-133", "S3-60")
async def test_a_text_is_read_as_it_was_written(suite: Suite, name: str) -> None:
    """With comments, order and quoting, for each version."""
    for answer in ("one", "two"):
        assert (await put(suite, name, TEXT.format(name=name, answer=answer))).status == 201
    newest, first = await source(suite, name), await source(suite, name, "?version=1")
    assert newest.text == TEXT.format(name=name, answer="two")
    assert first.text == TEXT.format(name=name, answer="one")
    assert header(newest, "content-type").startswith("application/yaml")
    assert (header(newest, "flowmesh-version"), header(first, "flowmesh-version")) == ("2", "1")
    stored = (await suite.get(f"/api/v1/workflows/{name}")).json
    assert header(newest, "etag") == f'"{stored["digest"]}"'


@pytest.mark.feature("S0-133")
async def test_a_changed_comment_is_kept_and_makes_no_version(suite: Suite, name: str) -> None:
    """The newest text of a version replaces the former one."""
    text = TEXT.format(name=name, answer="one")
    await put(suite, name, text)
    commented = text.replace("# first", "# the first of two")
    again = await put(suite, name, commented)
    assert (again.status, again.json["version"]) == (200, 1)
    assert (await source(suite, name)).text == commented


@pytest.mark.feature("S0-133")
async def test_a_workflow_without_a_text_has_its_definition(suite: Suite, name: str) -> None:
    """As JSON; a missing workflow or version is not found."""
    await suite.post("/api/v1/workflows", STEPS | {"id": name})
    found = await source(suite, name)
    assert found.json == STEPS | {"id": name}
    assert (await source(suite, "no-such-workflow")).status == 404
    assert (await source(suite, name, "?version=7")).status == 404


@pytest.mark.feature("S0-133")
async def test_an_edit_does_not_replace_a_version_that_its_author_has_not_read(
    suite: Suite, name: str
) -> None:
    """`If-Match` refuses it and names the stored version."""
    await put(suite, name, TEXT.format(name=name, answer="one"))
    read = header(await source(suite, name), "etag")
    theirs = await put(suite, name, TEXT.format(name=name, answer="theirs"), **{"If-Match": read})
    assert (theirs.status, theirs.json["version"]) == (201, 2)
    ours = await put(suite, name, TEXT.format(name=name, answer="ours"), **{"If-Match": read})
    assert (ours.status, ours.json["error"]["reason"]) == (409, "ETAG_MISMATCH")
    assert "version 2" in ours.json["error"]["message"]
    assert (await execute(suite, name)).json["output"] == {"answer": "theirs"}
    now = header(await source(suite, name), "etag")
    merged = await put(suite, name, TEXT.format(name=name, answer="both"), **{"If-Match": now})
    assert merged.json["version"] == 3


@pytest.mark.feature("S0-133")
async def test_a_new_workflow_does_not_replace_one_of_the_same_name(
    suite: Suite, name: str
) -> None:
    """`If-None-Match: *` refuses it until the other one is deleted."""
    new = {"If-None-Match": "*"}
    assert (await put(suite, name, TEXT.format(name=name, answer="one"), **new)).status == 201
    again = await put(suite, name, TEXT.format(name=name, answer="two"), **new)
    assert (again.status, again.json["error"]["reason"]) == (409, "ETAG_MISMATCH")
    gone = await suite.delete(f"/api/v1/workflows/{name}")
    assert gone.status == 204
    assert (await put(suite, name, TEXT.format(name=name, answer="two"), **new)).status == 201


@pytest.mark.feature("S0-133")
async def test_a_text_with_tasks_beside_the_workflow_has_the_same_conditions(
    suite: Suite, name: str
) -> None:
    """`POST /workflows` applies all resources; several workflows have no single digest."""
    task = "---\napiVersion: workflow.io/v1\nkind: WorkflowTask\nmetadata: {{name: {name}-t}}\n"
    text = TEXT + task + "spec: {{type: greet}}\n"

    async def post(answer: str, condition: dict[str, str], more: str = "") -> Any:
        data = (text.format(name=name, answer=answer) + more).encode()
        return await suite.post("/api/v1/workflows", data=data, headers=YAML | condition)

    new = {"If-None-Match": "*"}
    assert (await post("one", new)).status == 201
    assert (await post("two", new)).json["error"]["reason"] == "ETAG_MISMATCH"
    found = await source(suite, name)
    assert found.text == text.format(name=name, answer="one")
    read = {"If-Match": header(found, "etag")}
    assert (await post("two", read)).status == 201
    assert (await post("three", read)).json["error"]["reason"] == "ETAG_MISMATCH"
    other = "---\n" + TEXT.format(name=f"{name}-2", answer="one")
    assert (await post("four", read, other)).json["error"]["reason"] == "REQUEST_INVALID"


@pytest.mark.feature("S1-105")
@pytest.mark.parametrize("target", ["native", "steps", "graph", "serverless", "states", "python"])
async def test_a_draft_is_converted_to_every_format(suite: Suite, target: str) -> None:
    """The result is valid, and nothing is stored."""
    answer = await suite.post(f"/api/v1/workflows:convert?to={target}", STEPS)
    assert answer.status == 200, answer.text
    if target == "python":
        compile(answer.text, "draft", "exec")
    else:
        kind = header(answer, "content-type")
        checked = await suite.post(
            "/api/v1/workflows:validate",
            data=answer.text.encode(),
            headers={"content-type": kind},
        )
        assert checked.json["valid"], checked.text
    assert (await suite.get("/api/v1/workflows/hello")).status == 404


@pytest.mark.feature("S1-105", "S0-23")
async def test_a_draft_that_is_wrong_is_not_converted(suite: Suite) -> None:
    """The problems and unknown formats are named."""
    answer = await suite.post("/api/v1/workflows:convert?to=graph", STEPS | {"steps": [{}]})
    assert answer.status == 400
    assert answer.json["error"]["details"]
    unknown = await suite.post("/api/v1/workflows:convert?to=bpmn", STEPS)
    assert (unknown.status, unknown.json["error"]["reason"]) == (400, "REQUEST_INVALID")


@pytest.mark.feature("S0-23")
async def test_a_draft_is_analyzed_without_storing_it(suite: Suite, name: str) -> None:
    """Several workflows and unreadable texts are refused."""
    text = TEXT.format(name=name, answer="one")
    answer = await analyzed(suite, text)
    assert answer.status == 200, answer.text
    assert answer.json["criticalPath"] == ["a", "b"]
    assert (await suite.get(f"/api/v1/workflows/{name}")).status == 404
    several = text + "---\n" + text.replace(name, f"{name}-2")
    refused = await analyzed(suite, several)
    assert (refused.status, refused.json["error"]["reason"]) == (400, "WORKFLOW_INVALID")
    broken = await analyzed(suite, "a: [")
    assert broken.json["error"]["details"][0]["line"] >= 1


@pytest.mark.feature("S1-100")
async def test_schemas_and_task_types_are_served(suite: Suite) -> None:
    """One schema per kind of document, and the parameters of each type."""
    for kind in ("workflow", "task", "template", "steps", "graph", "test"):
        found = await suite.get(f"/api/v1/schemas/{kind}")
        assert found.json["$schema"].endswith("2020-12/schema"), kind
    wrong = await suite.get("/api/v1/schemas/recipe")
    assert (wrong.status, wrong.json["error"]["reason"]) == (400, "REQUEST_INVALID")
    types = {
        each["name"]: each for each in (await suite.get("/api/v1/task-types")).json["taskTypes"]
    }
    assert types["http.request"]["parameters"]["properties"]["url"]
    assert (types["http.request"]["category"], types["http.request"]["takesSecrets"]) == (
        "call",
        True,
    )
    assert types["http.request"]["native"] == "http"
