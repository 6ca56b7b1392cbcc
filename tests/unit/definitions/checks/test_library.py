"""The bundled library is valid."""

import pytest

from flowmesh.definitions import (
    WorkflowTemplate,
    check,
    errors_in,
    instantiate,
    read_source,
)
from flowmesh.definitions.bundled import Item, items, needed
from flowmesh.definitions.planning.compile import no_library
from flowmesh.errors import Invalid

TASKS = ["charge-payment", "check-inventory", "create-shipment", "send-email"]
WORKFLOWS = {
    "abandoned-cart": {"check-inventory", "send-email"},
    "order-checkout": set(TASKS),
    "order-confirmation": {"send-email"},
    "refund-processing": {"charge-payment"},
    "shipping-notification": {"create-shipment", "send-email"},
    "subscription-renewal": {"charge-payment"},
}


def of(kind: str) -> list[Item]:
    return [item for item in items() if item.kind == kind]


def test_four_tasks_make_six_workflows() -> None:
    """Each workflow refers to the tasks it says."""
    assert [item.name for item in of("WorkflowTask")] == TASKS
    assert {item.name: item.task_refs for item in of("Workflow")} == WORKFLOWS


def test_everything_together_has_nothing_wrong() -> None:
    """Not even a warning; every file states its name and purpose."""
    source = "\n---\n".join(item.text for item in items()).encode()
    reading = read_source(source)
    assert [*reading.problems, *check(reading, no_library)] == []
    assert [read.name for read in reading.resources] == [item.name for item in items()]
    assert all(item.description for item in items())


def test_a_workflow_brings_the_tasks_it_needs() -> None:
    """Each once, before what needs it."""
    assert [item.name for item in needed(["abandoned-cart", "order-confirmation"])] == [
        "check-inventory",
        "send-email",
        "abandoned-cart",
        "order-confirmation",
    ]


@pytest.mark.parametrize("name", [item.name for item in of("WorkflowTemplate")])
def test_a_template_makes_what_passes_every_check(name: str) -> None:
    """With its examples, its defaults, and the tasks of the library."""
    text = next(item.text for item in of("WorkflowTemplate") if item.name == name)
    template = read_source(text.encode()).resources[0].resource
    assert isinstance(template, WorkflowTemplate)
    members = template.parameters["properties"]
    given = {key: each["examples"][0] for key, each in members.items() if "examples" in each}
    made = instantiate(template, "mine", given)
    tasks = [item.document for item in of("WorkflowTask")]
    import orjson

    reading = read_source(b"\n---\n".join(map(orjson.dumps, [*tasks, *made])), "application/yaml")
    assert errors_in([*reading.problems, *check(reading, no_library)]) == []
    (workflow,) = [each for each in made if each["kind"] == "Workflow"]
    assert workflow["metadata"] == {"name": "mine", "labels": {"flowmesh.io/template": name}}


def template_of(*resources: object, **properties: object) -> bytes:
    import orjson

    spec = {"parameters": {"type": "object", "properties": properties}, "resources": resources}
    document = {"apiVersion": "workflow.io/v1", "kind": "WorkflowTemplate", "spec": spec}
    return orjson.dumps(document | {"metadata": {"name": "t"}})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("${{ param.nope }}", "TEMPLATE_UNKNOWN_REFERENCE"),
        ("${{ nope }}", "TEMPLATE_INVALID"),
        ("${{ param.x", "TEMPLATE_INVALID"),
    ],
)
def test_a_place_that_cannot_be_filled_is_found_when_it_is_applied(text: str, code: str) -> None:
    """With its path into the template."""
    reading = read_source(template_of({"id": "w", "steps": [{"id": text}]}, x={"type": "string"}))
    (problem,) = check(reading, no_library)
    assert (problem.code, problem.place) == (code, "resources[0].steps[0].id")


def test_resources_made_from_defaults_are_checked() -> None:
    """A mistake beside the places is found at its path."""
    wrong = {"id": "w", "steps": [{"id": "${{ param.x }}", "dependencies": 7}]}
    reading = read_source(template_of(wrong, x={"default": "a"}))
    (problem,) = check(reading, no_library)
    assert problem.place == "resources[0].steps[0].dependencies"


def test_values_keep_their_type_and_are_text_inside_of_text() -> None:
    """Templates of the workflow stay as they are."""
    document = {"id": "${{ name }}", "steps": [], "n": "${{ param.n }}", "t": "{{x}} ${{param.n}}"}
    template = read_source(template_of(document, n={"default": {"a": 1}})).resources[0].resource
    assert isinstance(template, WorkflowTemplate)
    (made,) = instantiate(template, "w", {})
    labels = {"flowmesh.io/template": "t"}
    assert made == {
        "id": "w",
        "steps": [],
        "n": {"a": 1},
        "t": '{{x}} {"a":1}',
        "labels": labels,
    }
    for parameters, field in (({"m": 1}, "parameters.m"),):
        with pytest.raises(Invalid) as refused:
            instantiate(template, "w", parameters)
        assert refused.value.violations[0].field == field
