"""Maps on the running suite: a graph for each item of a list, in order, within a bound."""

import asyncio
import itertools
import time
from typing import Any
from urllib.parse import quote

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, Worker, Workflow
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Response, Suite
from tests.features.commands import command
from tests.features.natives import applied, refusal, resource, workflow

_numbers = itertools.count(1)
YAML = {"content-type": "application/yaml"}
TASKS = """
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: map-price}
spec:
  type: function
  retry: {maxAttempts: 1}
  function:
    code: |
      if (input.order.price < 0) throw new Error(`order ${input.position} has no price`)
      return {value: input.order.price * input.rate, position: input.position}
---
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: map-store}
spec:
  type: transform
  transform:
    code: "return `${input.price.position}: ${input.price.value}`"
"""
EACH = """
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: NAME}
spec:
  tasks:
    - id: fetch
      taskRef: transform
      input: {source: "{{input}}", pipeline: []}
    - id: each
      critical: CRITICAL
      map:
        items: "{{tasks.fetch.output.orders}}"
        concurrency: 4
        tasks:
          - id: price
            taskRef: map-price
            input: {order: "{{item}}", position: "{{index}}", rate: "{{input.rate}}"}
          - id: store
            taskRef: map-store
            input: {price: "{{tasks.price.output}}"}
    - id: after
      taskRef: transform
      input: {source: "{{tasks.each.output}}", pipeline: []}
"""
NESTED = """
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: NAME}
spec:
  tasks:
    - id: rows
      map:
        items: "{{input.rows}}"
        tasks:
          - id: cells
            map:
              items: "{{item}}"
              tasks:
                - id: cell
                  taskRef: transform
                  condition: "item < 5"
                  input:
                    source: {value: "{{item}}", position: "{{index}}", of: "{{input.of}}"}
                    pipeline: []
  output: "{{tasks.rows.output}}"
"""
MANY = """
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: NAME}
spec:
  tasks:
    - id: each
      map:
        items: "{{input.items}}"
        tasks: [{id: copy, taskRef: transform, input: {source: "{{item}}", pipeline: []}}]
  output: "{{tasks.each.output}}"
"""


async def apply(suite: Suite, source: str, critical: bool = True) -> str:
    """Registers the workflow in a source under a name of its own; its answer is the name."""
    name = f"map-{next(_numbers)}"
    source = source.replace("NAME", name).replace("CRITICAL", str(critical).lower())
    for document in TASKS.split("---"):
        answer = await suite.post("/api/v1/tasks", data=document.encode(), headers=YAML)
        assert answer.status in (200, 201), answer.text
    answer = await suite.post("/api/v1/workflows", data=source.encode(), headers=YAML)
    assert answer.status == 201, answer.text
    return name


async def execute(suite: Suite, name: str, value: Json) -> Response:
    return await suite.post(f"/workflows/{name}/execute", {"input": value})


def orders(count: int) -> Json:
    return {"orders": [{"price": number} for number in range(count)], "rate": 2}


def most_at_once(events: list[Json]) -> int:
    """How many items had begun and not ended, at most, by what the history says of their tasks."""
    running: set[str] = set()
    most = 0
    for event in events:
        item, _, task = event.get("taskId", "").rpartition("/")
        if task == "price" and event["type"] == "TaskScheduled":
            running.add(item)
        elif task == "store" and event["type"] == "TaskCompleted":
            running.remove(item)
        most = max(most, len(running))
    return most


async def test_each_item_runs_the_graph_and_the_results_are_in_order(suite: Suite) -> None:
    """Twenty-five, at most four at a time, as the history shows."""
    ran = await execute(suite, await apply(suite, EACH), orders(25))
    assert ran.status == 200, ran.text
    assert ran.json["outputs"]["each"] == [f"{number}: {2 * number}" for number in range(25)]
    assert ran.json["outputs"]["after"] == ran.json["outputs"]["each"]
    events = await suite.events(ran.json["executionId"])
    assert most_at_once(events) == 4
    ended = {e["taskId"] for e in events if e["type"] == "TaskCompleted"}
    assert {f"each[{number}]/price" for number in range(25)} < ended


async def test_one_item_that_fails_fails_the_map(suite: Suite) -> None:
    """Which says which one it was; what is behind the map does not run."""
    name = await apply(suite, EACH)
    given = orders(25)
    given["orders"][7]["price"] = -1
    ran = await execute(suite, name, given)
    assert ran.status == 422, ran.text
    assert "each[7]/price" in ran.text
    assert "order 7 has no price" in ran.json["error"]["message"]
    assert ran.json["tasks"]["each"]["status"] == "failed"
    assert ran.json["tasks"]["after"]["status"] == "skipped"


async def test_a_map_that_is_not_critical_fails_alone(suite: Suite) -> None:
    """As with any task."""
    name = await apply(suite, EACH, critical=False)
    ran = await execute(suite, name, {"orders": [{"price": -1}], "rate": 1})
    assert (ran.status, ran.json["tasks"]["each"]["status"]) == (200, "failed"), ran.text


async def test_no_items_are_no_work(suite: Suite) -> None:
    """An empty list in, an empty list out."""
    ran = await execute(suite, await apply(suite, EACH), orders(0))
    assert (ran.status, ran.json["outputs"]["each"]) == (200, []), ran.text


@pytest.mark.parametrize(
    ("given", "kind"), [({}, "an object"), ("ab", "a string"), (None, "null"), (3, "a number")]
)
async def test_what_is_no_list_is_refused_when_the_map_begins(
    suite: Suite, given: Json, kind: str
) -> None:
    """The map fails, and says what it got."""
    name = await apply(suite, EACH)
    ran = await execute(suite, name, {"orders": given, "rate": 1})
    assert ran.status == 422, ran.text
    assert ran.json["error"]["taskId"] == "each"
    assert f"expected a list, got {kind}" in ran.json["error"]["message"]


async def test_maps_run_in_maps(suite: Suite) -> None:
    """The item is the innermost; what a condition skips gives null."""
    given = {"rows": [[1, 2], [], [9, 3]], "of": "all"}
    ran = await execute(suite, await apply(suite, NESTED), given)
    assert ran.status == 200, ran.text

    def cell(value: int, position: int) -> Json:
        return {"value": value, "position": position, "of": "all"}

    assert ran.json["output"] == [[cell(1, 0), cell(2, 1)], [], [None, cell(3, 1)]]


async def test_a_thousand_items(suite: Suite) -> None:
    """None is lost, and none out of order."""
    ran = await execute(suite, await apply(suite, MANY), {"items": list(range(1_000))})
    assert ran.status == 200, ran.text
    assert ran.json["output"] == list(range(1_000))


@pytest.mark.parametrize("count", [1_500, pytest.param(100_000, marks=pytest.mark.long)])
async def test_a_trace_and_a_context_of_many_items_are_short(suite: Suite, count: int) -> None:
    """They have 200 of them unless asked for more, and the number of the others."""
    source = {"number": "{{item}}", "text": "what an item returns"}
    task = {"id": "one", "taskRef": "transform", "input": {"source": source, "pipeline": []}}
    each = {"items": "{{input.numbers}}", "concurrency": 500, "tasks": [task]}
    await applied(suite, workflow(f"map-short-{count}", {"id": "each", "map": each}))
    async with Client(suite.grpc_address) as client:
        handle = await client.start(f"map-short-{count}", {"numbers": list(range(count))})
        await handle.result(120)
    path = f"/api/v1/executions/{handle.id}"
    begun = time.monotonic()
    trace, context = [await suite.get(f"{path}/{kind}") for kind in ("trace", "context")]
    traced = await command(suite, "trace", handle.id)
    assert time.monotonic() - begun < 10
    assert max(len(trace.body), len(context.body)) < 500_000
    assert (len(trace.json["tasks"]), trace.json["truncated"]) == (201, count > 10_000)
    assert len(context.json["nodeResults"]) == 201
    if count < 10_000:
        assert trace.json["omitted"] == context.json["omitted"] == 1_300
        assert trace.json["counts"] == {"success": 1_501}
        more = [await suite.get(f"{path}/{kind}?limit=1400") for kind in ("trace", "context")]
        assert [each.json["omitted"] for each in more] == [100, 100]
    assert traced.code == 0, traced.err
    omitted = f"… {trace.json['omitted']:,} more tasks of items; in total"
    assert omitted in traced.out, traced.out


async def test_a_map_says_how_far_it_is(suite: Suite) -> None:
    """Items done, failed and in progress, and the tasks of those in progress, by their place."""
    flow = Workflow("map-progress")
    each = flow.map("each", flow.input["numbers"], concurrency=2)
    gate = asyncio.Event()

    async def work(number: int) -> int:
        if number >= 3:
            await gate.wait()
        return number

    each.task("work", work)
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        async with Worker(client, flow.handlers):
            handle = await client.start("map-progress", {"numbers": list(range(10))})

            async def state() -> Any:
                return (await suite.get(f"/api/v1/executions/{handle.id}/state")).json

            async def at_three() -> bool:
                return bool((await state())["maps"].get("each", {}).get("completed") == 3)

            await until("three items completed", at_three, within_s=20)
            now = await state()
            assert now["maps"]["each"] == {"total": 10, "running": 2, "completed": 3, "failed": 0}
            inside = {name: word for name, word in now["nodes"].items() if "/" in name}
            assert inside == {"each[3]/work": "running", "each[4]/work": "running"}
            gate.set()
            await handle.result(30)
            after = await state()
    assert after["maps"]["each"] == {"total": 10, "running": 0, "completed": 10, "failed": 0}


@pytest.mark.long
async def test_tasks_of_items_are_found_once_their_map_has_ended(suite: Suite) -> None:
    """REST lists and shows them under their ids, the command in its text and its JSON."""
    name = f"map-found-{next(_numbers)}"
    given = {"source": "{{item}}", "pipeline": []}
    double = {"id": "double", "taskRef": "transform", "input": given}
    after = {"id": "after", "taskRef": "noop", "dependsOn": ["rows"]}
    inner = {"id": "row", "map": {"items": "{{item}}", "tasks": [double]}}
    rows = {"id": "rows", "map": {"items": "{{input.rows}}", "tasks": [inner]}}
    await applied(suite, workflow(name, rows, after))
    answer = await execute(suite, name, {"rows": [[1, 2], [3]]})
    execution = answer.json["executionId"]

    listed = await suite.get(f"/api/v1/executions/{execution}/nodes")
    assert [node["nodeId"] for node in listed.json["nodes"]] == [
        "rows",
        "rows[0]/row",
        "rows[0]/row[0]/double",
        "rows[0]/row[1]/double",
        "rows[1]/row",
        "rows[1]/row[0]/double",
        "after",
    ]
    path = f"/api/v1/executions/{execution}/nodes/{quote('rows[1]/row[0]/double', safe='')}"
    found = await suite.get(path)
    assert (found.json["status"], found.json["output"]) == ("completed", 3)
    assert found.json["input"]["source"] == 3
    missing = await suite.get(path.replace("double", "triple"))
    assert refusal(missing) == (404, "NODE_NOT_FOUND")

    shown = await command(suite, "get", "execution", execution)
    traced = await command(suite, "trace", execution)
    assert all("✔ rows[0]/row[1]/double" in each.out for each in (shown, traced))
    one = await command(suite, "get", "execution", execution, "--task", "rows[0]/row[1]/double")
    assert (one.json["status"], one.json["output"]) == ("completed", 2)


async def test_a_map_defined_in_python_runs_its_handlers(suite: Suite) -> None:
    """They get the item unless another input is said; what is read around is waited for."""
    flow = Workflow("map-python")
    rate = flow.task("rate", lambda order: order["rate"])
    each = flow.map("each", flow.input["prices"], concurrency=2)
    net = each.task("net", lambda price: price + 1)
    each.task("gross", lambda line: line, input=[net.output, rate.output, each.index])
    flow.output = {"lines": each.output}
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        async with Worker(client, flow.handlers):
            output = await client.run("map-python", {"prices": [10, 20, 30], "rate": 3})
    assert output == {"lines": [[11, 3, 0], [21, 3, 1], [31, 3, 2]]}


async def test_analysis_shows_what_a_map_runs(suite: Suite) -> None:
    """As a graph of its own, under the map's id."""
    name = await apply(suite, EACH)
    analysis = (await suite.get(f"/api/v1/workflows/{name}/analysis")).json
    assert analysis["criticalPath"] == ["fetch", "each", "after"]
    assert analysis["maps"]["each"]["groups"] == [["price"], ["store"]]


async def test_a_mistake_in_a_map_is_refused_with_its_place(suite: Suite) -> None:
    """As the reader of the source finds it."""
    source = EACH.replace("NAME", "map-wrong").replace("{{index}}", "{{indx}}")
    answer = await suite.post(
        "/api/v1/workflows", data=source.replace("CRITICAL", "true").encode(), headers=YAML
    )
    assert answer.status == 400, answer.text
    (detail,) = answer.json["error"]["details"]
    assert detail["field"] == "tasks[1].map.tasks[0].input.position"
    assert detail["code"] == "TEMPLATE_UNKNOWN_REFERENCE"


def by_pages(name: str, **said: Json) -> Workflow:
    """Doubles what a task brings page by page, three numbers at a time, from 0 to 7."""
    flow = Workflow(name)
    each = flow.map("each", pages={"taskRef": f"{name}-page"}, concurrency=2, **said)
    each.task("double", lambda number: number * 2, input=each.item)
    flow.output = each.output
    return flow


def brings(name: str) -> Json:
    """The task that brings a page, which a worker runs."""
    about = {"apiVersion": "workflow.io/v1", "kind": "WorkflowTask"}
    return {**about, "metadata": {"name": f"{name}-page"}, "spec": {"type": f"{name}-page"}}


async def test_a_map_runs_for_items_that_come_page_by_page(suite: Suite) -> None:
    """In order, each page once with the cursor of the one before, as few at a time as it says."""
    name = "map-by-pages"
    cursors: list[Json] = []

    async def page(given: Json) -> Json:
        cursors.append(given["cursor"])
        first = given["cursor"] or 0
        last = min(first + 3, 8)
        return {"items": list(range(first, last)), "next": last if last < 8 else None}

    flow, counts = by_pages(name), by_pages(f"{name}-counted", counted=True)
    for each in (flow, counts):
        assert (await suite.post("/api/v1/tasks", brings(each.name))).status == 201
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        await client.register(counts)
        handlers = flow.handlers | counts.handlers
        handlers |= {f"{each.name}-page": page for each in (flow, counts)}
        async with Worker(client, handlers):
            handle = await client.start(name, {})
            assert await handle.result(30) == [0, 2, 4, 6, 8, 10, 12, 14]
            assert cursors == [None, 3, 6]
            assert await client.run(counts.name, {}) == {"count": 8, "failed": 0}
    events = await suite.events(handle.id)
    assert [each["type"] for each in events].count("PageTurned") == 2
    state = await suite.get(f"/api/v1/executions/{handle.id}/state")
    assert state.json["maps"]["each"] == {"total": 8, "running": 0, "completed": 8, "failed": 0}
    analysis = (await suite.get(f"/api/v1/workflows/{name}/analysis")).json
    assert analysis["maps"]["each"]["groups"] == [["each:page"], ["each:items"]]


async def test_a_page_without_items_fails_the_map_and_says_which(suite: Suite) -> None:
    """The task answered something else than it said."""
    name = "map-no-items"
    flow = by_pages(name)
    assert (await suite.post("/api/v1/tasks", brings(name))).status == 201
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        async with Worker(client, {**flow.handlers, f"{name}-page": lambda _: {"rows": []}}):
            handle = await client.start(name, {})
            shown = await suite.wait(handle.id)
    assert shown["error"]["class"] == "ValidationError"
    assert "items of each[0]/each:items" in shown["error"]["message"], shown["error"]


async def test_a_share_of_the_items_of_all_pages_may_fail(suite: Suite) -> None:
    """It is seen when the last page is there: two of eight are few enough, or too many."""
    name = "map-share"

    async def page(given: Json) -> Json:
        first = given["cursor"] or 0
        last = min(first + 3, 8)
        return {"items": list(range(first, last)), "next": last if last < 8 else None}

    async def double(number: int) -> int:
        if number < 2:
            raise ValueError(f"{number} cannot be doubled")
        return number * 2

    def tolerating(share: float) -> Json:
        pages = {"pages": {"taskRef": f"{name}-page"}, "tolerate": {"share": share}}
        item = {"id": "double", "taskRef": f"{name}-double", "input": "{{item}}"}
        each = {"id": "each", "map": {**pages, "concurrency": 2, "tasks": [item]}}
        return workflow(f"{name}-{round(share * 100)}", each, output="{{tasks.each.output}}")

    doubles = resource(
        "WorkflowTask", f"{name}-double", type=f"{name}-double", retry={"maxAttempts": 1}
    )
    await applied(suite, brings(name), doubles, tolerating(0.25), tolerating(0.2))
    handlers = {f"{name}-page": page, f"{name}-double": double}
    async with Client(suite.grpc_address) as client, Worker(client, handlers):
        assert await client.run(f"{name}-25", {}) == [None, None, 4, 6, 8, 10, 12, 14]
        failed = await (await client.start(f"{name}-20", {})).wait(30)
        assert failed.failure is not None
        assert "cannot be doubled" in failed.failure.message
        begun = {node.id for node in failed.nodes}
        assert not any(node.startswith("each[2]/each:items[") for node in begun)
