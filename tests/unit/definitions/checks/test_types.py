"""Types of values passed between nodes, against schemas: refusals and warnings."""

import pytest

from flowmesh.contract.json_value import Json
from tests.unit.definitions.factories import (
    documents,
    node,
    object_schema,
    problems,
    task,
    workflow,
)

ORDER = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "note": {"type": "string"},
        "kind": {"enum": ["cash", "card"]},
        "lines": {"type": "array", "items": object_schema("sku", sku="string", n="integer")},
        "total": {"type": "number"},
    },
    "required": ["id", "kind", "lines", "total"],
}
MEMBER = {"type": "object", "required": ["x"]}


def problems_of_flow(given: Json, need: Json, **more: Json) -> list[tuple[str, str, str]]:
    """Return code, place below the input, and message for each problem of one flow."""
    source = documents(
        task("take", inputSchema=need),
        task("order", outputSchema=ORDER),
        workflow(
            node("order", "order"),
            node("take", "take", input=given, **more),
            inputSchema=object_schema("name", name="string"),
        ),
    )
    base = "documents[2].tasks[1].input"
    return [(p.code, p.place.removeprefix(base), p.message) for p in problems(source)]


def of_member(schema: Json) -> Json:
    return {**MEMBER, "properties": {"x": schema}}


def given(path: str) -> Json:
    return {"x": "{{tasks.order.output" + path + "}}"}


@pytest.mark.parametrize(
    ("path", "need"),
    [
        (".id", {"type": "string"}),
        (".kind", {"enum": ["card", "cash", "cheque"]}),
        (".lines", {"type": "array", "items": {"required": ["sku"]}}),
        (".lines[0]", {"$ref": "#/properties/x/$defs/a", "$defs": {"a": {"required": ["sku"]}}}),
        (".lines[0].sku", {"anyOf": [{"type": "null"}, {"type": "string"}]}),
        ("", {"type": "object"}),
        ("", {}),
    ],
)
def test_matching_or_undeclared_types_give_no_warning(path: str, need: Json) -> None:
    """No warning if one side has no schema."""
    assert problems_of_flow(given(path), of_member(need)) == []


@pytest.mark.parametrize(
    ("value", "need", "place", "message"),
    [
        (given(".kind"), of_member({"enum": ["cheque"]}), ".x", 'string "cash" or "card"'),
        (given(".id"), of_member({"oneOf": [{"type": "null"}, {"type": "number"}]}), ".x", "null"),
        (given(".lines[0].n"), of_member({"type": "string"}), ".x", "integer does not fit string"),
        (given(""), of_member({"required": ["nope"]}), ".x", "has no field 'nope'"),
        (
            given(""),
            of_member({"required": ["nope"], "additionalProperties": True}),
            ".x",
            "'nope'",
        ),
        ({"x": 7}, of_member({"type": "integer", "maximum": 5}), ".x", "integer 7"),
        (
            {"x": ["a"]},
            of_member({"type": "array", "items": {"const": "b"}}),
            ".x[0]",
            'string "b"',
        ),
        (
            {"x": "n {{input.name}}"},
            of_member({"type": "number"}),
            ".x",
            "string does not fit number",
        ),
        ({"x": {}}, of_member({"oneOf": [{"type": "string"}]}), ".x", "object does not fit string"),
    ],
)
def test_a_certain_mismatch_is_refused(value: Json, need: Json, place: str, message: str) -> None:
    """At its place, with what is given and what is needed."""
    ((code, at, text),) = problems_of_flow(value, need)
    assert (code, at) == ("TYPE_MISMATCH", place)
    assert message in text


def test_both_paths_and_both_types_are_named() -> None:
    """The message names the source, the place is the target."""
    need = of_member({"type": "array", "items": object_schema(sku="number")})
    ((_, place, message),) = problems_of_flow(given(".lines"), need)
    assert place == ".x[0].sku"
    assert message == (
        "string does not fit number expected by take (from tasks.order.output.lines[0].sku)"
    )


@pytest.mark.parametrize(
    ("path", "need", "reason"),
    [
        (".total", {"type": "integer"}, "may have a fraction"),
        (
            ".total",
            {"type": "number", "minimum": 1, "maximum": 5},
            "may be below 1, may be above 5",
        ),
        (".kind", {"const": "card"}, 'may be "cash"'),
        (".id", {"type": "string", "pattern": "^a"}, "may not match ^a"),
        (".id", {"type": "string", "not": {"const": "a"}}, "not is not followed"),
        ("", {"properties": {"id": {"minLength": 1}, "total": {"multipleOf": 2}}}, "characters"),
    ],
)
def test_a_possible_mismatch_is_one_warning(path: str, need: Json, reason: str) -> None:
    """With the reason; one for each flow, and nothing is refused."""
    ((code, place, message),) = problems_of_flow(given(path), of_member(need))
    assert code == "TYPE_UNKNOWN"
    assert place.startswith(".x")
    assert reason in message
    assert "tasks.order.output" in message


@pytest.mark.parametrize(
    ("value", "need", "place"),
    [
        (given(".note"), of_member({"type": "string"}), ".x"),
        (given(""), of_member({"type": "object", "required": ["note"]}), ".x.note"),
        ("{{tasks.order.output.note}}", {"type": "string"}, ""),
    ],
)
def test_an_optional_field_that_is_needed_may_be_missing(
    value: Json, need: Json, place: str
) -> None:
    """Alone, inside of what flows, and as the whole input."""
    ((code, at, message),) = problems_of_flow(value, need)
    assert (code, at) == ("OUTPUT_MAY_BE_MISSING", place)
    assert "tasks.order.output.note may be missing" in message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "the schema of the output of order lists no field 'totl'; did you mean 'total'?"),
        ({"additionalProperties": True}, ""),
        ({"properties": {}}, ""),
    ],
)
def test_an_unlisted_output_field_is_reported(more: Json, message: str) -> None:
    """A typing error would show when it runs; an open schema says that there may be more."""
    output = object_schema(total="number") | more
    source = documents(
        task("order", outputSchema=output),
        workflow(node("order", "order"), node("b", input="{{tasks.order.output.totl}}")),
    )
    found = [(p.code, p.message, p.warning) for p in problems(source)]
    said = f"tasks.order.output.totl: {message}"
    assert found == ([("OUTPUT_MAY_BE_MISSING", said, True)] if message else [])


@pytest.mark.parametrize(
    ("text", "need", "expected"),
    [
        ("{{upper(tasks.order.output.id)}}", {"type": "string"}, ""),
        ("{{upper(tasks.order.output.id)}}", {"type": "number"}, "string does not fit number"),
        ("{{default(tasks.order.output.note, 'none')}}", {"type": "string"}, ""),
        ("{{default(tasks.order.output.note, 1)}}", {"type": "string"}, "may be integer 1"),
        ("{{default(tasks.order.output.note, 1)}}", {"type": "null"}, "does not fit null"),
        ("{{length(tasks.order.output.lines)}}", {"type": "integer"}, ""),
    ],
)
def test_functions_yield_what_they_declare(text: str, need: Json, expected: str) -> None:
    """Of a choice any of its arguments, as far as their schemas tell; nothing is missing then."""
    found = [message for _, _, message in problems_of_flow({"x": text}, of_member(need))]
    assert len(found) == bool(expected)
    assert all(expected in message for message in found)


def test_an_optional_field_for_an_optional_one_is_silent() -> None:
    """It is only used where it is."""
    assert problems_of_flow(given(".note"), {"properties": {"x": {"type": "string"}}}) == []


def test_types_are_followed_through_maps() -> None:
    """Items of the list that flows in, the list of what its leaf gives."""
    each = {
        "id": "each",
        "map": {
            "items": "{{tasks.order.output.lines}}",
            "tasks": [node("price", "price", input={"sku": "{{item.n}}", "at": "{{index}}"})],
        },
    }
    source = documents(
        task("order", outputSchema=ORDER),
        task(
            "price",
            inputSchema=object_schema("sku", sku="string", at="integer"),
            outputSchema={"type": "number"},
        ),
        task("sum", inputSchema={"type": "array", "items": {"type": "string"}}),
        workflow(node("order", "order"), each, node("s", "sum", input="{{tasks.each.output}}")),
    )
    assert {p.message for p in problems(source) if not p.warning} == {
        "integer does not fit string expected by price (from item.n)",
        "number does not fit string expected by sum (from tasks.each.output[0])",
    }


def test_an_unused_output_schema_is_reported() -> None:
    """Of a workflow that ends in several tasks and puts nothing together."""
    both = (node("a", "noop"), node("b", "noop"))
    (found,) = problems(documents(workflow(*both, outputSchema={"type": "object"})))
    assert (found.code, found.place, found.warning) == ("TYPE_UNKNOWN", "outputSchema", True)


@pytest.mark.parametrize("output", [{"sum": "{{tasks.order.output.total}}"}, None])
def test_the_output_of_a_workflow_is_what_it_declares(output: Json) -> None:
    """Written out, or that of its only leaf."""
    more = {"output": output} if output else {}
    source = documents(
        task("order", outputSchema=ORDER),
        workflow(node("order", "order"), outputSchema=object_schema("sum", sum="string"), **more),
    )
    (found,) = problems(source)
    assert found.code == "TYPE_MISMATCH"
    assert found.place.removeprefix("documents[1].") == ("output.sum" if output else "outputSchema")


CONDITION = "input.name == 'a'"


def missing(first: Json, second: Json, **spec: Json) -> list[str]:
    used = node("used", **first)
    user = node("user", input={"x": "{{tasks.used.output.x}}"}, **second)
    return [
        p.message
        for p in problems(documents(workflow(used, user, **spec)))
        if p.code == "OUTPUT_MAY_BE_MISSING"
    ]


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({"condition": CONDITION}, {}, "used has a condition, and then user is skipped"),
        ({"critical": False}, {}, "used is not critical and may fail, and then user is skipped"),
        ({"condition": CONDITION}, {"condition": CONDITION}, ""),
        ({"critical": False}, {"critical": False}, ""),
        ({}, {"condition": CONDITION}, ""),
        ({}, {}, ""),
    ],
)
def test_the_output_of_a_node_that_may_be_skipped_may_be_missing(
    first: Json, second: Json, reason: str
) -> None:
    """Unless its reader depends on the same condition."""
    found = missing(first, second)
    assert found == ([f"the output of used may be missing: {reason}"] if reason else [])


def test_the_output_of_the_workflow_needs_what_it_reads() -> None:
    """Also behind a node that may be skipped; such a workflow fails."""
    found = missing(
        {"condition": CONDITION},
        {"condition": CONDITION},
        output={"a": "{{tasks.user.output}}"},
    )
    assert found == [
        "the output of user may be missing: user has a condition, and then the workflow fails"
    ]


def test_a_value_to_fall_back_on_is_one() -> None:
    """If the reader runs without it; a strict dependent is skipped too."""
    fallen = missing(
        {"condition": CONDITION}, {}, output={"a": "{{default(tasks.used.output, 1)}}"}
    )
    assert fallen == [
        "the output of used may be missing: used has a condition, and then user is skipped"
    ]


def test_an_unsound_schema_is_reported_once() -> None:
    """Values passed to it are not compared."""
    found = problems_of_flow(given(".id"), {"type": "strin", "required": ["y"]})
    assert [code for code, _, _ in found] == ["SCHEMA_INVALID"]
