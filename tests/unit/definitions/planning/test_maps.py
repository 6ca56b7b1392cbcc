"""Maps: allowed members, names in bodies, and the problem of each mistake."""

import json
from typing import Any

import orjson
import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definitions import Workflow, analyse, compile_source, errors_in, read_source
from tests.unit.definitions.factories import (
    documents,
    node,
    object_schema,
    problems,
    refusals,
    task,
    workflow,
)

LIST = {"type": "array", "items": object_schema(id="string")}
ORDERS = {"type": "object", "properties": {"orders": LIST, "name": {"type": "string"}}}


def each(
    *tasks: dict[str, Any], items: Any = "{{input.orders}}", body: Any = None, **more: Any
) -> dict[str, Any]:
    """Return a map `each`; `body` are further members of `map`, `more` of the node."""
    return {"id": "each", "map": {"items": items, "tasks": list(tasks), **(body or {})}, **more}


def found(*tasks: dict[str, Any], tasks_of: tuple[dict[str, Any], ...] = (), **spec: Any) -> str:
    """Return the errors of a workflow as lines: code, place, message."""
    source = documents(*tasks_of, workflow(*tasks, **spec))
    errors = errors_in(problems(source))
    return "\n".join(f"{p.code} {p.place}: {p.message}" for p in errors)


def nested(depth: int) -> dict[str, Any]:
    inner = node("leaf")
    for level in range(depth, 0, -1):
        inner = {"id": f"m{level}", "map": {"items": [1], "tasks": [inner]}}
    return inner


def test_a_map_is_a_node_with_a_graph_of_its_own() -> None:
    """Its items, its bound, its nodes with dependencies among themselves; all specs are shared."""
    plan = compile_source(
        documents(
            task("t"),
            workflow(
                node("fetch", "t"),
                each(
                    node("price", "t", input={"order": "{{item.id}}", "at": "{{index}}"}),
                    node("store", input={"price": "{{tasks.price.output.value}}"}),
                    node("tell", "t", input="{{tasks.fetch.output}} {{input.x}}"),
                    items="{{tasks.fetch.output.orders}}",
                    body={"concurrency": 50},
                    critical=False,
                    name="Each order",
                ),
                node("sum", "t", input="{{tasks.each.output[0]}}"),
            ),
        )
    )
    planned = plan.nodes[1]
    assert planned.kind == plan_pb2.NODE_KIND_MAP
    assert planned.input_mode == plan_pb2.INPUT_MODE_TEMPLATE
    assert planned.input_template == b'"{{tasks.fetch.output.orders}}"'
    assert (planned.name, planned.critical, planned.queue) == ("Each order", False, "")
    assert list(planned.dependencies) == [0]
    assert planned.map.concurrency == 50
    assert [n.id for n in planned.map.nodes] == ["price", "store", "tell"]
    assert [list(n.dependencies) for n in planned.map.nodes] == [[], [0], []]
    assert [n.spec for n in (plan.nodes[0], planned.map.nodes[0], planned.map.nodes[2])] == [0] * 3
    assert list(plan.nodes[2].dependencies) == [1]
    assert len(plan.specs) == 1


def test_the_default_bound_is_a_hundred() -> None:
    """And what else is not said is as with any task."""
    planned = compile_source(documents(workflow(each(node("a"), items=[1, 2])))).nodes[0]
    assert (planned.map.concurrency, planned.critical, planned.name) == (100, True, "each")
    assert planned.input_template == b"[1,2]"


def test_the_same_map_gives_the_same_plan() -> None:
    """Byte by byte; another bound is another plan."""
    sources = [
        documents(workflow(each(node("a"), items=[1], body={"concurrency": bound})))
        for bound in (5, 5, 6)
    ]
    first, second, third = (compile_source(source).digest for source in sources)
    assert first == second != third


def test_tasks_around_are_read_in_bodies_and_waited_for_by_the_map() -> None:
    """By templates and conditions, through every map between."""
    plan = compile_source(
        documents(
            workflow(
                node("a"),
                node("b"),
                node("c"),
                each(
                    {
                        "id": "inner",
                        "map": {
                            "items": "{{item.parts}}",
                            "tasks": [
                                node("x", "delay", input={"duration": "{{tasks.b.output}}"}),
                                node("y", condition="tasks.c.output.ok && index < 3"),
                            ],
                        },
                    },
                    items="{{tasks.a.output}}",
                ),
            )
        )
    )
    assert list(plan.nodes[3].dependencies) == [0, 1, 2]
    assert list(plan.nodes[3].map.nodes[0].dependencies) == []


def test_a_condition_in_a_map_is_a_gate_in_it() -> None:
    """The gate's input holds the values it reads, including the item."""
    plan = compile_source(
        documents(
            workflow(
                node("rates"),
                each(
                    node("check"),
                    node("pay", condition="item.due > tasks.rates.output[index] && true"),
                ),
            )
        )
    )
    gate = plan.nodes[1].map.nodes[1]
    assert (gate.id, gate.gate, list(plan.nodes[1].map.nodes[2].dependencies)) == (
        "pay:condition",
        True,
        [1],
    )
    assert orjson.loads(gate.input_template) == {
        "item": "{{item}}",
        "index": "{{index}}",
        "tasks": {"rates": {"output": '{{tasks["rates"].output}}'}},
    }
    assert orjson.loads(plan.specs[gate.spec].config)["expression"] == (
        "input.item.due > input.tasks.rates.output[input.index] && true"
    )


def test_a_condition_of_a_map_is_a_gate_before_it() -> None:
    """As with any task."""
    plan = compile_source(documents(workflow(each(node("a"), items=[1], condition="input.go"))))
    assert [(n.id, list(n.dependencies)) for n in plan.nodes] == [
        ("each:condition", []),
        ("each", [0]),
    ]


def test_a_pipeline_in_a_map_may_read_the_item() -> None:
    """Then it is rendered first; else its templates are over what it sees."""
    step = {"operation": "filter", "field": "n", "operator": "eq", "value": "{{item.n}}"}
    given = {"source": "{{input.list}}", "pipeline": [step]}
    plan = compile_source(documents(workflow(each(node("t", "transform", input=given)))))
    assert orjson.loads(plan.nodes[0].map.nodes[0].input_template) == given
    plan = compile_source(documents(workflow(node("t", "transform", input=given))))
    assert orjson.loads(plan.nodes[0].input_template) == {"source": "{{input.list}}"}


def test_analysis_shows_bodies_as_graphs_of_their_own() -> None:
    """A map is one node of the graph around it."""
    body = (node("a"), node("b", dependsOn=["a"]), node("c", dependsOn=["a"]))
    source = documents(workflow(node("first"), each(*body, dependsOn=["first"])))
    (read,) = read_source(source).resources
    assert isinstance(read.resource, Workflow)
    analysis = analyse(read.resource)
    assert list(analysis.critical_path) == ["first", "each"]
    assert (analysis.path_count, analysis.depth) == (1, 2)
    first, mapped = analysis.nodes
    assert not first.HasField("map")
    assert list(mapped.map.leaves) == ["b", "c"]
    assert [list(group.nodes) for group in mapped.map.groups] == [["a"], ["b", "c"]]
    assert (mapped.map.path_count, mapped.map.depth) == (2, 2)


@pytest.mark.parametrize(
    ("members", "place", "message"),
    [
        ({"taskRef": "noop"}, "taskRef", "what runs for each item goes into map.tasks"),
        ({"input": {}}, "input", "the list goes into map.items, inputs to the tasks in map.tasks"),
        ({"retry": {}}, "retry", "write it at the tasks in map.tasks"),
        ({"timeout": "3s"}, "timeout", "write it at the tasks in map.tasks"),
        ({"queue": "q"}, "queue", "write it at the tasks in map.tasks"),
        ({"priority": "LOW"}, "priority", "write it at the tasks in map.tasks"),
    ],
)
def test_members_of_tasks_are_refused_at_a_map(
    members: dict[str, Any], place: str, message: str
) -> None:
    """With where it belongs."""
    assert found(each(node("a"), **members)) == (
        f"DEFINITION_INVALID tasks[0].{place}: {place} does not belong to a map; {message}"
    )


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"concurrency": 0}, ("DEFINITION_INVALID", "tasks[0].map.concurrency")),
        ({"concurrency": 10_001}, ("DEFINITION_INVALID", "tasks[0].map.concurrency")),
        ({"concurrency": 1.5}, ("DEFINITION_INVALID", "tasks[0].map.concurrency")),
        ({"tasks": []}, ("GRAPH_EMPTY", "tasks[0].map.tasks")),
        ({"tasks": [1]}, ("DEFINITION_INVALID", "tasks[0].map.tasks[0]")),
        ({"over": []}, ("DEFINITION_INVALID", "tasks[0].map.over")),
        ({"items": "orders"}, ("TYPE_MISMATCH", "tasks[0].map.items")),
        ({"items": {"a": 1}}, ("TYPE_MISMATCH", "tasks[0].map.items")),
        ({"items": None}, ("TYPE_MISMATCH", "tasks[0].map.items")),
        ({"items": "{{input.name}}"}, ("TYPE_MISMATCH", "tasks[0].map.items")),
        ({"items": "all {{input.orders}}"}, ("TYPE_MISMATCH", "tasks[0].map.items")),
        ({"items": "{{item}}"}, ("TEMPLATE_UNKNOWN_REFERENCE", "tasks[0].map.items")),
        ({"items": "{{tasks.x.output}}"}, ("TEMPLATE_UNKNOWN_REFERENCE", "tasks[0].map.items")),
        ({"items": "{{"}, ("TEMPLATE_INVALID", "tasks[0].map.items")),
    ],
)
def test_the_members_of_a_map_are_checked(body: Any, refusal: tuple[str, str]) -> None:
    """Its members one by one."""
    assert refusals(documents(workflow(each(node("a"), body=body), inputSchema=ORDERS))) == [
        refusal
    ]


def test_a_map_needs_items_and_tasks() -> None:
    """Also where it is nothing at all."""
    nothing: tuple[Any, ...] = ({}, None)
    for empty in nothing:
        source = documents(workflow({"id": "each", "map": empty}))
        assert refusals(source) == [
            ("DEFINITION_INVALID", "tasks[0].map.items"),
            ("DEFINITION_INVALID", "tasks[0].map.tasks"),
        ]


def test_step_json_has_no_map() -> None:
    """There `map` is an ignored member, with a warning."""
    given = {"id": "w", "steps": [{"id": "a", "map": {"items": [1], "tasks": []}}]}
    (warning,) = problems(json.dumps(given).encode())
    assert (warning.warning, warning.place) == (True, "steps[0].map")


def test_maps_are_nested_eight_deep() -> None:
    """The ninth is refused where it stands."""
    assert found(nested(8)) == ""
    place = "tasks[0]" + ".map.tasks[0]" * 8 + ".map"
    assert found(nested(9)) == f"NESTING_TOO_DEEP {place}: bodies may be nested 8 deep"


def test_all_nodes_of_a_workflow_count_together() -> None:
    """Ten thousand, wherever they stand."""
    body = each(*(node(f"n{number}") for number in range(9_998)), items=[1])
    assert problems(json.dumps(workflow(node("a"), body)).encode()) == []
    (problem,) = problems(json.dumps(workflow(node("a"), node("b"), body)).encode())
    assert (problem.code, problem.place, problem.message) == (
        "GRAPH_TOO_LARGE",
        "tasks",
        "a workflow has at most 10,000 nodes, this one 10,001",
    )


def test_every_check_runs_in_bodies_too_and_all_in_one_pass() -> None:
    """Each problem with its path."""
    body = [
        node("a", "nope", timeout="-1s"),
        node("b", dependsOn=["c", "q"], retry={"maxAttempts": 0}),
        node("c", dependsOn=["b"], input={"order": ["{{tasks.zzz.output}}"]}),
        node("d", "delay"),
        node("d", condition="tasks.zzz.output && 1 +"),
        {"id": "e", "taskRef": "noop", "dependsOn": ["e"], "more": 1},
        node("f", condition="tasks.zzz.output.ok"),
    ]
    assert set(refusals(documents(workflow(node("z"), each(*body))))) == {
        ("TASK_NOT_FOUND", "tasks[1].map.tasks[0].taskRef"),
        ("TIMEOUT_INVALID", "tasks[1].map.tasks[0].timeout"),
        ("RETRY_INVALID", "tasks[1].map.tasks[1].retry.maxAttempts"),
        ("GRAPH_UNKNOWN_NODE", "tasks[1].map.tasks[1].dependsOn[1]"),
        ("TEMPLATE_UNKNOWN_REFERENCE", "tasks[1].map.tasks[2].input.order[0]"),
        ("DEFINITION_INVALID", "tasks[1].map.tasks[3].input"),
        ("GRAPH_DUPLICATE_NODE", "tasks[1].map.tasks[4].id"),
        ("EXPRESSION_INVALID", "tasks[1].map.tasks[4].condition"),
        ("GRAPH_CYCLE", "tasks[1].map.tasks[5].dependsOn[0]"),
        ("DEFINITION_INVALID", "tasks[1].map.tasks[5].more"),
        ("TEMPLATE_UNKNOWN_REFERENCE", "tasks[1].map.tasks[6].condition"),
    }


def test_a_circle_in_a_body_is_shown_as_the_way_around_it() -> None:
    """As one outside is."""
    source = each(node("a", dependsOn=["b"]), node("b", input="{{tasks.a.output}}"))
    assert found(source) == (
        "GRAPH_CYCLE tasks[0].map.tasks[0].dependsOn[0]: Circular dependency: a → b → a"
    )


def test_a_circle_through_a_body_is_shown_where_the_body_makes_it() -> None:
    """Of the map with itself, or by way of a task around it."""
    itself = each(node("a", input={"x": "{{tasks.each.output}}"}), items=[1])
    assert found(itself) == (
        "GRAPH_CYCLE tasks[0].map.tasks[0].input: Circular dependency: each → each"
    )
    after = node("after", dependsOn=["each"])
    assert found(each(node("a", input="{{tasks.after.output}}")), after) == (
        "GRAPH_CYCLE tasks[0].map.tasks[0].input: Circular dependency: each → after → each"
    )


def test_an_id_that_is_visible_around_a_map_is_not_used_again_in_it() -> None:
    """Also that of a node behind it, of the map itself, of a map around it, and of a gate."""
    clash = (
        "GRAPH_DUPLICATE_NODE {place}: the id {id!r} is taken by a node around the map, "
        "so tasks.{id} could mean either; choose another"
    )
    for around in (node("late"), node("x", condition="input.a")):
        taken = around["id"] + (":condition" if "condition" in around else "")
        place = "tasks[0].map.tasks[0].id"
        assert found(each(node(taken)), around) == clash.format(place=place, id=taken)
    assert found(each(node("each"))) == clash.format(place="tasks[0].map.tasks[0].id", id="each")
    inner = {"id": "inner", "map": {"items": [1], "tasks": [node("each")]}}
    place = "tasks[0].map.tasks[0].map.tasks[0].id"
    assert found(each(inner)) == clash.format(place=place, id="each")


def test_maps_beside_each_other_may_use_the_same_ids() -> None:
    """Neither sees the other's."""
    other = {**each(node("a")), "id": "other"}
    assert found(each(node("a")), other) == ""


def test_dependencies_stay_inside_one_graph() -> None:
    """One on a task around the map belongs to the map."""
    assert found(node("first"), each(node("a", dependsOn=["first"]))) == (
        "GRAPH_UNKNOWN_NODE tasks[1].map.tasks[0].dependsOn[0]: a depends on 'first', "
        "which is outside the map; let the map 'each' depend on it"
    )


def test_the_inside_of_a_map_is_not_seen_outside() -> None:
    """Its output is the list that is."""
    assert found(each(node("price")), node("b", input="{{tasks.price.output}}")) == (
        "TEMPLATE_UNKNOWN_REFERENCE tasks[1].input: tasks.price.output: there is no task 'price' "
        "here; it runs in the map 'each', whose output is a list"
    )
    assert found(each(node("price")), node("b", input="{{tasks.each.output.value}}")) == (
        "TEMPLATE_UNKNOWN_REFERENCE tasks[1].input: tasks.each.output.value: the output of each "
        "is the list of its items' outputs; [0] is the first of them"
    )


@pytest.mark.parametrize("root", ["item", "index"])
def test_the_item_is_known_in_maps_alone(root: str) -> None:
    """Neither in tasks around, nor in conditions, nor in the output."""
    text = f"{{{{{root}}}}}"
    assert refusals(
        documents(workflow(node("a", input=text), node("b", condition=f"{root} == 1"), output=text))
    ) == [
        ("TEMPLATE_UNKNOWN_REFERENCE", "tasks[0].input"),
        ("EXPRESSION_INVALID", "tasks[1].condition"),
        ("TEMPLATE_UNKNOWN_REFERENCE", "output"),
    ]


def test_a_macro_in_a_map_has_another_variable() -> None:
    """`item` would be two things in one expression."""
    bad = each(node("a", condition="input.list.exists(item, item > 1)"))
    assert found(bad) == (
        "EXPRESSION_INVALID tasks[0].map.tasks[0].condition: 'item' is the map's here; "
        "give the variable of the macro another name"
    )
    assert found(each(node("a", condition="input.list.exists(x, x > item.n)"))) == ""
    assert found(node("a", condition="input.list.exists(item, item > 1)")) == ""


TASKS = (
    task("number", inputSchema=object_schema(n="integer")),
    task("text", outputSchema={"type": "string"}),
    task("closed", outputSchema={**object_schema(lines="array"), "additionalProperties": False}),
)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{{index}}", ""),
        ("{{item.n}}", ""),
        ("{{item.id}}", "string does not fit integer expected by number (from item.id)"),
        ("{{item.nope}}", "item.nope: an item of each has no field 'nope'"),
        ("{{tasks.text.output}}", "string does not fit integer expected by number"),
    ],
)
def test_the_input_of_a_task_in_a_map_is_checked(given: str, message: str) -> None:
    """The item has the type of the list's elements, where that is known."""
    orders = {"type": "array", "items": object_schema(id="string", n="integer")}
    text = found(
        each(node("text", "text"), node("number", "number", input={"n": given})),
        tasks_of=TASKS,
        inputSchema={"type": "object", "properties": {"orders": orders}},
    )
    assert message in text
    assert bool(text) == bool(message)


def test_the_item_of_an_inner_map_is_the_innermost() -> None:
    """Its type comes through the maps around."""
    lines = {"type": "array", "items": object_schema(sku="string")}
    orders = {"type": "array", "items": {"type": "object", "properties": {"lines": lines}}}
    spec = {"inputSchema": {"type": "object", "properties": {"orders": orders}}}

    def inner(given: str, items: str = "{{item.lines}}") -> str:
        use = node("n", "number", input={"n": given})
        return found(
            each({"id": "inner", "map": {"items": items, "tasks": [use]}}), tasks_of=TASKS, **spec
        )

    place = "documents[3].tasks[0].map.tasks[0].map.tasks[0].input.n"
    assert inner("{{item.lines}}") == (
        f"TEMPLATE_UNKNOWN_REFERENCE {place}: item.lines: an item of inner has no field 'lines'"
    )
    assert inner("{{item.sku}}").startswith(f"TYPE_MISMATCH {place}: ")
    assert inner("{{item.x}}", "{{item.other}}").startswith("TEMPLATE_UNKNOWN_REFERENCE")
    assert inner("{{index}}") == ""


def test_items_from_a_task_are_known_as_its_schema_says() -> None:
    """A closed schema refuses what it does not declare; a literal list has the types in it."""
    use = node("n", "number", input={"n": "{{item}}"})
    assert found(each(use, items=[1, 2]), tasks_of=TASKS) == ""
    assert found(each(use, items=["{{input.a}}"]), tasks_of=TASKS) == ""
    assert "string does not fit integer" in found(each(use, items=["a"]), tasks_of=TASKS)
    items = "{{tasks.c.output.nope}}"
    assert "the output of c has no field 'nope'" in found(
        node("c", "closed"), each(use, items=items), tasks_of=TASKS
    )


def test_the_output_of_a_map_is_a_list_of_what_its_leaf_gives() -> None:
    """And of nulls where there are several leaves."""

    def after(given: str, *body: dict[str, Any]) -> str:
        use = node("use", "number", input={"n": given})
        return found(each(*body, items=[1]), use, tasks_of=TASKS)

    text = node("a", "text")
    assert "array does not fit integer" in after("{{tasks.each.output}}", text)
    assert "string does not fit integer" in after("{{tasks.each.output[0]}}", text)
    assert "null does not fit integer" in after("{{tasks.each.output[0]}}", text, node("b"))
    assert after("{{tasks.each.output[0]}}", text, node("b", dependsOn=["a"])) == ""
    inner = {"id": "inner", "map": {"items": [1], "tasks": [text]}}
    assert "array does not fit integer" in after("{{tasks.each.output[0]}}", inner)
    assert "string does not fit integer" in after("{{tasks.each.output[0][5]}}", inner)


def test_tasks_in_maps_are_tasks_the_workflow_refers_to() -> None:
    """So a change of one reaches it, and none is deleted under it."""
    reading = read_source(documents(workflow(node("a", "t"), each(node("b", "u")))))
    assert reading.task_refs == {"t", "u"}
