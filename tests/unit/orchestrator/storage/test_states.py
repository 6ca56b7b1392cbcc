"""Executions in memory: evicted ones are freed at once unless a reader holds them."""

import gc
from types import SimpleNamespace
from typing import Any

from flowmesh.engine import NodeState, State
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.storage.snapshots import snapshot
from flowmesh.orchestrator.storage.states import ENDED_MAX, Entry, States
from flowmesh.orchestrator.storage.stores.execution_store import StoredExecution
from tests.unit.engine.factories import Run, node, plan

GONE = 50
PARTITION = 3
PLAN = plan(node("a"), node("b", "a"))


def states() -> States:
    unused: Any = None
    return States(store=unused, plans=unused, epochs={}, log=unused)


class Rows:
    """A store with one execution; at the first read of it the partition changes hands and back."""

    def __init__(self, execution_id: str, epochs: dict[int, int]) -> None:
        self._found = StoredExecution(
            execution_id, "default", PLAN.digest, b"", snapshot(Run(PLAN).state), ()
        )
        self._epochs = epochs
        self.reads = 0

    async def load(self, *_of: object) -> list[StoredExecution]:
        self.reads += 1
        if self.reads == 1:
            self._epochs[PARTITION] += 2
        return [self._found]


def ended(kept: States, number: int) -> State:
    """An execution of two nodes that is kept, and has ended."""
    run = Run(PLAN)
    run.state.execution_id = f"e-{number}"
    run.complete("a")
    run.complete("b")
    kept.put(Entry(run.state, None), 0)
    kept.ended(run.state.execution_id)
    return run.state


def nodes_alive() -> int:
    return sum(isinstance(one, NodeState) for one in gc.get_objects())


def test_ended_executions_leave_nothing_to_the_collector(no_collector: None) -> None:
    """Of those that have left not a node is in memory."""
    before, kept = nodes_alive(), states()
    for number in range(ENDED_MAX + GONE):
        ended(kept, number)
    assert len(kept) == ENDED_MAX
    assert nodes_alive() - before == 2 * ENDED_MAX


def test_a_reader_of_an_evicted_state_sees_all_of_it(no_collector: None) -> None:
    """Also by its entry alone, which a commit on its way has."""
    kept = states()
    seen = ended(kept, 0)
    ended(kept, 1)
    entry = kept.get("e-1")
    for number in range(2, ENDED_MAX + GONE):
        ended(kept, number)
    assert kept.get("e-0") is kept.get("e-1") is None
    assert entry is not None
    assert [len(one.scope.nodes) for one in (seen, entry.state)] == [2, 2]


async def test_a_partition_that_is_lost_and_ours_again_has_its_executions() -> None:
    """An execution that was read for a former owner is read again, not reported as missing."""
    execution_id = ExecutionIds(1).make(0, PARTITION)
    epochs = {PARTITION: 1}
    rows: Any = Rows(execution_id, epochs)
    plans: Any = SimpleNamespace(by_digest={PLAN.digest: PLAN})
    log: Any = None
    kept = States(store=rows, plans=plans, epochs=epochs, log=log)
    assert execution_id in await kept.fetch([execution_id])
    assert rows.reads == 2
