"""Workflows that are written in the Amazon States Language, on the running suite."""

from pathlib import Path

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.natives import applied, http_task, resource, text, workflow

ONCE = {"maxAttempts": 1}
# Named: a file alone does not tell whether a worker runs the task, which changes the default.
AGAIN = {"maxAttempts": 2, "initialDelay": "1s", "retryOn": ["ServerError"]}


def flow(name: str) -> Json:
    """A fan-out with a map, a condition, a fallback and a retry, and what joins it."""
    each = {"id": "x", "taskRef": "exported-price", "retry": ONCE, "input": {"of": "{{item}}"}}
    return workflow(
        name,
        {"id": "order", "taskRef": "exported-order", "retry": AGAIN,
         "input": {"id": "{{input.id}}"}},
        {"id": "prices", "dependsOn": ["order"],
         "map": {"items": "{{tasks.order.output.items}}", "concurrency": 2, "tasks": [each]}},
        {"id": "gift-card", "dependsOn": ["order"], "taskRef": "exported-gift", "retry": ONCE,
         "onFailure": "CONTINUE", "fallback": {"card": None}, "input": {}},
        {"id": "bill", "dependsOn": ["prices", "gift-card"], "taskRef": "exported-bill",
         "retry": ONCE, "condition": "input.id > 1 && tasks.order.output.ok",
         "input": {"text": "No. {{input.id}}: {{tasks.prices.output}}",
                   "card": '{{tasks["gift-card"].output.card}}'}},
        output={"bill": "{{tasks.bill.output.bill}}"},
    )  # fmt: skip


async def run(suite: Suite, name: str, given: Json) -> Json:
    execution_id = await suite.begin(name, given)
    await suite.wait(execution_id)
    return (await suite.get(f"/api/v1/executions/{execution_id}")).json


ROUTES = ("order", "price", "gift", "bill")


async def runs(suite: Suite, world: World, name: str) -> Json:
    """How executions end whose tasks fail and are skipped, and what services were asked."""
    world.answers("order", status=503, times=1)
    world.answers("order", json={"items": ["pen", {"k": 1}], "ok": True}, times=2)
    world.answers("gift", status=404, times=2)
    world.answers("bill", json={"bill": 7}, times=1)
    before = {route: len(world.calls(route)) for route in ROUTES}
    ended = [await run(suite, name, given) for given in ({"id": 4}, {"id": 1}, {})]
    asked = {
        route: sorted(repr(call.json) for call in world.calls(route)[before[route] :])
        for route in ROUTES
    }
    return [(each["status"], each.get("output")) for each in ended], asked


@pytest.mark.long
@pytest.mark.feature("S3-16")
async def test_a_workflow_runs_the_same_from_its_states(
    suite: Suite, world: World, tmp_path: Path
) -> None:
    """Converted by the command and by REST: the same document, ends and calls."""
    tasks = [http_task(f"exported-{route}", world.url(route)) for route in ROUTES]
    file = tmp_path / "flow.yaml"
    file.write_text(text(flow("exported")))
    await applied(suite, *tasks, flow("exported"))
    converted = await command(suite, "convert", "-f", str(file), "-t", "states")
    assert converted.code == 0, converted.err
    exported = await suite.get("/api/v1/workflows/exported:export?format=states")
    assert exported.json == converted.json
    assert (exported.json["Name"], exported.json["StartAt"]) == ("exported", "exported:input")
    name = await suite.define({**exported.json, "Name": "exported-states"})
    told, asked = await runs(suite, world, "exported")
    assert told == [("completed", {"bill": 7}), ("failed", None), ("failed", None)]
    price = '{"ok":true,"route":"price"}'
    assert asked["bill"] == [repr({"text": f"No. 4: [{price},{price}]", "card": None})]
    assert await runs(suite, world, name) == (told, asked)


async def test_what_states_cannot_say_is_refused_over_rest(suite: Suite) -> None:
    """With every feature, tasks of the library that decide what follows among them."""
    gate = resource(
        "WorkflowTask", "exported-gate", type="condition", condition={"expression": "input.x"}
    )
    tasks = [{"id": "a", "taskRef": "exported-gate", "retry": ONCE}]
    refused = workflow("exported-refused", *tasks, parallelism=2)
    await applied(suite, gate, refused)
    answer = await suite.get("/api/v1/workflows/exported-refused:export?format=states")
    assert (answer.status, answer.json["error"]["reason"]) == (400, "FEATURE_UNSUPPORTED")
    told = {each["description"] for each in answer.json["error"]["details"]}
    begins = "the Amazon States Language has no place for "
    assert told == {
        f"{begins}a limit of parallel nodes",
        f"{begins}a task that decides whether what is behind it runs (condition: can)",
    }
