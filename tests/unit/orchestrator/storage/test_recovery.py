"""A backlog is read in turn by lanes, so that one of a namespace holds up no other."""

from types import SimpleNamespace
from typing import Any

from flowmesh.orchestrator.dispatch import recovery
from flowmesh.orchestrator.dispatch.recovery import Recovery
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.storage.stores.schedule_store import Lane, ReadyExecution
from tests.unit.orchestrator.dispatch.test_dispatcher import dispatcher

PARTITION = 5
BACKLOG = 500


class Rows:
    """Executions with open tasks by lane, read by pages."""

    def __init__(self, lanes: dict[Lane, list[str]]) -> None:
        self._lanes = lanes

    async def ready_lanes(self, partitions: list[int]) -> list[Lane]:
        return sorted(self._lanes)

    async def ready_executions(
        self, partitions: list[int], lane: Lane, *, after: ReadyExecution, rows_max: int
    ) -> list[ReadyExecution]:
        rows = [ReadyExecution(each, at) for at, each in enumerate(self._lanes[lane])]
        start = rows.index(after) + 1 if after in rows else 0
        return rows[start : start + rows_max]


class Loaded:
    """States of executions; `read` has their ids in the order of reading."""

    discarded = 0

    def __init__(self) -> None:
        self.read: list[str] = []

    def get(self, execution_id: str) -> Any:
        return None

    async def fetch(self, ids: list[str]) -> dict[str, Any]:
        self.read += ids
        return {
            each: SimpleNamespace(state=SimpleNamespace(execution_id=each, at_workers={}))
            for each in ids
        }


async def barrier() -> None:
    return None


def executions(count: int) -> list[str]:
    ids = ExecutionIds(1)
    return [ids.make(1_000_000 + number, PARTITION) for number in range(count)]


async def test_a_backlog_of_one_namespace_delays_no_other() -> None:
    """One execution behind five hundred of another namespace is read after one page of them."""
    *many, one = executions(BACKLOG + 1)
    lanes = {Lane("attacker", "", 0): many, Lane("victim", "", 0): [one]}
    rows: Any = Rows(lanes)
    states: Any = Loaded()
    epochs = {PARTITION: 1}
    made = Recovery(
        store=rows,
        states=states,
        epochs=epochs,
        barrier=barrier,
        submit=lambda command: None,
        spawn=lambda work: work.close(),
    )
    await made.recover(dispatcher(epochs), epochs, frozenset())
    assert sorted(states.read) == sorted([*many, one])
    assert states.read.index(one) <= recovery.PAGE <= BACKLOG / 5
