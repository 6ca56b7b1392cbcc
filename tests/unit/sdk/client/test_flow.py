"""Workflows defined in code: what they compile to."""

import orjson
import pytest

from flowmesh.definitions import compile_source
from flowmesh.errors import Invalid
from flowmesh.sdk import Client, Retry, Workflow, WorkflowTask, task, workflow
from tests.unit.sdk.stand_ins import StandIn


@task("load-cart", timeout=5)
async def load_cart(order: dict[str, str]) -> dict[str, int]:
    return {"total": len(order)}


@task(retry=Retry(attempts=2, initial=0.25))
async def charge_card(order: dict[str, int]) -> bool:
    return order["total"] > 0


@workflow("order", labels={"team": "shop"})
def order(flow: Workflow) -> dict[str, object]:
    cart = flow.task("cart", load_cart, input={"id": flow.input["orderId"]})
    paid = flow.task("charge", charge_card, input={"total": cart.output["total"]}, priority="HIGH")
    return {"paid": paid.output}


def test_a_workflow_compiles_to_resources() -> None:
    """One WorkflowTask per handler and the Workflow, with references as templates."""
    load, charge, flow = order.as_resources()
    assert load == {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": {"name": "load-cart"},
        "spec": {"type": "load-cart"},
    }
    assert charge["spec"] == {"type": "charge-card"}
    assert flow["metadata"] == {"name": "order", "labels": {"team": "shop"}}
    assert flow["spec"] == {
        "tasks": [
            {
                "id": "cart",
                "taskRef": "load-cart",
                "input": {"id": "{{input.orderId}}"},
                "timeout": "5s",
            },
            {
                "id": "charge",
                "taskRef": "charge-card",
                "input": {"total": "{{tasks.cart.output.total}}"},
                "retry": {
                    "maxAttempts": 2,
                    "initialDelay": "250ms",
                    "multiplier": 2.0,
                    "maxDelay": "30s",
                },
                "priority": "HIGH",
                "dependsOn": ["cart"],
            },
        ],
        "output": {"paid": "{{tasks.charge.output}}"},
    }


def test_handlers_come_with_their_workflow() -> None:
    """They are what a worker of this workflow needs."""
    assert order.handlers == {"load-cart": load_cart, "charge-card": charge_card}


def test_dependencies_are_named_or_referred_to() -> None:
    """Both count, each once, in the order given."""
    flow = Workflow("w")
    first, second = flow.task("a", "x"), flow.task("b", "x")
    third = flow.task("c", "x", input=[second.output[0]], depends_on=[first, "b"])
    assert third.depends_on == ("a", "b")
    assert third.fields["input"] == ["{{tasks.b.output[0]}}"]


def test_an_http_call_is_a_task_of_its_own() -> None:
    """Its templates see the task's own input."""
    flow = Workflow("w")
    flow.http("get", "{{input.url}}", input={"url": flow.input["url"]})
    tasks, compiled = flow.as_resources()
    assert tasks["spec"] == {"type": "http", "http": {"method": "GET", "url": "{{input.url}}"}}
    assert compiled["spec"]["tasks"][0]["taskRef"] == "w.get"


def test_a_transform_needs_no_task_of_its_own() -> None:
    """Its input is the source and the operations; what they refer to it depends on."""
    flow = Workflow("w")
    rows = flow.task("rows", "x")
    flow.transform("top", rows.output, {"operation": "limit", "count": flow.input["n"]})
    _, compiled = flow.as_resources()
    top = compiled["spec"]["tasks"][1]
    assert (top["taskRef"], top["dependsOn"]) == ("transform", ["rows"])
    assert top["input"] == {
        "source": "{{tasks.rows.output}}",
        "pipeline": [{"operation": "limit", "count": "{{input.n}}"}],
    }


def test_two_tasks_of_one_id_are_refused() -> None:
    """The second one is named."""
    flow = Workflow("w")
    flow.task("a", "x")
    with pytest.raises(Invalid, match="two tasks 'a'"):
        flow.task("a", "x")


def test_one_task_type_has_one_handler() -> None:
    """Two functions under one name are a mistake, not a choice."""
    flow = Workflow("w")
    flow.task("a", task("same")(lambda value: 1))
    with pytest.raises(Invalid, match="two handlers"):
        flow.task("b", task("same")(lambda value: 2))


async def test_registering_brings_the_tasks(client: Client, server: StandIn) -> None:
    """One source with all resources, applied together; the answer is the workflow's."""
    registered = await client.register(order)
    assert registered.id == "order"
    (source,) = server.definitions.sources
    kinds = [orjson.loads(part)["kind"] for part in source.split(b"\n---\n")]
    assert kinds == ["WorkflowTask", "WorkflowTask", "Workflow"]


@workflow("fleet")
def fleet(flow: Workflow) -> None:
    carts = flow.task("carts", "find-carts")
    rates = flow.task("rates", "find-rates")
    each = flow.map("each", carts.output["orders"], concurrency=50, critical=False)
    cart = each.task("cart", load_cart, input={"id": each.item["id"], "at": each.index})
    lines = each.map("lines", cart.output["lines"])
    lines.task("line", lambda line: line)
    lines.task("price", "price", input=[lines.item, cart.output["total"], rates.output])
    flow.task("sum", "sum", input=each.output[0])


def test_a_map_compiles_to_a_graph_of_its_own() -> None:
    """Outside nodes that its tasks read are dependencies of the map, at any depth."""
    *_, compiled = fleet.as_resources()
    each = compiled["spec"]["tasks"][2]
    assert each == {
        "id": "each",
        "map": {
            "items": "{{tasks.carts.output.orders}}",
            "concurrency": 50,
            "tasks": [
                {
                    "id": "cart",
                    "taskRef": "load-cart",
                    "input": {"id": "{{item.id}}", "at": "{{index}}"},
                    "timeout": "5s",
                },
                {
                    "id": "lines",
                    "map": {
                        "items": "{{tasks.cart.output.lines}}",
                        "tasks": [
                            {
                                "id": "line",
                                "taskRef": "fleet.each.lines.line",
                                "input": "{{item}}",
                            },
                            {
                                "id": "price",
                                "taskRef": "price",
                                "input": [
                                    "{{item}}",
                                    "{{tasks.cart.output.total}}",
                                    "{{tasks.rates.output}}",
                                ],
                            },
                        ],
                    },
                    "dependsOn": ["cart"],
                },
            ],
        },
        "critical": False,
        "dependsOn": ["carts", "rates"],
    }
    assert compiled["spec"]["tasks"][3]["dependsOn"] == ["each"]
    assert compile_source(fleet.source(), "application/yaml").nodes[2].map.concurrency == 50


def test_handlers_in_maps_come_with_their_workflow() -> None:
    """Under names that tell maps apart."""
    assert list(fleet.handlers) == ["load-cart", "fleet.each.lines.line"]


def test_the_item_of_a_map_is_seen_in_it_alone() -> None:
    """Neither around it, nor in a map within it, where `item` is another one."""
    flow = Workflow("w")
    each = flow.map("each", [1, 2])
    inner = each.map("inner", each.item["parts"])
    for graph in (flow, inner):
        with pytest.raises(Invalid, match=r"cannot see the items of w\.each"):
            graph.task("a", "x", input={"deep": [each.item["id"]]})


def test_a_task_in_a_map_may_wait_for_one_around_it() -> None:
    """Then the map does."""
    flow = Workflow("w")
    first = flow.task("first", "x")
    each = flow.map("each", [1, 2])
    then = each.task("then", "x", depends_on=[first])
    assert (then.depends_on, each.depends_on) == ((), ("first",))


def test_an_option_that_does_not_exist_is_refused() -> None:
    """An unknown option would be ignored silently."""
    flow = Workflow("options")
    with pytest.raises(TypeError, match="no option 'after'; there are also, condition"):
        flow.use("a", "noop", after="b")  # type: ignore[call-arg]


def test_a_node_says_all_that_a_resource_says_of_one() -> None:
    """A decision and its labels, a loop, an undo, limits; references are dependencies too."""
    flow = Workflow(
        "all",
        variables={"limit": {"schema": {"type": "integer"}, "initial": 5}},
        also={"onFailure": "STOP", "limits": {"concurrency": 3}},
    )
    cart = flow.task("cart", "load", permissions=["shop"], also={"requires": {"gpu": "yes"}})
    large = {"id": "large", "expression": "tasks.cart.output.total > variables.limit"}
    pick = flow.node("pick", {"decision": {"conditions": [large]}}, depends_on=[cart])
    flow.use("review", "noop", depends_on=[pick.on("large")])
    undo = {"taskRef": "load", "input": "{{undo.output}}"}
    pay = flow.task("pay", "pay", input={"most": flow.variables["limit"]}, also={"undo": undo})
    failed = flow.use("failed", "noop", depends_on=[pay.on("failure")])
    state = {"n": cart.output["total"]}
    inner = [{"id": "once", "taskRef": "noop"}]
    loop = {"while": "state.n < 3", "state": state, "tasks": inner}
    flow.node("poll", {"loop": loop}, depends_on=[failed, pick], join="ANY", name="Poll")
    each = flow.map("each", [1], depends_on=[pay.on("success")], batch=5, tolerate={"count": 1})
    each.task("one", "one")

    nodes = {each["id"]: each for each in flow.as_resources()[-1]["spec"]["tasks"]}
    assert nodes["review"]["dependsOn"] == [{"task": "pick", "on": "large"}]
    assert nodes["poll"]["dependsOn"] == ["failed", "pick", "cart"]
    assert nodes["each"]["dependsOn"] == [{"task": "pay", "on": "success"}]
    assert nodes["cart"]["permissions"] == ["shop"]
    plan = compile_source(flow.source(), "application/yaml")
    assert [each.name for each in plan.variables] == ["limit"]
    assert [each.id for each in plan.nodes if each.HasField("undo")] == ["pay"]


def test_a_task_in_a_map_waits_for_no_outcome_around_it() -> None:
    """The map waits for its outside dependencies."""
    flow = Workflow("outside")
    first = flow.task("first", "x")
    each = flow.map("each", [1])
    with pytest.raises(Invalid, match=r"only outside\.each can"):
        each.task("then", "x", depends_on=[first.on("failure")])


def test_a_map_is_waited_for_by_how_it_ended() -> None:
    """As any node is."""
    flow = Workflow("outcomes")
    each = flow.map("each", [1])
    each.use("one", "noop")
    flow.use("sorry", "noop", depends_on=[each.on("failure")])
    sorry = flow.as_resources()[-1]["spec"]["tasks"][1]
    assert sorry["dependsOn"] == [{"task": "each", "on": "failure"}]


def test_names_that_are_no_words_are_referred_to_in_brackets() -> None:
    """Ids with dots, keys with blanks and quotes."""
    flow = Workflow("names")
    first = flow.use("load.cart", "noop", input={"of": flow.input['the "total"']})
    then = flow.use("then", "noop", input=first.output["a b"]["c-d"][0])
    assert first.fields["input"] == {"of": '{{input["the \\"total\\""]}}'}
    assert then.fields["input"] == '{{tasks["load.cart"].output["a b"].c-d[0]}}'
    plan = compile_source(flow.source(), "application/yaml")
    assert [list(each.dependencies) for each in plan.nodes] == [[], [0]]


async def test_a_task_of_the_library_is_defined_in_code(client: Client, server: StandIn) -> None:
    """Alone, or brought by the workflows that use it."""
    refund = WorkflowTask("refund", {"type": "refund"}, labels={"team": "shop"}, namespace="shop")
    flow = Workflow("order", brings=[refund], labels={"a": "b"}, annotations={"by": ["ann"]})
    flow.use("back", "refund")
    resources = flow.as_resources()
    assert resources[0] == refund.as_resources()[0]
    assert resources[0]["metadata"] == {
        "name": "refund",
        "labels": {"team": "shop"},
        "namespace": "shop",
    }
    assert resources[1]["metadata"]["annotations"] == {"by": ["ann"]}
    await client.apply(refund)
    assert orjson.loads(server.definitions.sources[-1]) == resources[0]


def test_two_tasks_of_one_name_are_refused() -> None:
    """The same one may come twice."""
    echo = WorkflowTask("echo", {"type": "echo"})
    Workflow("order", brings=[echo, WorkflowTask("echo", {"type": "echo"})])
    with pytest.raises(Invalid, match="'echo' is defined in two ways"):
        Workflow("order", brings=[echo, WorkflowTask("echo", {"type": "else"})])
