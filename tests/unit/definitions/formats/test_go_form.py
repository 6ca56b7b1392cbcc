"""Templates in the Go form, rewritten in workflows and tasks."""

from typing import Any

import pytest

from flowmesh.definitions import Task, Workflow, errors_in, read_source
from tests.unit.definitions.factories import documents, node, problems, task, workflow


def read(*resources: dict[str, Any]) -> dict[str, Any]:
    reading = read_source(documents(*resources))
    assert not errors_in(reading.problems)
    return {each.resource.name: each.resource for each in reading.resources}


def go(*tasks: dict[str, Any], **spec: Any) -> Workflow:
    found = read(workflow(*tasks, templates="go", **spec))["w"]
    assert isinstance(found, Workflow)
    return found


@pytest.mark.parametrize(
    ("template", "rewritten"),
    [
        ("{{ .name }}", "{{ input.name }}"),
        ("{{ .steps.a.total }}", "{{ tasks.a.output.total }}"),
        ("{{ .execution.id }}", "{{ execution.id }}"),
        ("plain", "plain"),
    ],
)
def test_fields_of_a_workflow_have_their_place(template: str, rewritten: str) -> None:
    """A task by its id, the execution, and otherwise the input."""
    found = go(
        node("a"),
        node("b", input={"v": template}, dependsOn=["a"]),
        output={"v": template},
    )
    assert found.nodes[1].input == {"v": rewritten}
    assert found.output == {"v": rewritten}


def test_the_pipeline_of_a_transform_stays_as_it_is() -> None:
    """Its templates are over the items that it sees."""
    pipeline = [{"operation": "template", "template": "{{ .x }}"}]
    found = go(node("a", "transform", input={"source": "{{ .name }}", "pipeline": pipeline}))
    assert found.nodes[0].input == {"source": "{{ input.name }}", "pipeline": pipeline}


def test_a_task_has_its_input_only() -> None:
    """The fields of a request are rewritten; other members stay."""
    request = {"url": "http://shop/{{ .id }}", "method": "GET", "headers": {"x": "{{ .steps }}"}}
    found = read(task("t", type="http", http=request, templates="go"), workflow(node("a", "t")))[
        "t"
    ]
    assert isinstance(found, Task)
    assert found.config["url"] == "http://shop/{{ input.id }}"
    assert found.config["headers"] == {"x": "{{ input.steps }}"}


def test_a_template_that_is_no_go_has_a_place() -> None:
    """That of the text in the document."""
    source = documents(workflow(node("a", input={"v": "{{ .x | }}"}), templates="go"))
    (problem,) = errors_in(problems(source))
    assert "v" in problem.place
