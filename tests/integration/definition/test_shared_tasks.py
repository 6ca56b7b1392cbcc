"""Tasks that others use: what a change of theirs may not break, on a real database."""

from flowmesh.definition.library import Library
from flowmesh.errors import FlowmeshError
from tests.integration.definition.sources import YAML, documents, task, workflow

HERE = "default"


def shape(kind: str) -> dict[str, object]:
    return {"type": "object", "required": ["x"], "properties": {"x": {"type": kind}}}


async def outcome(library: Library, namespace: str, *resources: dict[str, object]) -> str:
    """The reason why a source is refused; empty where it is applied."""
    try:
        await library.apply(namespace, documents(*resources), YAML, "")
    except FlowmeshError as error:
        return error.reason
    return ""


async def test_a_workflow_that_uses_two_changed_tasks_is_checked_with_both(
    library: Library,
) -> None:
    """That the one behind it in the alphabet breaks nothing does not hide the other."""
    flow = workflow("w", "give", "take", "unlike")
    flow["spec"]["tasks"][1]["input"] = {"x": "{{tasks.t0.output.x}}"}
    give, take = task("give", outputSchema=shape("number")), task("take")
    take["spec"]["inputSchema"] = shape("number")
    assert await outcome(library, HERE, give, take, task("unlike"), flow) == ""

    broken, elsewhere = task("give", outputSchema=shape("string")), {"url": "http://elsewhere/"}
    assert await outcome(library, HERE, broken) == "TYPE_MISMATCH"
    assert await outcome(library, HERE, broken, task("unlike", http=elsewhere)) == "TYPE_MISMATCH"
