"""`/executions/{id}` and `/api/v1/executions/{id}` tell the same of running and ended ones."""

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from tests.features.executions.test_children import below, child, counting_down, parent
from tests.features.natives import applied
from tests.features.rest.shapes import ONLY_CANONICAL, ONLY_OF_TASKS, as_steps


async def same(suite: Suite, execution_id: str) -> Json:
    """The canonical shape of an ended execution, after it was compared with the other one."""
    shown = await suite.execution(execution_id)
    canonical = (await suite.get(f"/api/v1/executions/{execution_id}")).json
    said, unsaid = as_steps(canonical)
    assert shown == said
    assert unsaid <= ONLY_CANONICAL | ONLY_OF_TASKS
    return canonical


async def test_parent_and_child_know_each_other_in_both_shapes(suite: Suite) -> None:
    """The task names its child, and the child its parent."""
    await applied(suite, child("shapes-child"), parent("shapes-parent", "shapes-child"))
    begun = await suite.begin("shapes-parent", {"n": 7})
    await suite.wait(begun)
    child_id = (await below(suite, begun))["executionId"]
    task = (await same(suite, begun))["tasks"]["below"]
    assert (task["childExecutionId"], task["childWorkflow"]) == (child_id, "shapes-child")
    assert (await same(suite, child_id))["parent"] == {"executionId": begun, "taskId": "below"}


async def test_runs_that_continue_as_new_are_linked_in_both_shapes(suite: Suite) -> None:
    """Each names the run before, the run after and the first one."""
    await applied(suite, counting_down("shapes-runs"))
    first = await suite.begin("shapes-runs", {"left": 2})
    await suite.wait(first)
    second = (await same(suite, first))["continuedAs"]
    shown = await same(suite, second)
    assert (shown["continuedFrom"], shown["firstRun"]) == (first, first)
    third = await same(suite, shown["continuedAs"])
    assert (third["continuedFrom"], third["firstRun"]) == (second, first)
