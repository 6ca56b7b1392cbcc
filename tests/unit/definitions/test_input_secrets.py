"""Secrets in inputs of steps: what a plan has of them, and where they are refused."""

import orjson
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions import errors_in, read_source
from flowmesh.definitions.checks.everything import check

HEAD = {"apiVersion": "workflow.io/v1"}
TASK = {
    **HEAD,
    "kind": "WorkflowTask",
    "metadata": {"name": "handed"},
    "spec": {"type": "handed", "secrets": ["bank"]},
}


def problems(task: str, given: Json) -> dict[str, str]:
    """The places and messages of the errors of a step with this input."""
    step = {"id": "hand", "taskRef": task, "input": given}
    flow = {**HEAD, "kind": "Workflow", "metadata": {"name": "f"}, "spec": {"tasks": [step]}}
    reading = read_source(b"".join(b"---\n%s\n" % orjson.dumps(each) for each in (TASK, flow)))
    found = errors_in([*reading.problems, *check(reading, lambda _: None)])
    return {each.place.removeprefix("documents[1].tasks[0]."): each.message for each in found}


@pytest.mark.parametrize(
    ("task", "given", "place", "text"),
    [
        ("handed", {"deep": ["secret://other"]}, "input.deep[0]", "secrets: [bank, other]"),
        ("handed", {"a": "{{secrets.bank}} {{input.x}}"}, "input.a", "secrets"),
        ("noop", {"a": "secret://bank"}, "input.a", "cannot read secrets"),
        ("handed", {"a": "{{secrets}}"}, "input.a", "name one secret"),
    ],
)
def test_a_secret_that_a_task_may_not_receive_is_refused(
    task: str, given: Json, place: str, text: str
) -> None:
    """With its place, and with what to do."""
    found = problems(task, given)
    assert list(found) == [place]
    assert text in found[place]


def test_a_declared_secret_is_accepted() -> None:
    """Whole, in a template, and by a version."""
    assert not problems("handed", ["secret://bank#2", "Bearer {{secrets.bank}}"])
