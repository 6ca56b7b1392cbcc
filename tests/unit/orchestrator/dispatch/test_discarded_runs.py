"""Results of attempts that were sent ahead of a decision which did not hold."""

from flowmesh.api.worker.v1 import task_pb2
from flowmesh.orchestrator.model.commands import VOID, PendingCommand
from flowmesh.orchestrator.model.ids import marked, partition_of, token_of
from tests.unit.engine.factories import Run, node, plan
from tests.unit.orchestrator.dispatch.test_dispatcher import EXECUTION, dispatcher


async def test_a_result_says_that_a_run_before_it_was_discarded() -> None:
    """The history tells it as the second delivery; other attempts are in their first.

    The result of the discarded run ends nothing; the owner of the partition answers it.
    """
    run = Run(plan(node("pay", repeatable=True)))
    run.state.execution_id = EXECUTION
    submitted: list[PendingCommand] = []
    owner = dispatcher({partition_of(EXECUTION) or 0: 3}, run, submitted)
    for token in (
        marked(token_of(EXECUTION, "pay", 1), "former.1"),
        token_of(EXECUTION, "pay", 1),
        token_of(EXECUTION, "pay", 2),
    ):
        owner.results.result(task_pb2.TaskResult(token=token), lambda _answer: None)
    assert [one.cause == VOID for one in submitted] == [True, False, False]
    assert [getattr(one.command, "delivery", 0) for one in submitted] == [2, 2, 1]
