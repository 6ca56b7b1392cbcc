"""Incarnations and batches for tests of the commit, a line each."""

import hashlib

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.engine import Start, State, TaskEnded, Transition, decide
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.storage.batch import CommitBatch, Row, StartRow
from flowmesh.orchestrator.storage.commit_connection import CommitConnection, Committed
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.plan import Plan, compile_plan
from tests.unit.engine.factories import node, plan

NOW = 1_000_000
IDS = ExecutionIds(7)
TWO_STEPS = plan(node("a"), node("b", "a"))


def digested(of: Plan) -> Plan:
    """The same plan under a digest that no other plan has."""
    message = of.message
    message.digest = hashlib.sha256(of.body).hexdigest()
    return compile_plan(message)


class Node:
    """One incarnation: what it owns, and its line to the database."""

    def __init__(self, store: OrchestratorStore, line: CommitConnection) -> None:
        self.store = store
        self.line = line
        self.epochs: dict[int, int] = {}

    async def claim(self, count: int = 64) -> None:
        for row in await self.store.partitions.claim(self.line.incarnation, count):
            self.epochs[row.id] = row.epoch

    async def commit(self, batch: CommitBatch) -> Committed:
        return await self.line.commit(batch, self.epochs)


def started(
    batch: CommitBatch, partition: int, request_id: str = "", of: Plan = TWO_STEPS
) -> State:
    """Adds the start of an execution to the batch."""
    state = State(IDS.make(NOW, partition), of)
    transition = Transition(state)
    decide(state, Start(payload_pb2.Payload(data=b"{}"), request_id), NOW, transition)
    batch.add_start(state, partition, Row(state, NOW, None), StartRow(request_id, b"digest"))
    batch.add_history(state, partition, transition, is_start=True)
    return state


def completed(batch: CommitBatch, state: State, partition: int, node_id: str) -> None:
    """Adds a result of a node to the batch."""
    transition = Transition(state)
    output = payload_pb2.Payload(data=b"1")
    assert decide(state, TaskEnded(node_id, 1, output=output), NOW, transition)
    batch.add_change(state, partition, Row(state, NOW, None))
    batch.add_history(state, partition, transition, is_start=False)
