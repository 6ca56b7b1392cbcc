"""Templates, conditions, code, and the types of values passed to tasks."""

from typing import Any

import pytest

from flowmesh.definitions import compile_source
from flowmesh.definitions.problems import refuse
from flowmesh.errors import Invalid
from tests.unit.definitions.factories import (
    documents,
    http,
    node,
    object_schema,
    problems,
    refusals,
    resource,
    steps,
    task,
    workflow,
)

USER = object_schema("userId", userId="string")


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"x": "{{tasks.nope.output.x}}"}, "tasks[1].input.x"),
        ({"x": ["{{tasks.a.result}}"]}, "tasks[1].input.x[0]"),
        ("{{tasks}}", "tasks[1].input"),
        ("{{input.nope}}", "tasks[1].input"),
        ("{{input.userId.z}}", "tasks[1].input"),
        ({"x": {"y": "a {{input.userId}} {{input.nope}}"}}, "tasks[1].input.x.y"),
        ("{{items[0].name}}", "tasks[1].input"),
        ("{{context.x}}", "tasks[1].input"),
    ],
)
def test_references_to_what_is_not_there_are_refused(value: Any, place: str) -> None:
    """Unknown tasks, fields of a declared input, names of the other dialect."""
    source = documents(workflow(node("a"), node("b", input=value), inputSchema=USER))
    assert refusals(source) == [("TEMPLATE_UNKNOWN_REFERENCE", place)]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {**USER, "additionalProperties": True},
        {**USER, "patternProperties": {"^n": {}}},
        {"anyOf": [USER, {"type": "object"}]},
    ],
)
def test_an_input_that_may_hold_more_is_taken_at_its_word(schema: dict[str, Any]) -> None:
    """Only a schema that declares its fields speaks of the others."""
    source = documents(workflow(node("b", input="{{input.nope}}"), inputSchema=schema))
    assert refusals(source) == []


@pytest.mark.parametrize(
    "schema", [USER, {"allOf": [USER]}, {"$ref": "#/$defs/user", "$defs": {"user": USER}}]
)
def test_an_input_that_lists_its_fields_has_no_others(schema: dict[str, Any]) -> None:
    """At any depth; the nearest one is suggested."""
    source = documents(workflow(node("b", input="{{input.userIdd}}"), inputSchema=schema))
    (found,) = problems(source)
    assert (found.code, found.place) == ("TEMPLATE_UNKNOWN_REFERENCE", "tasks[0].input")
    assert "did you mean 'userId'?" in found.message


def test_an_output_may_hold_more_than_it_declares_unless_it_is_closed() -> None:
    """Services answer more than their contract says."""
    given = [node("a", "t"), node("b", input="{{tasks.a.output.more}}")]
    assert refusals(documents(task("t", outputSchema=USER), workflow(*given))) == []
    closed = {**USER, "additionalProperties": False}
    source = documents(task("t", outputSchema=closed), workflow(*given))
    assert refusals(source) == [
        ("TEMPLATE_UNKNOWN_REFERENCE", "documents[1].tasks[1].input"),
    ]


@pytest.mark.parametrize("text", ["{{", "{{}}", "{{input.}}", "{{input[x]}}", "{{input | }}"])
def test_templates_that_do_not_parse_are_refused(text: str) -> None:
    """In inputs, outputs, bodies and parameters alike."""
    code = "TEMPLATE_INVALID"
    assert refusals(documents(workflow(node("a", input={"k": [text]})))) == [
        (code, "tasks[0].input.k[0]")
    ]
    assert refusals(documents(workflow(node("a"), output={"o": text}))) == [(code, "output.o")]
    assert refusals(steps(http("a", params={"body": {"k": text}}))) == [
        (code, "steps[0].params.body.k")
    ]
    custom = {"id": "a", "action": "mine", "params": {"k": text}}
    assert refusals(steps(custom)) == [(code, "steps[0].params.k")]
    request = {"url": "http://x/" + text, "headers": {"H": text}, "body": text}
    found = refusals(documents(resource("WorkflowTask", "t", type="http", http=request)))
    assert found == [(code, "http.url"), (code, "http.headers.H"), (code, "http.body")]


def test_a_task_sees_its_own_input_and_a_step_the_context() -> None:
    """Other roots are unknown in their configuration."""
    request = {"url": "http://x/", "body": {"a": "{{tasks.a.output}}"}}
    found = refusals(documents(resource("WorkflowTask", "t", type="http", http=request)))
    assert found == [("TEMPLATE_UNKNOWN_REFERENCE", "http.body.a")]
    found = refusals(steps(http("a", params={"body": "{{input.x}}"})))
    assert found == [("TEMPLATE_UNKNOWN_REFERENCE", "steps[0].params.body")]


def test_fields_of_a_closed_task_input_are_checked_in_its_configuration() -> None:
    """An open one may be given more than it declares."""
    request = {"url": "http://x/", "headers": {"A": "Bearer {{input.apiKey}}"}}
    open_task = resource("WorkflowTask", "t", type="http", http=request, inputSchema=USER)
    assert refusals(documents(open_task)) == []
    open_task["spec"]["inputSchema"] = {**USER, "additionalProperties": False}
    assert refusals(documents(open_task)) == [("TEMPLATE_UNKNOWN_REFERENCE", "http.headers.A")]


@pytest.mark.parametrize(
    ("step", "code", "place"),
    [
        (
            {"action": "condition", "params": {"expression": "context.a >"}},
            "EXPRESSION_INVALID",
            "expression",
        ),
        (
            {"action": "condition", "params": {"expression": "x" * 5_000}},
            "EXPRESSION_TOO_COMPLEX",
            "expression",
        ),
        ({"action": "transform", "params": {"code": "return ("}}, "EXPRESSION_INVALID", "code"),
        (
            {"action": "transform", "params": {"code": "return 1 }); ({"}},
            "EXPRESSION_INVALID",
            "code",
        ),
        ({"action": "function", "params": {"code": "let let = 1"}}, "EXPRESSION_INVALID", "code"),
        (
            {"action": "transform", "params": {"pipeline": [{"operation": "nope"}]}},
            "OPERATION_UNKNOWN",
            "pipeline[0].operation",
        ),
    ],
)
def test_code_that_cannot_run_is_refused(step: dict[str, Any], code: str, place: str) -> None:
    """Before anything runs."""
    assert refusals(steps({"id": "a", **step})) == [(code, f"steps[0].params.{place}")]


@pytest.mark.parametrize(
    "code",
    [
        "return input.map(item => ({ ...item, processed: true }))",
        "return input.users.map(u => ({ id: u.id, name: u.name }))",
        "return input.orders.filter(o => o.status === 'active')",
    ],
)
def test_the_code_of_the_documents_is_accepted(code: str) -> None:
    """As it stands."""
    assert refusals(steps({"id": "a", "action": "transform", "params": {"code": code}})) == []


@pytest.mark.parametrize(
    "condition", ["tasks.nope.output.x", "input.x >", "other.x == 1", "tasks['nope'].output"]
)
def test_conditions_of_tasks_are_checked(condition: str) -> None:
    """Their syntax, and the tasks they read."""
    ((code, place),) = refusals(documents(workflow(node("a", condition=condition))))
    assert place == "tasks[0].condition"
    assert code in ("TEMPLATE_UNKNOWN_REFERENCE", "EXPRESSION_INVALID")


def test_a_task_that_is_nowhere_is_refused() -> None:
    """A task in the same source is found."""
    source = workflow(node("a", "charge-payment"))
    assert refusals(documents(source)) == [("TASK_NOT_FOUND", "tasks[0].taskRef")]
    assert refusals(documents(source, task("charge-payment"))) == []


def flow(given: Any, need: dict[str, Any], produced: dict[str, Any] | None = None) -> list[Any]:
    source = documents(
        task("charge-payment", inputSchema=need),
        task("make-cart", outputSchema=produced or object_schema(total="string", id="integer")),
        workflow(
            node("cart", "make-cart"),
            node("pay", "charge-payment", input=given),
            inputSchema=object_schema(name="string", count="integer"),
        ),
    )
    return [problem for problem in problems(source) if problem.code == "TYPE_MISMATCH"]


def test_a_mismatch_names_both_paths_and_both_types() -> None:
    """In one sentence and its place."""
    (found,) = flow({"total": "{{tasks.cart.output.total}}"}, object_schema(total="number"))
    assert found.message == (
        "string does not fit number expected by charge-payment (from tasks.cart.output.total)"
    )
    assert found.place == "documents[2].tasks[1].input.total"
    assert found.line > 0


AMOUNT = object_schema("amount", amount="number", note="string")


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({"amount": "{{tasks.cart.output.id}}"}, []),
        ({"amount": "{{input.count}}", "note": "{{input.name}}"}, []),
        ({"amount": "{{input.name}}"}, ["amount"]),
        ({"amount": "{{tasks.cart.output}}"}, ["amount"]),
        ({"amount": 7, "note": "n. {{input.count}}"}, []),
        ({"amount": "7"}, ["amount"]),
        ({"amount": "{{input.count}}0"}, ["amount"]),
        ({"amount": None}, ["amount"]),
        ({"note": "x"}, [""]),
        ({"amount": 1, "note": ["x"]}, ["note"]),
        ("{{input}}", [""]),
        ("{{tasks.cart.output.total}}", [""]),
        ([], [""]),
        ("{{execution.id}}", []),
    ],
)
def test_the_input_of_a_task_fits_its_schema(given: Any, places: list[str]) -> None:
    """References, constants, text, what is missing, and the whole input at once."""
    found = [
        problem.place.removeprefix("documents[2].tasks[1].input") for problem in flow(given, AMOUNT)
    ]
    assert [place.removeprefix(".") for place in found] == places


def test_mismatches_are_found_deep_in_both_schemas() -> None:
    """Members and items."""
    need = {
        "type": "object",
        "properties": {
            "order": {
                "type": "object",
                "properties": {"items": {"type": "array", "items": object_schema(price="number")}},
            }
        },
    }
    produced = {
        "type": "object",
        "properties": {
            "o": {
                "type": "object",
                "properties": {"items": {"type": "array", "items": object_schema(price="string")}},
            }
        },
    }
    (found,) = flow({"order": "{{tasks.cart.output.o}}"}, need, produced)
    assert found.message == (
        "string does not fit number expected by charge-payment "
        "(from tasks.cart.output.o.items[0].price)"
    )
    assert found.place.endswith("tasks[1].input.order.items[0].price")


def test_fields_that_a_closed_input_does_not_have_are_refused() -> None:
    """At the field."""
    need = {**object_schema(a="number"), "additionalProperties": False}
    (found,) = flow({"a": 1, "b": 2}, need)
    assert found.message == "charge-payment has no such field"


@pytest.mark.parametrize(
    "need",
    [{"oneOf": [{"type": "null"}]}, {"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}],
)
def test_alternatives_and_references_are_followed(need: dict[str, Any]) -> None:
    """A mismatch behind them is found."""
    (found,) = flow("{{input.name}}", need)
    assert found.message.startswith("string does not fit null")


@pytest.mark.parametrize("need", [{}, {"not": {"type": "null"}}, {"if": {"const": 1}, "then": {}}])
def test_undecided_schemas_are_not_refused(need: dict[str, Any]) -> None:
    """It is validated when it runs."""
    assert flow("{{input.name}}", need) == []


def test_the_four_refusals_are_distinct() -> None:
    """Schema, circle, missing task, types: each has its own reason."""
    sources = {
        "SCHEMA_INVALID": documents(task("t", inputSchema={"type": "strin"})),
        "GRAPH_CYCLE": documents(
            workflow(node("a", dependsOn=["b"]), node("b", dependsOn=["a"])),
        ),
        "TASK_NOT_FOUND": documents(workflow(node("a", "nope"))),
        "TYPE_MISMATCH": documents(
            task("t", inputSchema=object_schema(a="number")),
            workflow(node("a", "t", input={"a": "x"})),
        ),
    }
    for reason, source in sources.items():
        with pytest.raises(Invalid) as refused:
            compile_source(source)
        assert refused.value.reason == reason


def test_problems_of_several_kinds_are_reported_together() -> None:
    """One pass finds them all; each detail has its own code, place, line and column."""
    source = documents(
        workflow(
            node("a", "nope", input="{{input.}}"),
            node("a", timeout="5"),
            node("c", dependsOn=["d"]),
            inputSchema={"type": 7},
        )
    )
    with pytest.raises(Invalid) as refused:
        refuse(problems(source))
    assert refused.value.reason == "WORKFLOW_INVALID"
    assert {v.code for v in refused.value.violations} == {
        "TASK_NOT_FOUND",
        "TEMPLATE_INVALID",
        "GRAPH_DUPLICATE_NODE",
        "TIMEOUT_INVALID",
        "GRAPH_UNKNOWN_NODE",
        "SCHEMA_INVALID",
    }
    assert all(v.line > 0 and v.column > 0 for v in refused.value.violations)


def test_a_built_in_needs_its_input() -> None:
    """`transform` its pipeline, `delay` its duration."""
    assert refusals(documents(workflow(node("a", "transform"), node("b", "delay")))) == [
        ("DEFINITION_INVALID", "tasks[0].input"),
        ("DEFINITION_INVALID", "tasks[1].input"),
    ]
    bad = {"source": [], "pipeline": [{"operation": "nope"}]}
    ((code, place),) = refusals(documents(workflow(node("a", "transform", input=bad))))
    assert (code, place) == ("OPERATION_UNKNOWN", "tasks[0].input.pipeline[0].operation")
