"""Definitions as their authors see them: what is refused and where, versions, data flow."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator

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
    """A name that only this test uses, for a workflow and with an ending for its tasks."""
    return f"definition-{next(_numbers)}"


def resource(kind: str, name: str, **spec: Json) -> Json:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def http_task(name: str, url: str, **spec: Json) -> Json:
    """Posts its input."""
    http = {"method": "POST", "url": url, "body": "{{input}}"}
    return resource("WorkflowTask", name, type="http", http=http, **spec)


def workflow(name: str, *tasks: Json, **spec: Json) -> Json:
    return resource("Workflow", name, tasks=list(tasks), **spec)


async def apply(suite: Suite, *resources: Json) -> Response:
    source = yaml.safe_dump_all(resources, sort_keys=False).encode()
    return await suite.post("/api/v1/workflows", data=source, headers=YAML)


async def applied(suite: Suite, *resources: Json) -> None:
    answer = await apply(suite, *resources)
    assert answer.status == 201, answer.text


async def execute(suite: Suite, name: str, value: Json = None) -> Response:
    return await suite.post(f"/workflows/{name}/execute", {"input": value or {}})


def refusal(answer: Response) -> tuple[int, str]:
    return answer.status, answer.json["error"]["reason"]


@pytest.mark.feature("S0-35", "S2-07")
async def test_a_circle_is_shown_in_the_words_of_the_sample(suite: Suite, name: str) -> None:
    """In both dialects; nothing is stored."""
    text = "Circular dependency: task-a → task-b → task-a"
    pairs = (("task-a", "task-b"), ("task-b", "task-a"))
    tasks = [{"id": a, "taskRef": "noop", "dependsOn": [b]} for a, b in pairs]
    refused = await apply(suite, workflow(name, *tasks))
    assert refusal(refused) == (400, "GRAPH_CYCLE")
    assert refused.json["error"]["message"] == text
    steps = [{"id": a, "dependencies": [b]} for a, b in pairs]
    refused = await suite.post("/workflows", {"id": name, "steps": steps})
    assert refusal(refused) == (400, "GRAPH_CYCLE")
    assert refused.json["error"]["message"] == text
    assert (await suite.get(f"/workflows/{name}")).status == 404


@pytest.mark.feature("S0-117", "S0-07")
async def test_four_bad_resources_get_four_refusals(suite: Suite, name: str) -> None:
    """Schema, circle, missing task, types; the good one is stored."""
    need = {"type": "object", "properties": {"total": {"type": "number"}}}
    give = {"type": "object", "properties": {"total": {"type": "string"}}}
    cart = http_task(f"{name}-cart", "http://x/", outputSchema=give)
    pay = http_task(f"{name}-pay", "http://x/", inputSchema=need)
    circle = [{"id": a, "taskRef": "noop", "dependsOn": [b]} for a, b in ("ab", "ba")]
    flow = [
        {"id": "cart", "taskRef": f"{name}-cart"},
        {"id": "pay", "taskRef": f"{name}-pay", "input": {"total": "{{tasks.cart.output.total}}"}},
    ]
    bad = {
        "SCHEMA_INVALID": [http_task(name, "http://x/", inputSchema={"type": "strin"})],
        "GRAPH_CYCLE": [workflow(name, *circle)],
        "TASK_NOT_FOUND": [workflow(name, {"id": "a", "taskRef": f"{name}-none"})],
        "TYPE_MISMATCH": [cart, pay, workflow(name, *flow)],
    }
    for reason, resources in bad.items():
        assert refusal(await apply(suite, *resources)) == (400, reason)
    assert (await suite.get(f"/api/v1/tasks/{name}-cart")).status == 404
    mismatch = (await apply(suite, cart, pay, workflow(name, *flow))).json["error"]
    (detail,) = mismatch["details"]
    assert detail["field"].endswith("tasks[1].input.total")
    assert detail["description"] == (
        f"string does not fit number expected by {name}-pay (from tasks.cart.output.total)"
    )
    assert mismatch["message"] == f"{detail['field']}: {detail['description']}"
    await applied(suite, cart, workflow(name, flow[0]))


@pytest.mark.feature("S0-117")
async def test_validation_finds_everything_and_stores_nothing(suite: Suite, name: str) -> None:
    """Each problem with its code, severity, path, line and column; warnings beside errors."""
    steps = [
        {"id": "a", "dependencies": ["nope"], "colour": "red"},
        {"id": "a", "retryPolicy": {"maxAttempts": 0}},
    ]
    checked = await suite.post("/api/v1/workflows:validate", {"id": name, "steps": steps})
    assert checked.status == 200
    assert checked.json["valid"] is False
    found = {problem["path"]: problem for problem in checked.json["problems"]}
    assert {path: problem["code"] for path, problem in found.items()} == {
        "steps[0].colour": "DEFINITION_INVALID",
        "steps[0].dependencies[0]": "GRAPH_UNKNOWN_NODE",
        "steps[1].id": "GRAPH_DUPLICATE_NODE",
        "steps[1].retryPolicy.maxAttempts": "RETRY_INVALID",
    }
    assert found["steps[0].colour"]["severity"].lower() == "warning"
    assert all(problem["line"] == 1 and problem["column"] > 1 for problem in found.values())
    broken = await suite.post("/api/v1/workflows:validate", data=b"a: *x", headers=YAML)
    assert (broken.status, broken.json["valid"]) == (200, False)
    assert (await suite.get(f"/workflows/{name}")).status == 404


@pytest.mark.feature("S0-12")
async def test_a_task_in_use_cannot_be_deleted(suite: Suite, name: str) -> None:
    """Until nothing refers to it; numbers of a deleted workflow are not used again."""
    task_name = f"{name}-task"
    flow = workflow(name, {"id": "a", "taskRef": task_name})
    await applied(suite, http_task(task_name, "http://x/"), flow)
    assert refusal(await suite.delete(f"/api/v1/tasks/{task_name}")) == (409, "TASK_IN_USE")
    assert (await suite.delete(f"/api/v1/workflows/{name}")).status in (200, 204)
    assert (await suite.get(f"/api/v1/workflows/{name}")).status == 404
    assert (await suite.delete(f"/api/v1/tasks/{task_name}")).status in (200, 204)
    assert refusal(await apply(suite, flow)) == (400, "TASK_NOT_FOUND")
    await applied(suite, http_task(task_name, "http://x/"), flow)
    assert (await suite.get(f"/api/v1/workflows/{name}")).json["version"] == 2


@pytest.mark.feature("S0-32")
async def test_templates_are_checked_before_anything_runs(suite: Suite, name: str) -> None:
    """Unknown task, unknown input field, bad syntax: each where it stands in the string."""
    schema = {"type": "object", "properties": {"userId": {"type": "string"}}}
    for text, code, place in (
        ("{{tasks.nope.output.x}}", "TEMPLATE_UNKNOWN_REFERENCE", "tasks.nope.output.x}}"),
        ("a {{input.nope}}", "TEMPLATE_UNKNOWN_REFERENCE", "input.nope}}"),
        ("it's {{input.userId", "TEMPLATE_INVALID", "{{input.userId"),
    ):
        node = {"id": "a", "taskRef": "noop", "input": {"x": text}}
        source = yaml.safe_dump(workflow(name, node, inputSchema=schema), sort_keys=False)
        refused = await suite.post("/api/v1/workflows", data=source.encode(), headers=YAML)
        assert refusal(refused) == (400, code)
        (detail,) = refused.json["error"]["details"]
        assert (detail["field"], detail["code"]) == ("tasks[0].input.x", code)
        line = source.splitlines()[detail["line"] - 1]
        assert line[detail["column"] - 1 :].strip("'") == place


@pytest.mark.feature("S0-26", "S0-27", "S0-28", "S0-29", "S0-34", "S0-41")
async def test_data_flows_by_reference_in_the_right_order(
    suite: Suite, world: World, name: str
) -> None:
    """Values keep their types; what depends on what is said by templates, or by name."""
    orders = [{"items": [{"sku": "a", "n": 2}]}, {"items": []}]
    world.answers("user", json={"email": "ada@example.org", "orders": orders})
    fetch, send = http_task(f"{name}-fetch", world.url("user")), world.url("mail")
    mail = {
        "email": "{{tasks.fetch-user.output.email}}",
        "items": "{{tasks.fetch-user.output.orders[0].items}}",
        "deep": "{{input.nested.field}}",
        "text": "{{input.nested.field}} of {{input.userId}}",
    }
    await applied(
        suite,
        fetch,
        http_task(f"{name}-send", send),
        http_task(f"{name}-log", world.url("log")),
        workflow(
            name,
            {"id": "log", "taskRef": f"{name}-log", "dependsOn": ["send-email"]},
            {"id": "send-email", "taskRef": f"{name}-send", "input": mail},
            {"id": "fetch-user", "taskRef": f"{name}-fetch", "input": {"id": "{{input.userId}}"}},
        ),
    )
    ran = await execute(suite, name, {"userId": "u1", "nested": {"field": 7}})
    assert ran.status == 200, ran.text
    assert [call.route for call in world.calls()] == ["user", "mail", "log"]
    assert world.calls("user")[0].json == {"id": "u1"}
    assert world.calls("mail")[0].json == {
        "email": "ada@example.org",
        "items": [{"sku": "a", "n": 2}],
        "deep": 7,
        "text": "7 of u1",
    }


@pytest.mark.feature("S0-36")
async def test_the_groups_of_the_sample(suite: Suite, name: str) -> None:
    """Exactly three: two fetches at once, then what needs both, then the confirmation."""
    both = {"u": "{{tasks.fetch-user.output}}", "o": "{{tasks.fetch-orders.output}}"}
    tasks = [
        {"id": "fetch-user", "taskRef": "noop"},
        {"id": "fetch-orders", "taskRef": "noop"},
        {"id": "process-data", "taskRef": "noop", "input": both},
        {"id": "send-confirmation", "taskRef": "noop", "dependsOn": ["process-data"]},
    ]
    await applied(suite, workflow(name, *tasks))
    analysis = (await suite.get(f"/api/v1/workflows/{name}/analysis")).json
    expected = [["fetch-user", "fetch-orders"], ["process-data"], ["send-confirmation"]]
    assert analysis["groups"] == expected
    assert analysis["execution"]["parallelExecutionGroups"] == expected
    assert analysis["pathCount"] == 2


@pytest.mark.feature("S0-38")
async def test_parallelism_bounds_what_runs_at_once(suite: Suite, world: World, name: str) -> None:
    """Two of six calls are there; the third comes when one of them has been answered."""
    world.hold("slow")
    await applied(
        suite,
        http_task(f"{name}-call", world.url("slow")),
        workflow(
            name,
            *({"id": f"t{i}", "taskRef": f"{name}-call"} for i in range(6)),
            parallelism=2,
        ),
    )
    running = asyncio.create_task(execute(suite, name))
    await world.called("slow", 2)
    listed = (await suite.get(f"/executions?workflowId={name}")).json["executions"][0]
    execution = await suite.execution(listed["executionId"])
    assert len(execution["currentSteps"]) == 2
    assert len(world.calls("slow")) == 2
    world.release("slow")
    assert (await running).json["status"] == "completed"
    assert len(world.calls("slow")) == 6
    trace = (await suite.get(f"/api/v1/executions/{execution['executionId']}/trace")).json
    assert (trace["groups"]["plannedWidth"], trace["groups"]["actualWidth"]) == (6, 2)


@pytest.mark.feature("S0-20", "S0-21")
async def test_inputs_are_validated_by_the_schema_of_the_sample(suite: Suite, name: str) -> None:
    """Each violation has its own message and its place."""
    schema = {
        "type": "object",
        "properties": {
            "amount": {"type": "number", "minimum": 0.01},
            "currency": {"type": "string", "enum": ["USD", "EUR", "GBP"]},
        },
        "required": ["amount", "currency"],
    }
    await applied(suite, workflow(name, {"id": "a", "taskRef": "noop"}, inputSchema=schema))
    good = await execute(suite, name, {"amount": 0.01, "currency": "EUR"})
    assert good.json["status"] == "completed"
    messages = set()
    for value, place in (
        ({"amount": 0, "currency": "EUR"}, "amount"),
        ({"amount": 1, "currency": "JPY"}, "currency"),
        ({"amount": 1}, "currency"),
        ({"amount": "1", "currency": "EUR"}, "amount"),
    ):
        refused = await execute(suite, name, value)
        assert refusal(refused) == (400, "INPUT_INVALID")
        (detail,) = refused.json["error"]["details"]
        assert place in detail["field"] + detail["description"]
        assert detail["schemaPath"].startswith("#/")
        messages.add(detail["description"])
    assert len(messages) == 4


@pytest.mark.feature("S0-20")
async def test_schemas_cannot_reach_outside(suite: Suite, world: World, name: str) -> None:
    """A remote reference is refused and never fetched."""
    for schema in ({"$ref": world.url("schema")}, {"$schema": world.url("schema")}):
        refused = await apply(suite, http_task(name, "http://x/", inputSchema=schema))
        assert refusal(refused) == (400, "SCHEMA_REMOTE_REF")
    assert world.calls() == []


@pytest.mark.feature("S0-02", "S0-12", "S0-15")
async def test_one_task_serves_four_workflows_and_changes_in_one_place(
    suite: Suite, world: World, name: str
) -> None:
    """Its retry policy is theirs, and so is the next one."""
    world.answers("charge", status=503)
    names = [f"{name}-{index}" for index in range(4)]

    def charge(attempts: int) -> Json:
        retry = {"maxAttempts": attempts, "initialDelay": "1ms"}
        return http_task(f"{name}-charge", world.url("charge"), retry=retry)

    flows = [workflow(each, {"id": "pay", "taskRef": f"{name}-charge"}) for each in names]
    await applied(suite, charge(2), *flows)
    usages = (await suite.get(f"/api/v1/tasks/{name}-charge/usages")).json
    assert usages["workflows"] == [{"name": each, "version": 1} for each in names]
    stored = (await suite.get(f"/api/v1/tasks/{name}-charge/versions")).json["versions"]
    assert [each["version"] for each in stored] == [1]

    async def attempts() -> list[int]:
        ran = [await execute(suite, each) for each in names]
        return [answer.json["tasks"]["pay"]["attempts"] for answer in ran]

    assert await attempts() == [2, 2, 2, 2]
    await applied(suite, charge(3))
    assert await attempts() == [3, 3, 3, 3]
    assert (await suite.get(f"/api/v1/tasks/{name}-charge")).json["version"] == 2


@pytest.mark.feature("S0-39")
async def test_the_task_of_the_sample_is_stored_as_it_stands(suite: Suite, name: str) -> None:
    """Placeholders for its schemas included."""
    source = f"""
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata:
  name: {name}
spec:
  type: http
  http:
    method: POST
    url: "https://api.stripe.com/v1/charges"
    headers:
      Authorization: "Bearer {{{{input.apiKey}}}}"
    body: |
      {{
        "amount": {{{{input.amount}}}},
        "currency": "{{{{input.currency}}}}"
      }}
  timeout: "30s"
  inputSchema: {{ ... }}
  outputSchema: {{ ... }}
"""
    created = await suite.post("/api/v1/tasks", data=source.encode(), headers=YAML)
    assert created.status == 201, created.text
    stored = (await suite.get(f"/api/v1/tasks/{name}")).json
    assert stored["definition"] == yaml.safe_load(source)
    again = await suite.post("/api/v1/tasks", data=source.encode(), headers=YAML)
    assert again.status == 200


@pytest.mark.feature("S0-47", "S0-52")
async def test_transform_needs_no_resource(suite: Suite, name: str) -> None:
    """The pipeline of the sample, in order; no task of the library has the name."""
    assert (await suite.get("/api/v1/tasks/transform")).status == 404
    pipeline = [
        {"operation": "filter", "field": "active", "operator": "eq", "value": True},
        {"operation": "map", "mappings": {"userId": "id", "fullName": "name"}},
        {"operation": "sort", "field": "fullName", "order": "asc"},
        {"operation": "limit", "count": 10},
    ]
    given = {"source": "{{input.users}}", "pipeline": pipeline}
    await applied(
        suite, workflow(name, {"id": "transform-users", "taskRef": "transform", "input": given})
    )
    names = ["Lea", "Kim", "Jan", "Ida", "Hal", "Gus", "Fay", "Eve", "Dan", "Cid", "Bob", "Ada"]
    users = [{"id": index, "name": each, "active": True} for index, each in enumerate(names)]
    users[3]["active"] = False
    ran = await execute(suite, name, {"users": users})
    assert ran.status == 200, ran.text
    first = [index for index in reversed(range(12)) if index != 3][:10]
    assert ran.json["outputs"]["transform-users"] == [
        {"userId": index, "fullName": names[index]} for index in first
    ]


@pytest.mark.feature("S0-131", "S2-55")
async def test_versions_are_named_by_their_content(suite: Suite, world: World, name: str) -> None:
    """The same content has the same digest, going back restores it; what runs stays on its own."""
    world.hold("old")

    def flow(route: str) -> Json:
        params = {"url": world.url(route), "method": "GET"}
        steps = [
            {"id": "a", "action": "http.request", "params": params},
            {"id": "b", "action": "http.request", "params": params, "dependencies": ["a"]},
        ]
        return {"id": name, "steps": steps}

    async def register(route: str) -> tuple[int, Json]:
        answer = await suite.post("/workflows", flow(route))
        return answer.status, answer.json

    status, first = await register("old")
    assert (status, first["version"], first["created"]) == (201, 1, True)
    assert (await register("old"))[1] == {**first, "created": False}
    execution_id = await suite.begin(name)
    await world.called("old")
    status, second = await register("new")
    assert (status, second["version"]) == (201, 2)
    assert second["digest"] != first["digest"]
    newer = await suite.wait(await suite.begin(name))
    assert (newer["status"], len(world.calls("new"))) == ("completed", 2)
    world.release("old")
    assert (await suite.wait(execution_id))["status"] == "completed"
    assert (len(world.calls("old")), len(world.calls("new"))) == (2, 2)
    status, third = await register("old")
    assert (status, third["version"], third["digest"]) == (201, 3, first["digest"])
    versions = (await suite.get(f"/api/v1/workflows/{name}/versions")).json["versions"]
    digests = [(3, first["digest"]), (2, second["digest"]), (1, first["digest"])]
    assert [(each["version"], each["digest"]) for each in versions] == digests
    assert re.fullmatch("[0-9a-f]{64}", first["digest"])
    assert (await suite.get(f"/api/v1/workflows/{name}/versions/2")).json["digest"] == second[
        "digest"
    ]


@pytest.mark.feature("S2-36")
async def test_dependents_of_a_failed_step_never_start(
    suite: Suite, world: World, name: str
) -> None:
    """They are skipped, what they would have called hears nothing, other branches finish."""
    world.answers("charge", status=402)

    def call(route: str, *dependencies: str) -> Json:
        params = {"url": world.url(route), "method": "POST"}
        return {
            "id": route,
            "action": "http.request",
            "params": params,
            "dependencies": list(dependencies),
        }

    steps = [call("charge"), call("ship", "charge"), call("mail", "ship"), call("log")]
    ended = await suite.run({"id": name, "steps": steps})
    assert ended["status"] == "failed"
    assert sorted(ended["skippedSteps"]) == ["mail", "ship"]
    assert ended["completedSteps"] == ["log"]
    assert world.calls("ship") == world.calls("mail") == []


@pytest.mark.feature("S2-37")
async def test_only_critical_steps_fail_a_workflow(suite: Suite, world: World, name: str) -> None:
    """A step that is not critical may fail; the workflow completes."""
    world.answers("bad", status=400)
    params = {"url": world.url("bad"), "method": "GET"}
    step = {"id": "a", "action": "http.request", "params": params}
    for critical, status in ((False, "completed"), (True, "failed")):
        steps = [{**step, "critical": critical}, {"id": "b"}]
        ended = await suite.run({"id": f"{name}-{critical}", "steps": steps})
        assert (ended["status"], ended["failedSteps"]) == (status, ["a"])


@pytest.mark.feature("S0-41")
async def test_a_task_with_a_condition_runs_only_where_it_holds(
    suite: Suite, world: World, name: str
) -> None:
    """Otherwise it is skipped with what depends on it, and the workflow completes."""
    world.answers("cart", json={"total": 50})
    task = {"taskRef": f"{name}-call"}
    rule = "tasks.load-cart.output.total > input.minimum"
    await applied(
        suite,
        http_task(f"{name}-cart", world.url("cart")),
        http_task(f"{name}-call", world.url("gift")),
        workflow(
            name,
            {"id": "load-cart", "taskRef": f"{name}-cart"},
            {"id": "gift", **task, "condition": rule},
            {"id": "card", **task, "dependsOn": ["gift"]},
        ),
    )
    ran = await execute(suite, name, {"minimum": 100})
    assert ran.json["status"] == "completed", ran.text
    assert [ran.json["tasks"][each]["status"] for each in ("gift", "card")] == ["skipped"] * 2
    assert world.calls("gift") == []
    ran = await execute(suite, name, {"minimum": 10})
    assert ran.json["status"] == "completed", ran.text
    assert len(world.calls("gift")) == 2
