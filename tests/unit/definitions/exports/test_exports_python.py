"""Definitions as Python code that makes the same documents when it runs."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.contract.json_value import Json
from flowmesh.definitions.exports import export_source, write_python
from flowmesh.errors import Invalid
from flowmesh.sdk import Workflow, WorkflowTask
from flowmesh.sdk.workflows.refs import output_of
from tests.draws import draws
from tests.unit.definitions.exports.test_exports import (
    IDS,
    JSON_VALUES,
    documents,
    native_nodes,
    plan_of,
    refused,
    step_documents,
)
from tests.unit.definitions.factories import (
    http,
    node,
    object_schema,
    resource,
    steps,
    task,
    workflow,
)
from tests.unit.definitions.formats.test_graph_json import decision, edge, graph, made

EXAMPLES = Path(__file__).parents[4] / "examples"


def python(source: bytes) -> str:
    return write_python(export_source(source, "", "python"))


def built(text: str) -> list[Json]:
    """Return the resources that the module makes."""
    names: dict[str, Any] = {}
    exec(compile(text, "flows.py", "exec"), names)
    made_of = [value for value in names.values() if isinstance(value, Workflow | WorkflowTask)]
    found = {
        (each["kind"], each["metadata"]["name"]): each
        for value in made_of
        for each in value.as_resources()
    }
    return list(found.values())


def canonical(resources: list[Json]) -> list[str]:
    """Return each document with sorted keys, as in its digest; 2 and 2.0 differ."""
    return sorted(json.dumps(each, sort_keys=True) for each in resources)


def same_again(*resources: Json) -> str:
    """Return the code after checking that it makes these documents."""
    text = python(documents(*resources))
    assert canonical(built(text)) == canonical(list(resources))
    return text


@settings(max_examples=draws(60), deadline=None)
@given(native_nodes(IDS), st.booleans())
def test_native_to_python_and_back_is_the_same_document(nodes: list[Json], more: bool) -> None:
    """With any members of nodes."""
    spec: Json = {"output": {"a": "{{input.n}}"}, "timeout": "1h", "parallelism": 2} if more else {}
    same_again(task("shared", timeout="9s"), workflow(*nodes, **spec))


@settings(max_examples=draws(60), deadline=None)
@given(step_documents())
def test_step_json_to_python_is_the_same_plan(document: Json) -> None:
    """Or it is refused, as it is for native resources."""
    source = json.dumps(document).encode()
    try:
        native = export_source(source, "", "native")
    except Invalid:
        assert refused(source, "python")
        return
    assert canonical(built(python(source))) == canonical(native)


REFERENCES = [
    "{{input}}", "{{input.rows[0].a-b}}", "{{input.rows[01]}}", "{{ input.a }}", "{{item}}",
    "{{variables.limit}}", "{{tasks.%s.output}}", "{{tasks.%s.output.to.it}}", "{{index}}",
    "{{tasks.%s.output[2]}}", "of {{tasks.%s.output}}", "{{default(input.a, 1)}}",
    1, 1.0, None, True, 'say "it"', "a\nb\n", "it's",
]  # fmt: skip
RETRIES = [
    {"maxAttempts": 5, "initialDelay": "1s", "multiplier": multiplier, "maxDelay": "30s", **more}
    for multiplier in (2, 2.0, 3.5)
    for more in ({}, {"retryOn": ["*"]})
]  # fmt: skip


@st.composite
def said_nodes(draw: st.DrawFn, depth: int = 0, prefix: str = "n") -> list[Json]:
    """Generate nodes with builder options, whose inputs refer to earlier nodes."""
    found: list[Json] = []
    for index in range(draw(st.integers(1, 3))):
        ids = [each["id"] for each in found]
        name = f"{prefix}{index}"

        def value(ids: list[str] = ids) -> Json:
            text = draw(st.sampled_from(REFERENCES))
            if isinstance(text, str) and "%s" in text:
                return text % draw(st.sampled_from(ids)) if ids else text % "elsewhere"
            return text

        before: list[Json] = draw(st.lists(st.sampled_from(ids), unique=True)) if ids else []
        if draw(st.booleans()) and before:
            on = draw(st.sampled_from(["failure", "large"]))
            before[0] = {"task": before[0], "on": on}
        said: Json = {"dependsOn": before} if before else {}
        said |= draw(st.sampled_from([{}, {}, {"name": "Its name", "condition": "input.n > 1"},
                                      {"critical": False, "join": "ANY"}, {"critical": True},
                                      {"join": {"mode": "ANY", "count": 1}}]))  # fmt: skip
        inputs: Json = draw(st.sampled_from([{}, {"input": {"a": value(), "b": [value()]}},
                                             {"input": value()}]))  # fmt: skip
        tasks = {"timeout": "5s", "priority": "HIGH", "queue": "q", "permissions": ["a.b"],
                 "repeatable": True, "scheduleToStart": "9s", "limits": {"concurrency": 3},
                 "retry": draw(st.sampled_from(RETRIES))}  # fmt: skip
        some = {
            key: tasks[key] for key in draw(st.sets(st.sampled_from(sorted(tasks)), max_size=3))
        }
        kind = draw(st.sampled_from(["use", "task", "http", "transform", "child", "wait", "again",
                                     "map", "decision"]))  # fmt: skip
        match kind:
            case "use":
                found.append(node(name, "shared", **said, **inputs, **some))
            case "task":
                found.append(node(name, "worker", **said, **inputs, **some))
            case "http":
                found.append(node(name, f"w.{name}", **said, **inputs, **some))
            case "transform":
                given_to = {"source": value(), "pipeline": [{"operation": "reverse"}]}
                found.append(node(name, "transform", input=given_to, **said, **some))
            case "child":
                child: Json = {"workflow": "other", **draw(st.sampled_from([
                    {}, {"version": "latest", "wait": True}, {"version": 3, "wait": False,
                     "id": "{{input.id}}", "onCancel": "ABANDON"}])), **inputs}  # fmt: skip
                found.append({"id": name, "subworkflow": child, **said, **some})
            case "wait":
                key: Json = {"correlate": value()} if draw(st.booleans()) else {}
                found.append({"id": name, "wait": {"event": "paid", **key}, **said})
            case "again":
                found.append({"id": name, "continueAsNew": {**inputs}, **said})
            case "map" if depth < 2:
                inner = draw(said_nodes(depth + 1, f"{name}m"))
                body: Json = draw(st.sampled_from([
                    {"items": value()}, {"items": [1], "concurrency": 2, "batch": 3},
                    {"pages": {"taskRef": "shared"}, "results": "COUNT"},
                    {"items": "{{input.a}}", "tolerate": {"count": 3}, "results": "LIST"},
                ]))  # fmt: skip
                found.append({"id": name, "map": {**body, "tasks": inner}, **said})
            case _:
                default = {"default": ["no"]}
                yes = {"id": "yes", "expression": "input.n > 1"}
                found.append({"id": name, "decision": {"conditions": [yes], **default}, **said})
    return found


WORKFLOW = st.fixed_dictionaries({}, optional={
    "description": JSON_VALUES.filter(lambda v: isinstance(v, str)),
    "inputSchema": st.sampled_from([True, {}, object_schema("a", a="string")]),
    "outputSchema": st.just({"type": "object"}),
    "parallelism": st.sampled_from([0, 4]),
    "timeout": st.just("1h"),
    "start": st.sampled_from([{"delay": "5s"}, {"delay": None, "key": "{{input.a}}"}]),
    "variables": st.just({"limit": {"initial": 1.0}}),
    "output": JSON_VALUES,
    "onFailure": st.just("CANCEL"),
})  # fmt: skip
METADATA = st.fixed_dictionaries({}, optional={
    "labels": st.sampled_from([{}, {"team": "shop"}]),
    "annotations": st.sampled_from([{}, {"a": {"b": [1, None]}}]),
    "namespace": st.sampled_from(["", "shop"]),
})  # fmt: skip


@settings(max_examples=draws(150), deadline=None)
@given(said_nodes(), WORKFLOW, METADATA)
def test_written_code_makes_the_same_document(
    nodes: list[Json], spec: Json, metadata: Json
) -> None:
    """Also for invalid definitions: nothing is lost before the checks."""
    flow = workflow(*nodes, **spec)
    flow["metadata"] |= metadata
    tasks = [task("shared", timeout="9s"), resource("WorkflowTask", "worker", type="worker")]
    tasks += [
        resource("WorkflowTask", f"w.n{number}", type="http", http={"method": method, "url": "u"})
        for number, method in enumerate(["GET", "POST"])
    ]
    tasks[0]["metadata"] |= metadata
    assert canonical(built(write_python([*tasks, flow]))) == canonical([*tasks, flow])


@settings(max_examples=draws(100), deadline=None)
@given(JSON_VALUES, st.text(max_size=8))
def test_values_are_read_back_as_what_was_written(value: Json, key: str) -> None:
    """Quotes, line ends and control characters included."""
    found = workflow(node("a", "noop", input={key: value, "deep": [[{"a": {"b": value}}]]}))
    assert canonical(built(write_python([found]))) == canonical([found])


def test_the_code_is_idiomatic() -> None:
    """References replace templates where the document declares the dependency."""
    text = same_again(
        resource("WorkflowTask", "charge-card", type="charge-card"),
        resource("WorkflowTask", "w.cart", type="http", http={"method": "GET", "url": "http://x/"}),
        task("refund", timeout="5s"),
        workflow(
            node("cart", "w.cart", input={"id": "{{input.id}}"}),
            node(
                "charge",
                "charge-card",
                input={"total": "{{tasks.cart.output.total}}"},
                dependsOn=["cart"],
                retry={
                    "maxAttempts": 5,
                    "initialDelay": "100ms",
                    "multiplier": 2.0,
                    "maxDelay": "30s",
                },
                undo={"taskRef": "refund"},
            ),
            {
                "id": "each",
                "map": {
                    "items": "{{tasks.cart.output.rows}}",
                    "concurrency": 5,
                    "tasks": [node("ship", "noop", input={"of": "{{item.id}}"})],
                },
                "dependsOn": ["cart"],
            },
            node("sorry", "noop", dependsOn=[{"task": "charge", "on": "failure"}]),
            output={"total": "{{tasks.cart.output.total}}"},
        ),
    )
    assert text == (
        '"""Workflows in code; `flowmesh apply -f` registers what this file defines."""\n'
        "\n"
        "from flowmesh.sdk import Retry, Workflow, WorkflowTask, workflow\n"
        "\n"
        'refund = WorkflowTask("refund", {"type": "echo", "timeout": "5s"})\n'
        "\n"
        "\n"
        '@workflow("w", brings=[refund])\n'
        "def w(flow: Workflow) -> object:\n"
        '    cart = flow.http("cart", "http://x/", input={"id": flow.input["id"]})\n'
        "    charge = flow.task(\n"
        '        "charge",\n'
        '        "charge-card",\n'
        '        input={"total": cart.output["total"]},\n'
        "        retry=Retry(attempts=5),\n"
        '        also={"undo": {"taskRef": "refund"}},\n'
        "    )\n"
        '    each = flow.map("each", items=cart.output["rows"], concurrency=5)\n'
        '    each.use("ship", "noop", input={"of": each.item["id"]})\n'
        '    flow.use("sorry", "noop", depends_on=[charge.on("failure")])\n'
        '    return {"total": cart.output["total"]}\n'
    )


@pytest.mark.parametrize(
    "names",
    [
        ["class", "flow", "Retry", "Workflow", "workflow", "None"],
        ["a-b", "a_b", "a.b", "A.B"],
        ["1", "1-2", "_", "__"],
        ["print", "exec", "self", "import", "async"],
    ],
)
def test_any_id_is_a_name_of_its_own(names: list[str]) -> None:
    """Words of Python, words of the builder, and ids that look alike as names."""
    chain = [
        node(name, "noop", input={"of": str(output_of(before)["a b"])}, dependsOn=[before])
        for before, name in pairwise(names)
    ]
    text = same_again(*(task(name) for name in names), workflow(node(names[0], names[0]), *chain))
    assert "{{" not in text


def test_a_later_node_may_be_a_dependency() -> None:
    """Nodes stand in any order, in maps too."""
    inner = [node("x", dependsOn=["y"]), node("y")]
    same_again(
        workflow(
            node("a", dependsOn=["b"], input="{{tasks.b.output}}"),
            node("c", dependsOn=[{"task": "b", "on": "failure"}]),
            node("b"),
            {"id": "m", "map": {"items": "{{input.a}}", "tasks": inner}},
        )
    )


def test_a_task_without_a_workflow_is_written_too() -> None:
    """With all that its metadata says; two workflows share one."""
    alone = task("alone", description='It says "hello".')
    alone["metadata"] |= {"labels": {"a": "b"}, "annotations": {"x": 1}, "namespace": "shop"}
    assert "Workflow," not in same_again(alone)
    other = resource("Workflow", "v", tasks=[node("a", "shared")])
    assert same_again(task("shared"), workflow(node("a", "shared")), other).count("brings=") == 2


def test_deep_values_are_python() -> None:
    """As deep as documents may be."""
    value: Json = "x"
    for _ in range(55):
        value = {"a": [value]} if isinstance(value, dict) else {"a": value}
    found = workflow(node("a", "noop", input=value))
    assert canonical(built(write_python([found]))) == canonical([found])


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (
            steps(http("a", params={"url": "http://x/{{context.b}}"})),
            [("a", "the Python builder has no place for a node that reads the context")],
        ),
        (
            graph(decision(("a", "true")), made("x"), edges=(edge("d>x", condition="a"),)),
            [
                ("d", "the Python builder has no place for a node of type decision"),
                ("x", "the Python builder has no place for a node that reads the context"),
            ],
        ),
    ],
)
def test_unsupported_features_are_refused_by_name(
    source: bytes, what: list[tuple[str, str]]
) -> None:
    """As it is for native resources."""
    assert sorted(refused(source, "python")) == sorted(what)


def test_steps_that_read_no_context_are_written() -> None:
    """By way of native resources."""
    source = steps(http("a"), {"id": "b", "dependencies": ["a"]})
    back = documents(*built(python(source)))
    assert plan_of(back) == plan_of(documents(*export_source(source, "", "native")))


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for path in EXAMPLES.rglob("*.yaml")
        if ".test." not in path.name
        and not any(path.is_relative_to(EXAMPLES / each) for each in ("apps", "kubernetes"))
    ),
    ids=lambda path: path.name,
)
def test_the_examples_are_the_same_documents(path: Path) -> None:
    """So that their digests, and with these their versions, are the same."""
    source = path.read_bytes()
    assert canonical(built(python(source))) == canonical(export_source(source, "", "native"))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"version": 3},
        {"wait": False},
        {"id": "{{input.id}}", "wait": False},
        {"input": {}},
        {"input": {"a": 1}, "id": "child", "wait": False},
        {"onCancel": "ABANDON"},
        {"onCancel": None},
        {"input": None},
        {"project": "p", "credential": "secret://own"},
    ],
)
def test_options_of_a_child_make_the_same_document(more: Json) -> None:
    """Also those that the builder has no words for, and empty ones."""
    same_again(workflow({"id": "a", "subworkflow": {"workflow": "w", **more}}))
    whole: Json = {"workflow": "w", "version": "latest", "wait": True, **more}
    same_again(workflow({"id": "a", "subworkflow": whole}))
