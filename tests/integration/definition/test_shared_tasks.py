"""Tasks that others use: what a change of theirs may not break, on a real database."""

from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.errors import FlowmeshError
from tests.integration.definition.conftest import Overtaken
from tests.integration.definition.sources import YAML, documents, task, workflow

HERE, THERE = "default", "elsewhere"


def shape(kind: str) -> dict[str, object]:
    return {"type": "object", "required": ["x"], "properties": {"x": {"type": kind}}}


async def outcome(catalog: DefinitionCatalog, namespace: str, *resources: dict[str, object]) -> str:
    """The reason why a source is refused; empty where it is applied."""
    try:
        await catalog.apply(namespace, documents(*resources), YAML, "")
    except FlowmeshError as error:
        return error.reason
    return ""


async def test_a_workflow_that_uses_two_changed_tasks_is_checked_with_both(
    catalog: DefinitionCatalog,
) -> None:
    """That the one behind it in the alphabet breaks nothing does not hide the other."""
    flow = workflow("w", "give", "take", "unlike")
    flow["spec"]["tasks"][1]["input"] = {"x": "{{tasks.t0.output.x}}"}
    give, take = task("give", outputSchema=shape("number")), task("take")
    take["spec"]["inputSchema"] = shape("number")
    assert await outcome(catalog, HERE, give, take, task("unlike"), flow) == ""

    broken, elsewhere = task("give", outputSchema=shape("string")), {"url": "http://elsewhere/"}
    assert await outcome(catalog, HERE, broken) == "TYPE_MISMATCH"
    assert await outcome(catalog, HERE, broken, task("unlike", http=elsewhere)) == "TYPE_MISMATCH"


async def test_a_task_stays_public_for_those_who_are_pinned_to_it(
    catalog: DefinitionCatalog,
) -> None:
    """As for those who float: their plans could not be made any more."""
    for ref in ("default/t", "default/t@1"):
        assert await outcome(catalog, HERE, task("t", visibility="public")) == ""
        assert await outcome(catalog, THERE, workflow("w", ref)) == ""
        assert await outcome(catalog, HERE, task("t")) == "TASK_NOT_FOUND", ref
        await catalog.plan(THERE, "w", 0)
        await catalog.delete_workflow(THERE, "w", "")


async def test_who_brings_a_private_task_may_be_pinned_to_an_older_version(
    catalog: DefinitionCatalog,
) -> None:
    """However often: private tasks are for the sources that hold them."""
    assert await outcome(catalog, HERE, task("t")) == ""
    source = (task("t", visibility="private"), workflow("w", "t@1"))
    assert await outcome(catalog, HERE, *source) == ""
    assert await outcome(catalog, HERE, *source) == ""


async def test_a_task_that_is_closed_while_a_workflow_comes_is_closed_to_it(
    catalog: DefinitionCatalog, overtaken: Overtaken
) -> None:
    """Also to one that is pinned: the versions of its tasks are those that it was checked with."""
    assert await outcome(catalog, HERE, task("t", visibility="public")) == ""

    async def close() -> None:
        assert await outcome(catalog, HERE, task("t")) == ""

    overtaken.store.first = close
    assert await outcome(overtaken.catalog, THERE, workflow("w", "default/t@1")) == "TASK_NOT_FOUND"


async def test_what_a_task_breaks_is_told_of_the_task(catalog: DefinitionCatalog) -> None:
    """Also where a workflow of the same name stands before it in the source."""
    flow = workflow("w", "give", "take")
    flow["spec"]["tasks"][1]["input"] = {"x": "{{tasks.t0.output.x}}"}
    give, take = task("give", outputSchema=shape("number")), task("take")
    take["spec"]["inputSchema"] = shape("number")
    assert await outcome(catalog, HERE, give, take, flow) == ""

    source = documents(workflow("give", "noop"), task("give", outputSchema=shape("string")))
    (problem,) = (await catalog.validate(HERE, source, YAML)).problems
    assert problem.place == "documents[1].metadata.name"
