"""Variables of a workflow: declarations and references."""

from typing import Any

import pytest

from flowmesh.definitions import Workflow, read_source
from flowmesh.definitions.exports.export import export_source
from flowmesh.definitions.versions.diff import diff_workflows
from flowmesh.errors import Invalid
from tests.unit.definitions.factories import documents, node, refusals, workflow
from tests.unit.definitions.formats.test_graph_json import graph, made

LIMIT = {"schema": {"type": "integer", "minimum": 1}, "initial": 5}


def declared(*nodes: Any, variables: Any = None, **spec: Any) -> bytes:
    return documents(workflow(*nodes, variables=variables or {"limit": LIMIT}, **spec))


def test_templates_conditions_and_the_output_may_read_them() -> None:
    """In bodies too, and all of them together."""
    body = {"items": "{{variables.list}}", "tasks": [node("x", input="{{variables.limit}}")]}
    source = declared(
        node("a", input={"of": "{{variables.limit}}", "all": "{{variables}}"}),
        node("b", condition="variables.limit > 3 && variables['limit'] < 9", dependsOn=["a"]),
        {"id": "m", "map": body},
        variables={"limit": LIMIT, "list": {"initial": [1]}},
        output="{{variables.limit}}",
    )
    assert refusals(source) == []


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"input": "{{variables.limt}}"}, "tasks[0].input"),
        ({"condition": "variables.limt > 3"}, "tasks[0].condition"),
        ({"condition": "variables['limt'] > 3"}, "tasks[0].condition"),
    ],
)
def test_a_variable_that_is_not_declared_is_refused(more: Any, place: str) -> None:
    """Wherever it is read."""
    assert refusals(declared(node("a", **more))) == [("TEMPLATE_UNKNOWN_REFERENCE", place)]


def test_a_workflow_without_variables_has_no_such_name() -> None:
    """As before there were any."""
    source = documents(workflow(node("a", input="{{variables.limit}}")))
    assert refusals(source) == [("TEMPLATE_UNKNOWN_REFERENCE", "tasks[0].input")]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"limit": {**LIMIT, "initial": 0}}, ("DEFINITION_INVALID", "variables.limit.initial")),
        ({"limit": {"schema": LIMIT["schema"]}}, ("DEFINITION_INVALID", "variables.limit.initial")),
        (
            {"limit": {"schema": {"type": "nope"}}},
            ("SCHEMA_INVALID", "variables.limit.schema.type"),
        ),
        ({"limit": {**LIMIT, "more": 1}}, ("DEFINITION_INVALID", "variables.limit.more")),
        ({"limit": 5}, ("DEFINITION_INVALID", "variables.limit")),
        ({"1st": LIMIT}, ("ID_INVALID", "variables.1st")),
        ({"a-b": LIMIT}, ("ID_INVALID", "variables.a-b")),
        ({"big": {"initial": "x" * 20_000}}, ("DEFINITION_INVALID", "variables.big.initial")),
        ({f"v{n}": {"initial": n} for n in range(101)}, ("DEFINITION_INVALID", "variables")),
        ([1], ("DEFINITION_INVALID", "variables")),
    ],
)
def test_invalid_variables_are_refused_with_their_place(
    variables: Any, expected: tuple[str, str]
) -> None:
    """Names, schemas, first values."""
    assert refusals(declared(node("a"), variables=variables)) == [expected]


def test_a_value_that_never_fits_what_it_flows_to_is_refused() -> None:
    """The schema of the variable is what is known of it."""
    wrong = declared(node("a"), output="{{variables.limit}}", outputSchema={"type": "string"})
    assert [code for code, _ in refusals(wrong)] == ["TYPE_MISMATCH"]


def test_step_json_has_no_place_for_them() -> None:
    """No step could read one; an export says so by name."""
    with pytest.raises(Invalid, match="a variable"):
        export_source(declared(node("a")), "application/yaml", "steps")


def test_graph_json_declares_and_reads_them() -> None:
    """In the input of a node of its own types, of a native one, and in the output."""
    source = graph(
        made("a", data={"taskType": "t", "input": "{{variables.limit}}"}),
        made("b", data={"taskRef": "noop", "condition": "variables.limit > 3"}),
        variables={"limit": LIMIT},
        output="{{variables.limit}}",
    )
    assert refusals(source) == []
    wrong = graph(made("a", data={"taskType": "t", "input": "{{variables.limit}}"}))
    assert refusals(wrong) == [("TEMPLATE_UNKNOWN_REFERENCE", "nodes[0].data.input")]


def test_a_change_of_a_variable_is_a_difference() -> None:
    """Of its schema or its first value."""
    old, new = (
        read_source(declared(node("a"), variables={"limit": one})).resources[0].resource
        for one in (LIMIT, {**LIMIT, "initial": 6})
    )
    assert isinstance(old, Workflow)
    assert isinstance(new, Workflow)
    assert [each.text() for each in diff_workflows(old, new)] == ["variable limit initial: 5 -> 6"]
