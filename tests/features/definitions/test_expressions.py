"""The template language on the running suite: functions, Go form, decisions in four languages."""

import hashlib
import itertools
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Response, Suite
from flowmesh.testing.world import World

_numbers = itertools.count(1)
YAML = {"content-type": "application/yaml"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


@pytest.fixture
def name() -> str:
    """A name that only this test uses."""
    return f"expressions-{next(_numbers)}"


def resource(kind: str, name: str, **spec: Json) -> Json:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def http_task(name: str, url: str, *, http: Json = None, **spec: Json) -> Json:
    """Posts its input, and whatever else `http` says."""
    request = {"method": "POST", "url": url, "body": "{{input}}", **(http or {})}
    return resource("WorkflowTask", name, type="http", http=request, **spec)


def workflow(name: str, *tasks: Json, **spec: Json) -> Json:
    return resource("Workflow", name, tasks=list(tasks), **spec)


async def apply(suite: Suite, *resources: Json) -> Response:
    source = yaml.safe_dump_all(resources, sort_keys=False).encode()
    return await suite.post("/api/v1/workflows", data=source, headers=YAML)


async def applied(suite: Suite, *resources: Json) -> None:
    answer = await apply(suite, *resources)
    assert answer.status == 201, answer.text


async def executed(suite: Suite, name: str, value: Json = None) -> Json:
    answer = await suite.post(f"/workflows/{name}/execute", {"input": value or {}})
    assert answer.status == 200, answer.text
    return answer.json


@pytest.mark.feature("S0-140", "S0-26")
async def test_functions_and_pipes_compute_what_tasks_get(
    suite: Suite, world: World, name: str
) -> None:
    """In the input of a task, in the configuration of a task, in the output of the workflow."""
    headers = {"X-Digest": "{{ sha256(input.user) }}"}
    task = http_task(f"{name}-task", world.url("made"), http={"headers": headers})
    given = {
        "user": "{{ input.name | trim | upper }}",
        "total": "{{ round(mul(input.price, input.count), 2) }}",
        "label": '{{ default(input.label, "none") }} of {{ length(input.tags) }}',
        "tags": "{{ sort(input.tags) }}",
        "due": '{{ dateAdd(input.ordered, 14, "days") | formatDate("d MMM yyyy") }}',
        "size": '{{ if(gt(input.count, 10), "large", "small") }}',
    }
    output = {"tags": '{{ input.tags | join("+") }}'}
    node = {"id": "make", "taskRef": f"{name}-task", "input": given}
    await applied(suite, task, workflow(name, node, output=output))
    value = {
        "name": " ada ", "price": 1.155, "count": 3, "tags": ["b", "a"], "ordered": "2026-01-20",
    }  # fmt: skip
    ran = await executed(suite, name, value)
    (call,) = world.calls("made")
    assert call.json == {
        "user": "ADA",
        "total": 3.47,
        "label": "none of 2",
        "tags": ["a", "b"],
        "due": "3 Feb 2026",
        "size": "small",
    }
    assert call.headers["x-digest"] == hashlib.sha256(b"ADA").hexdigest()
    assert ran["output"] == {"tags": "b+a"}


@pytest.mark.feature("S0-140")
async def test_every_attempt_sends_the_same_identities(
    suite: Suite, world: World, name: str
) -> None:
    """`uuid()` belongs to the task, not to the attempt; `now()` is when the attempt was due."""
    world.answers("flaky", status=503, times=1)
    headers = {"X-Request": "{{ uuid() }}"}
    retry = {"maxAttempts": 3, "initialDelay": "1ms"}
    task = http_task(f"{name}-task", world.url("flaky"), http={"headers": headers}, retry=retry)
    given = {"id": "{{ uuid() }}", "other": "{{ uuid() }}", "at": "{{ now() }}"}
    await applied(
        suite, task, workflow(name, {"id": "a", "taskRef": f"{name}-task", "input": given})
    )
    await executed(suite, name)
    first, second = world.calls("flaky")
    assert first.json["id"] == second.json["id"] != first.json["other"]
    assert first.headers["x-request"] == second.headers["x-request"] != first.json["id"]
    assert uuid.UUID(first.json["id"]).version == 4
    sent = datetime.fromisoformat(first.json["at"])
    assert abs(datetime.now(UTC) - sent) < timedelta(minutes=1)
    await executed(suite, name)
    assert world.calls("flaky")[-1].json["id"] != first.json["id"]


@pytest.mark.feature("S0-32")
async def test_calls_are_checked_before_anything_runs(suite: Suite, name: str) -> None:
    """Unknown functions with what was meant, numbers and kinds of arguments, types of results."""
    need = {"type": "object", "properties": {"n": {"type": "number"}}}
    task = http_task(f"{name}-task", "http://x/", inputSchema=need)
    for text, code, words in (
        ("{{ uper(input.x) }}", "TEMPLATE_UNKNOWN_FUNCTION", "did you mean upper?"),
        ("{{ upper(input.x, 2) }}", "TEMPLATE_ARGUMENTS_INVALID", "takes 1 argument, not 2"),
        ("{{ round('x') }}", "TEMPLATE_ARGUMENTS_INVALID", "must be a number"),
        ("{{ length(tasks.nope.output.x) }}", "TEMPLATE_UNKNOWN_REFERENCE", "no task 'nope'"),
        ("{{ upper(input.x) }}", "TYPE_MISMATCH", "string does not fit number"),
    ):
        node = {"id": "a", "taskRef": f"{name}-task", "input": {"n": text}}
        refused = await apply(suite, task, workflow(name, node))
        assert (refused.status, refused.json["error"]["reason"]) == (400, code)
        (detail,) = refused.json["error"]["details"]
        assert detail["field"].endswith("tasks[0].input.n")
        assert words in detail["description"]


@pytest.mark.feature("S1-56", "S1-57", "S1-58", "S1-59", "S1-60", "S1-61", "S1-62")
async def test_workflows_and_tasks_may_be_written_in_the_go_form(
    suite: Suite, world: World, name: str
) -> None:
    """Functions, pipelines, and the outputs of earlier steps by dotted paths and by index."""
    world.answers("fetched", json={"email": "Ada@Example.org", "orders": [{"n": 2}]})
    headers = {"X-Mail": "{{ lower .mail }}"}
    task = http_task(
        f"{name}-task",
        world.url("go"),
        http={"headers": headers, "body": "{{ . }}"},
        templates="go",
    )
    given = {
        "id": "{{ uuidv4 }}",
        "at": "{{ now }}",
        "mail": "{{ .steps.fetch-user.email }}",
        "lower": "{{ lower .name }}",
        "status": '{{ default "pending" .status }}',
        "missing": '{{ .nothing | default "none" }}',
        "data": "{{ json .data }}",
        "count": '{{ (index .steps "fetch-user" "orders" 0).n }}',
        "text": "{{ .name }}: {{ .steps.fetch-user.orders }}",
    }
    await applied(
        suite,
        http_task(f"{name}-fetch", world.url("fetched")),
        task,
        workflow(
            name,
            {"id": "send", "taskRef": f"{name}-task", "input": given},
            {"id": "fetch-user", "taskRef": f"{name}-fetch", "input": {}},
            output={"mail": "{{ upper .steps.send.route }}"},
            templates="go",
        ),
    )
    value = {"name": "ADA", "status": "", "data": {"a": [1]}}
    ran = await executed(suite, name, value)
    (call,) = world.calls("go")
    sent = call.json
    assert uuid.UUID(sent.pop("id")).version == 4
    assert abs(datetime.now(UTC) - datetime.fromisoformat(sent.pop("at"))) < timedelta(minutes=1)
    assert sent == {
        "mail": "Ada@Example.org",
        "lower": "ada",
        "status": "pending",
        "missing": "none",
        "data": '{"a":[1]}',
        "count": 2,
        "text": 'ADA: [{"n":2}]',
    }
    assert call.headers["x-mail"] == "ada@example.org"
    assert ran["output"] == {"mail": "GO"}


@pytest.mark.feature("S1-61")
async def test_what_is_wrong_in_the_go_form_is_found_at_registration(
    suite: Suite, name: str
) -> None:
    """Functions, steps and features that are not there, each with its place."""
    for text, code, words in (
        ("{{ lwer .name }}", "TEMPLATE_UNKNOWN_FUNCTION", "did you mean lower?"),
        ("{{ .steps.nope.x }}", "TEMPLATE_UNKNOWN_REFERENCE", "no task 'nope'"),
        ("{{ range .list }}", "FEATURE_UNSUPPORTED", "'range'"),
        ("{{ .name", "TEMPLATE_INVALID", "not closed"),
    ):
        node = {"id": "a", "taskRef": "noop", "input": {"k": [text]}}
        refused = await apply(suite, workflow(name, node, templates="go"))
        assert (refused.status, refused.json["error"]["reason"]) == (400, code)
        (detail,) = refused.json["error"]["details"]
        assert detail["field"] == "tasks[0].input.k[0]"
        assert words in detail["description"]


@pytest.mark.feature("S3-68")
async def test_decisions_take_four_languages(suite: Suite, world: World, name: str) -> None:
    """The output names what holds, and other tasks are run by it."""
    conditions = [
        {"id": "large", "expression": "input.order.total > 1000"},
        {
            "id": "many",
            "language": "javascript",
            "expression": "input.order.items.filter(item => item.n > 1).length >= 2",
        },
        {"id": "gift", "language": "jsonpath", "expression": "$.order.items[?@.gift == true]"},
        {"id": "cheap", "language": "jq", "expression": "any(.order.items[]; .n == 0)"},
    ]
    decision = {"conditions": conditions, "default": ["usual"], "match": "all"}
    route = resource("WorkflowTask", f"{name}-route", type="decision", decision=decision)
    given = {"order": "{{input.order}}"}
    await applied(
        suite,
        route,
        http_task(f"{name}-call", world.url("gift")),
        workflow(
            name,
            {"id": "route", "taskRef": f"{name}-route", "input": given},
            {
                "id": "wrap",
                "taskRef": f"{name}-call",
                "condition": "'gift' in tasks.route.output",
            },
            output="{{tasks.route.output}}",
        ),
    )

    async def decided(total: int, *items: Json) -> Json:
        return (await executed(suite, name, {"order": {"total": total, "items": items}}))["output"]

    assert await decided(10) == ["usual"]
    assert await decided(2000, {"n": 2}, {"n": 3}) == ["large", "many"]
    assert world.calls("gift") == []
    assert await decided(10, {"n": 0, "gift": True}) == ["gift", "cheap"]
    assert len(world.calls("gift")) == 1


@pytest.mark.feature("S3-68")
async def test_conditions_of_a_decision_are_checked_in_their_language(
    suite: Suite, name: str
) -> None:
    """All of them at once, each with its place."""
    sources = [("cel", "input.a >"), ("javascript", "a ==="), ("jsonpath", "$[?"), ("jq", ".a |")]
    conditions = [{"id": f"c-{lang}", "language": lang, "expression": s} for lang, s in sources]
    decision = {"conditions": conditions}
    refused = await apply(suite, resource("WorkflowTask", name, type="decision", decision=decision))
    assert (refused.status, refused.json["error"]["reason"]) == (400, "EXPRESSION_INVALID")
    assert {detail["field"] for detail in refused.json["error"]["details"]} == {
        f"decision.conditions[{index}].expression" for index in range(4)
    }


@pytest.mark.feature("S0-27", "S1-61")
async def test_outputs_have_four_views(suite: Suite, world: World, name: str) -> None:
    """One stored output, shown as each format reads it."""
    world.answers("made", json={"x": 1})
    await applied(
        suite,
        http_task(f"{name}-task", world.url("made")),
        workflow(name, {"id": "make-it", "taskRef": f"{name}-task", "input": "{{input}}"}),
    )
    path = f"/api/v1/executions/{(await executed(suite, name, {'a': 2}))['executionId']}/results"

    async def view(name: str) -> Json:
        found = (await suite.get(f"{path}?view={name}")).json
        del found["executionId"]
        return found

    assert await view("tasks") == {"tasks": {"make-it": {"output": {"x": 1}}}}
    assert await view("steps") == {"steps": {"make-it": {"x": 1}}}
    assert await view("context") == {"context": {"a": 2, "make-it": {"x": 1}}}
    nodes = await view("nodes")
    assert nodes["variables"] == {"a": 2}
    node = nodes["nodeResults"]["make-it"]
    assert (node["status"], node["output"], node["retryCount"]) == ("completed", {"x": 1}, 0)
    assert (await suite.get(f"{path}?view=other")).status == 400


@pytest.mark.feature("S0-30")
async def test_a_bare_name_is_one_of_the_scope_it_stands_in(
    suite: Suite, world: World, name: str
) -> None:
    """In a map `item` and `index` are there beside the usual roots, and only there."""
    given = {"first": "{{item.lines[0].name}}", "at": "{{index}}", "n": "{{length(item.lines)}}"}
    task = {"id": "each", "taskRef": f"{name}-task", "input": given}
    body = {"items": "{{input.orders}}", "tasks": [task]}
    sent = http_task(f"{name}-task", world.url("item"))
    await applied(suite, sent, workflow(name, {"id": "all", "map": body}))
    orders = [{"lines": [{"name": "a"}, {"name": "b"}]}, {"lines": [{"name": "c"}]}]
    await executed(suite, name, {"orders": orders})
    got = sorted((call.json for call in world.calls("item")), key=lambda each: each["at"])
    assert got == [{"first": "a", "at": 0, "n": 2}, {"first": "c", "at": 1, "n": 1}]
    refused = await apply(suite, sent, workflow(name, task))
    assert refused.json["error"]["reason"] == "TEMPLATE_UNKNOWN_REFERENCE"
