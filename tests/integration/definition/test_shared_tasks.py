"""Rejected changes of shared tasks, on a real database."""

from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.errors import FlowmeshError
from tests.integration.definition.conftest import Overtaken
from tests.integration.definition.sources import YAML, documents, task, workflow

HERE, THERE = "default", "elsewhere"


def shape(kind: str) -> dict[str, object]:
    return {"type": "object", "required": ["x"], "properties": {"x": {"type": kind}}}


async def outcome(catalog: DefinitionCatalog, namespace: str, *resources: dict[str, object]) -> str:
    """Return the reason of a rejection, or an empty text."""
    try:
        await catalog.apply(namespace, documents(*resources), YAML, "")
    except FlowmeshError as error:
        return error.reason
    return ""


async def test_a_workflow_that_uses_two_changed_tasks_is_checked_with_both(
    catalog: DefinitionCatalog,
) -> None:
    """A harmless change of one task does not hide a breaking change of another."""
    flow = workflow("w", "give", "take", "unlike")
    flow["spec"]["tasks"][1]["input"] = {"x": "{{tasks.t0.output.x}}"}
    give, take = task("give", outputSchema=shape("number")), task("take")
    take["spec"]["inputSchema"] = shape("number")
    assert await outcome(catalog, HERE, give, take, task("unlike"), flow) == ""

    broken, elsewhere = task("give", outputSchema=shape("string")), {"url": "http://elsewhere/"}
    assert await outcome(catalog, HERE, broken) == "TYPE_MISMATCH"
    assert await outcome(catalog, HERE, broken, task("unlike", http=elsewhere)) == "TYPE_MISMATCH"


async def test_a_task_with_pinned_users_stays_public(
    catalog: DefinitionCatalog,
) -> None:
    """Like for unpinned workflows: their plans could no longer be made."""
    for ref in ("default/t", "default/t@1"):
        assert await outcome(catalog, HERE, task("t", visibility="public")) == ""
        assert await outcome(catalog, THERE, workflow("w", ref)) == ""
        assert await outcome(catalog, HERE, task("t")) == "TASK_NOT_FOUND", ref
        await catalog.plan(THERE, "w", 0)
        await catalog.delete_workflow(THERE, "w", "")


async def test_a_source_may_pin_an_older_version_of_its_private_task(
    catalog: DefinitionCatalog,
) -> None:
    """Repeatedly: private tasks are visible to the sources that contain them."""
    assert await outcome(catalog, HERE, task("t")) == ""
    source = (task("t", visibility="private"), workflow("w", "t@1"))
    assert await outcome(catalog, HERE, *source) == ""
    assert await outcome(catalog, HERE, *source) == ""


async def test_a_concurrently_hidden_task_is_hidden_from_a_new_workflow(
    catalog: DefinitionCatalog, overtaken: Overtaken
) -> None:
    """Also for a pinned reference, which was checked with the public version."""
    assert await outcome(catalog, HERE, task("t", visibility="public")) == ""

    async def close() -> None:
        assert await outcome(catalog, HERE, task("t")) == ""

    overtaken.store.first = close
    assert await outcome(overtaken.catalog, THERE, workflow("w", "default/t@1")) == "TASK_NOT_FOUND"


async def test_a_broken_workflow_is_reported_at_the_task(catalog: DefinitionCatalog) -> None:
    """Also if a workflow of the same name precedes it in the source."""
    flow = workflow("w", "give", "take")
    flow["spec"]["tasks"][1]["input"] = {"x": "{{tasks.t0.output.x}}"}
    give, take = task("give", outputSchema=shape("number")), task("take")
    take["spec"]["inputSchema"] = shape("number")
    assert await outcome(catalog, HERE, give, take, flow) == ""

    source = documents(workflow("give", "noop"), task("give", outputSchema=shape("string")))
    (problem,) = (await catalog.validate(HERE, source, YAML)).problems
    assert problem.place == "documents[1].metadata.name"
    assert problem.broken is not None
    assert problem.message == str(problem.broken)
    assert (problem.broken.namespace, problem.broken.version) == (HERE, 1)
    assert (problem.broken.workflow_id, problem.broken.problem[:8]) == ("w", "tasks[1]")
