"""Graph JSON: its plan, and its refusals."""

import json

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.definitions import compile_source
from tests.unit.definitions.factories import documents, problems, refusals, task

DATA: dict[str, dict[str, Json]] = {
    "function": {"functionName": "f", "functionCode": "return 1"},
    "http": {"url": "http://service/", "method": "GET"},
    "decision": {"conditions": []},
    "webhook": {},
    "trigger": {"triggerType": "manual", "config": {}},
    "delay": {"delayType": "fixed", "delayValue": 5},
    "transformation": {
        "transformationType": "map",
        "transformationConfig": {"expression": "item.x"},
    },
    "custom": {"taskType": "mine"},
}


def made(node_id: str, kind: str = "custom", **more: Json) -> Json:
    data = {**DATA.get(kind, {}), **more.pop("data", {})}
    return {
        "id": node_id,
        "type": kind,
        "name": node_id.upper(),
        "workflowId": "g",
        "version": 1,
        "position": {"x": 10, "y": 2.5},
        "data": data,
        "metadata": {"createdBy": "ada", "tags": ["t"]},
        **more,
    }


def edge(between: str, **more: Json) -> Json:
    """Return the edge `a>b` with that id."""
    source, _, target = between.partition(">")
    return {"id": between, "source": source, "target": target, **more}


def graph(*nodes: Json, edges: tuple[Json, ...] = (), **more: Json) -> bytes:
    document = {"id": "g", "name": "G", "version": 1, "nodes": nodes, "edges": edges, **more}
    return json.dumps(document).encode()


def decision(*conditions: tuple[str, str], **data: Json) -> Json:
    listed = [{"id": name, "expression": text} for name, text in conditions]
    return made("d", "decision", data={"conditions": listed, **data})


def planned(source: bytes) -> dict[str, plan_pb2.PlanNode]:
    return {node.id: node for node in compile_source(source).nodes}


def config(source: bytes, node_id: str) -> Json:
    plan = compile_source(source)
    node = next(node for node in plan.nodes if node.id == node_id)
    found = json.loads(plan.specs[node.spec].config)
    found.pop("steps", None)  # what of the context answers to `.result`
    return found


def rules(node: plan_pb2.PlanNode) -> list[tuple[int, str, bool]]:
    return [(node.dependencies[e.dependency], e.label, e.on_failure) for e in node.edges]


@pytest.mark.parametrize(
    ("kind", "node_kind", "task_type"),
    [
        ("function", plan_pb2.NODE_KIND_TASK, "function"),
        ("http", plan_pb2.NODE_KIND_TASK, "http.request"),
        ("decision", plan_pb2.NODE_KIND_TASK, "decision"),
        ("webhook", plan_pb2.NODE_KIND_SIGNAL, ""),
        ("trigger", plan_pb2.NODE_KIND_NOOP, ""),
        ("delay", plan_pb2.NODE_KIND_TIMER, ""),
        ("transformation", plan_pb2.NODE_KIND_TASK, "transform"),
        ("custom", plan_pb2.NODE_KIND_TASK, "mine"),
    ],
)
def test_each_of_the_eight_types_is_compiled(kind: str, node_kind: int, task_type: str) -> None:
    """To a task of an executor, or to what needs no worker."""
    plan = compile_source(graph(made("n", kind)))
    (node,) = plan.nodes
    assert (node.kind, node.name) == (node_kind, "N")
    assert [spec.task_type for spec in plan.specs] == [task_type] * bool(task_type)


def test_another_type_is_refused_with_what_was_meant() -> None:
    """And its place."""
    (problem,) = problems(graph(made("n", "functon")))
    assert (problem.code, problem.place) == ("DEFINITION_INVALID", "nodes[0].type")
    assert "did you mean 'function'?" in problem.message


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("http", "method", "methd"),
        ("http", "sendContext", "sendcontext"),
        ("function", "functionName", "functionNam"),
        ("delay", "delayType", "delaytype"),
    ],
)
def test_a_misspelt_member_of_data_is_a_warning(kind: str, right: str, wrong: str) -> None:
    """It names the member that was meant."""
    node = made("n", kind)
    node["data"][wrong] = node["data"].pop(right, "POST")
    found = problems(graph(node))
    near = [each for each in found if each.warning and each.place == f"nodes[0].data.{wrong}"]
    assert [f"did you mean {right!r}?" in each.message for each in near] == [True], found


def test_unknown_members_of_data_are_kept_without_a_word() -> None:
    """They are open; elsewhere they are kept with a warning."""
    assert problems(graph(made("n", "http", data={"mine": {"deep": [1]}}))) == []
    (warning,) = problems(graph(made("n", "http", colour="red")))
    assert (warning.warning, warning.place) == (True, "nodes[0].colour")


@pytest.mark.parametrize(
    ("changed", "code", "place"),
    [
        ({"edges": (edge("a>c"),)}, "GRAPH_UNKNOWN_NODE", "edges[0].target"),
        ({"edges": (edge("x>b"),)}, "GRAPH_UNKNOWN_NODE", "edges[0].source"),
        ({"edges": (edge("a>b"), edge("b>a"))}, "GRAPH_CYCLE", "edges[1]"),
        ({"edges": (edge("a>a"),)}, "GRAPH_CYCLE", "edges[0]"),
        ({"edges": (edge("a>b"), edge("a>b"))}, "DEFINITION_INVALID", "edges[1].id"),
        ({"edges": ({"source": "a", "target": "b"},)}, "DEFINITION_INVALID", "edges[0].id"),
        ({"edges": (7,)}, "DEFINITION_INVALID", "edges[0]"),
        ({"edges": 7}, "DEFINITION_INVALID", "edges"),
        ({"steps": []}, "DEFINITION_INVALID", ""),
    ],
)
def test_edges_lead_from_node_to_node(changed: Json, code: str, place: str) -> None:
    """Dangling, circular and doubled ones are refused where they stand."""
    assert refusals(graph(made("a"), made("b"), **changed)) == [(code, place)]


@pytest.mark.parametrize(
    ("node", "code", "place"),
    [
        (made("a", workflowId="other"), "DEFINITION_INVALID", "nodes[0].workflowId"),
        (made("a", position={"x": "left", "y": 0}), "DEFINITION_INVALID", "nodes[0].position.x"),
        (made("a", metadata={"tags": [1]}), "DEFINITION_INVALID", "nodes[0].metadata.tags[0]"),
        (made("a", "http", data={"url": ""}), "DEFINITION_INVALID", "nodes[0].data.url"),
        (
            made("a", "http", data={"url": "http://x/{{"}),
            "TEMPLATE_INVALID",
            "nodes[0].data.url",
        ),
        (
            made("a", "function", data={"functionCode": "return ("}),
            "EXPRESSION_INVALID",
            "nodes[0].data.functionCode",
        ),
        (
            made("a", "delay", data={"delayValue": -1}),
            "TIMEOUT_INVALID",
            "nodes[0].data.delayValue",
        ),
        (
            made("a", "trigger", data={"triggerType": "scheduled"}),
            "DEFINITION_INVALID",
            "nodes[0].data.config.expression",
        ),
        (
            made("a", "webhook", data={"provider": "github"}),
            "TRIGGER_INVALID",
            "nodes[0].data",
        ),
        (
            made("a", "webhook", data={"provider": "carrier-pigeon"}),
            "DEFINITION_INVALID",
            "nodes[0].data.provider",
        ),
        (made("a", join="2 of 3"), "FEATURE_UNSUPPORTED", "nodes[0].join"),
        (
            made("a", "custom", data={"taskRef": "nope"}),
            "TASK_NOT_FOUND",
            "nodes[0].data.taskRef",
        ),
        (
            made("a", "custom", data={"input": "{{tasks.zz.output}}"}),
            "TEMPLATE_UNKNOWN_REFERENCE",
            "nodes[0].data.input",
        ),
    ],
)
def test_problems_of_a_node_have_its_place(node: Json, code: str, place: str) -> None:
    """With its path in the document as it was written."""
    assert refusals(graph(node)) == [(code, place)]


def test_a_node_that_no_trigger_leads_to_is_refused() -> None:
    """It never runs; without triggers every node without incoming edges is a root."""
    nodes = (made("t", "trigger"), made("a"), made("lost"))
    (refused,) = refusals(graph(*nodes, edges=(edge("t>a"),)))
    assert refused == ("GRAPH_UNREACHABLE_NODE", "nodes[2].id")
    assert refusals(graph(made("a"), made("b"))) == []


def test_an_edge_carries_the_condition_of_its_decision() -> None:
    """The default edge carries its own id, which the decision answers if nothing holds."""
    source = graph(
        decision(("high", "context.total > 10"), ("low", "$.total"), defaultPath="d>c"),
        *(made(name) for name in "abc"),
        edges=(edge("d>a", condition="high"), edge("d>b", condition="low"), edge("d>c")),
    )
    nodes = planned(source)
    assert [rules(nodes[name]) for name in "abc"] == [
        [(0, "high", False)],
        [(0, "low", False)],
        [(0, "d>c", False)],
    ]
    assert config(source, "d") == {
        "conditions": [
            {"id": "high", "expression": "context.total > 10", "language": "javascript"},
            {"id": "low", "expression": "$.total", "language": "jsonpath"},
        ],
        "match": "first",
        "default": ["d>c"],
    }


def test_priorities_of_edges_order_what_is_tried() -> None:
    """The lowest first; conditions of edges without one come after, as they are written."""
    source = graph(
        decision(("one", "true"), ("two", "true"), ("three", "true")),
        *(made(name) for name in "abc"),
        edges=(
            edge("d>a", condition="one"),
            edge("d>b", condition="two", priority=2),
            edge("d>c", condition="three", priority=1),
        ),
    )
    tried = [condition["id"] for condition in config(source, "d")["conditions"]]
    assert tried == ["three", "two", "one"]


def test_an_edge_may_have_an_expression_of_its_own() -> None:
    """On a decision it is an additional condition; elsewhere a hidden decision has it."""
    source = graph(
        decision(("high", "context.x > 1")),
        made("a"),
        made("b"),
        edges=(
            edge("d>a", condition="context.x < 0"),
            edge("d>b", condition="high"),
            edge("a>b", condition="context.a.ok"),
        ),
    )
    assert [each["id"] for each in config(source, "d")["conditions"]] == ["high", "d>a"]
    assert config(source, "a:after")["conditions"] == [
        {"id": "a>b", "expression": "context.a.ok", "language": "javascript"}
    ]
    nodes = planned(source)
    assert list(nodes) == ["d", "a", "a:after", "b"]
    assert rules(nodes["b"]) == [(0, "high", False), (2, "a>b", False)]
    assert nodes["b"].join == plan_pb2.JOIN_ALL


@pytest.mark.parametrize(
    ("node", "edges", "place"),
    [
        (
            decision(("high", "true")),
            (edge("d>a", condition="hihg"),),
            "edges[0].condition",
        ),
        (decision(defaultPath="nowhere"), (edge("d>a"),), "nodes[0].data.defaultPath"),
        (
            decision(("high", "")),
            (edge("d>a", condition="high"),),
            "nodes[0].data.conditions[0].expression",
        ),
    ],
)
def test_a_mistyped_condition_is_refused(node: Json, edges: tuple[Json, ...], place: str) -> None:
    """Its branch would never run."""
    assert ("DEFINITION_INVALID", place) in refusals(graph(node, made("a"), edges=edges))


def test_a_condition_without_an_edge_is_warned_of() -> None:
    """And so is an edge of a decision that is always taken."""
    found = problems(graph(decision(("high", "true")), made("a"), edges=(edge("d>a"),)))
    assert [(p.warning, p.place) for p in found] == [
        (True, "edges[0]"),
        (True, "nodes[0].data.conditions[0].id"),
    ]


def test_an_error_edge_is_taken_when_its_node_fails() -> None:
    """Said by its type or by its condition."""
    source = graph(
        *(made(name) for name in "abc"),
        edges=(edge("a>b", type="error"), edge("a>c", condition="error")),
    )
    nodes = planned(source)
    assert rules(nodes["b"]) == rules(nodes["c"]) == [(0, "", True)]


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ({}, plan_pb2.JOIN_ALL),
        ({"join": "all"}, plan_pb2.JOIN_ALL),
        ({"join": "any"}, plan_pb2.JOIN_ANY),
        ({"join": "strict"}, plan_pb2.JOIN_UNSPECIFIED),
    ],
)
def test_a_node_joins_its_edges(join: Json, expected: int) -> None:
    """All of them unless it says otherwise."""
    nodes = (made("a"), made("b"), made("c", **join))
    assert planned(graph(*nodes, edges=(edge("a>c"), edge("b>c"))))["c"].join == expected


def test_two_edges_between_the_same_nodes_are_both_taken() -> None:
    """The second leads over a hidden node."""
    source = graph(
        decision(("one", "context.a"), ("two", "context.b"), match="all"),
        made("a"),
        edges=(edge("d>a", condition="one"), edge("d>a", condition="two") | {"id": "again"}),
    )
    nodes = planned(source)
    assert rules(nodes["a:edge2"]) == [(0, "two", False)]
    assert rules(nodes["a"]) == [(0, "one", False)]
    assert len(nodes["a"].dependencies) == 2


@pytest.mark.parametrize(
    ("data", "delay_ms", "template"),
    [
        ({"delayValue": 1500}, 1500, ""),
        ({"delayValue": "1500"}, 1500, ""),
        ({"delayValue": "2s"}, 2000, ""),
        ({"delayType": "until", "delayValue": "2030-01-31T08:00:00Z"}, 0, "2030-01-31T08:00:00Z"),
        ({"delayType": "expression", "delayValue": "{{context.ms}}"}, 0, "{{context.ms}}"),
        (
            {"delayType": "expression", "delayValue": "context.s * 1000"},
            0,
            '{{context["n:before"]}}',
        ),
    ],
)
def test_a_delay_is_fixed_until_or_computed(data: Json, delay_ms: int, template: str) -> None:
    """JavaScript is computed by a hidden function before the timer."""
    node = planned(graph(made("n", "delay", data=data)))["n"]
    assert node.delay_ms == delay_ms
    assert (json.loads(node.input_template) if node.input_template else "") == template


def test_code_that_declares_the_function_is_called() -> None:
    """By the name the node gives; other code is a body by itself."""
    declared = "const add = (input) => input.a + 1"
    code = {"functionName": "add", "functionCode": declared}
    source = graph(made("n", "function", data=code))
    assert config(source, "n") == {"code": f"{declared}\nreturn add(input, context)"}


def test_a_handler_is_a_remote_worker_that_gets_the_context() -> None:
    """Unless the node says what it gets; its schemas are those of the task."""
    data = {"handlerId": "billing.charge", "inputSchema": {"type": "object"}}
    source = graph({**made("n", "function"), "data": data})
    plan = compile_source(source)
    assert plan.specs[0].task_type == "billing.charge"
    assert json.loads(plan.specs[0].input_schema) == {"type": "object"}
    assert json.loads(plan.nodes[0].input_template) == "{{context}}"
    given = graph({**made("n", "function"), "data": {**data, "input": {"a": "{{input.b}}"}}})
    assert json.loads(planned(given)["n"].input_template) == {"a": "{{input.b}}"}


def test_a_transformation_reads_the_node_before_it() -> None:
    """Parameters of an operation, or JavaScript over the items."""
    where = {"field": "n", "operator": "gt", "value": 1}
    source = graph(
        made("a"),
        made(
            "f",
            "transformation",
            data={"transformationType": "filter", "transformationConfig": where},
        ),
        edges=(edge("a>f"),),
    )
    assert config(source, "f") == {"pipeline": [{"operation": "filter", **where}]}
    assert json.loads(planned(source)["f"].input_template) == '{{tasks["a"].output}}'


def test_a_webhook_checks_and_turns_what_came() -> None:
    """A task behind the signal has the schema and the template."""
    data = {
        "webhookId": "paid",
        "payloadSchema": {"type": "object", "required": ["id"]},
        "transformationTemplate": {"order": "{{ payload.id }}"},
    }
    nodes = planned(graph(made("w", "webhook", data=data)))
    assert nodes["w:before"].signal == "paid"
    template = json.loads(nodes["w"].input_template)
    assert template["value"] == {"order": '{{tasks["w:before"].output.id }}'}


def test_a_custom_node_may_refer_to_a_task_of_the_library() -> None:
    """And runs it as a native workflow would."""
    own = {"taskRef": "echo-it", "input": {"a": "{{input.b}}"}, "condition": "input.b > 1"}
    document = json.loads(graph({**made("n"), "data": own}))
    plan = compile_source(documents(task("echo-it"), document))
    assert [node.id for node in plan.nodes] == ["n:condition", "n"]
    assert plan.nodes[1].retry.max_attempts == 4


def test_a_custom_node_may_have_a_body_of_native_tasks() -> None:
    """Read as native resources are, with places in the graph's own document."""
    body: Json = {"map": {"items": "{{input.list}}", "tasks": [{"id": "x", "taskRef": "noop"}]}}
    (made_node,) = compile_source(graph({**made("m"), "data": body})).nodes
    assert [each.id for each in made_node.map.nodes] == ["x"]
    body["map"]["tasks"].append({"id": "y", "taskRef": "noop", "wrong": 1})
    assert refusals(graph({**made("m"), "data": body})) == [
        ("DEFINITION_INVALID", "nodes[0].data.map.tasks[1].wrong")
    ]


def test_an_edge_may_name_an_outcome_of_its_source() -> None:
    """An outcome in the output of any node; not together with a condition."""
    source = graph(made("a"), made("b"), edges=(edge("a>b", outcome="large"),))
    assert rules(planned(source)["b"]) == [(0, "large", False)]
    both = graph(made("a"), made("b"), edges=(edge("a>b", outcome="x", condition="context.a"),))
    assert refusals(both) == [("DEFINITION_INVALID", "edges[0].outcome")]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"type": "digest", "config": {}}, "type"),
        ({"type": "basic", "config": {"username": "a"}}, "config.password"),
        ({"type": "bearer", "config": {"token": "a", "tokn": "b"}}, "config.tokn"),
        ({"type": "apiKey", "config": {"value": "a", "in": "cookie"}}, "config.in"),
    ],
)
def test_authentication_is_checked_by_its_kind(given: Json, place: str) -> None:
    """A missing or mistyped member would fail the call at run time."""
    found = refusals(graph(made("n", "http", data={"authentication": given})))
    assert found == [("DEFINITION_INVALID", f"nodes[0].data.authentication.{place}")]
