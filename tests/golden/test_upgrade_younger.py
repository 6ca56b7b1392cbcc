"""Open executions with bodies, approvals, handlers and compensation after an upgrade."""

import asyncio
from functools import partial
from pathlib import Path

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2 as status
from flowmesh.api.execution.v1.execution_service_pb2 import ExecutionMessage
from flowmesh.engine import Breakpoints, Command, Decide, Resume, Signal, Steer
from flowmesh.orchestrator.storage.database import Queries
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.storage import open_database
from flowmesh.telemetry import Metrics
from tests.golden.kept import GOLDEN
from tests.golden.test_upgrade import (
    MIGRATIONS,
    PATIENCE_S,
    SCHEMA,
    answer_all,
    ask,
    left_by,
    serve,
)
from tests.integration.orchestrator.core import running

# Of a loop's condition too, which ends the loop.
NOTHING = payload_pb2.Payload(data=b"[]")
VERSION, MIGRATED = "e20ab1e", 5
KEPT = [one for one in GOLDEN if one.name.startswith(VERSION)]
OPEN = {one.id: one for one in KEPT if one.row["ended_at"] is None}
NAMED = {one.row["workflow_id"]: one for one in OPEN.values()}


def by_hand(node: str) -> Command:
    return Steer(node, status.NODE_ACTION_COMPLETE, output=NOTHING)


# Commands for each execution. Executions that wait for a worker or an overdue timer
# need none.
COMMANDS: dict[str, list[Command]] = {
    "young-asking": [Decide("asks", "bob", True)],
    "young-durable": [Signal("go", NOTHING)],
    "young-held": [by_hand("b"), by_hand("wait")],
    "young-jammed": [by_hand("a:undo")],
    "young-open-keyed": [Signal(NAMED["young-open-keyed"].tables["waits"][0]["name"], NOTHING)],
    "young-paused": [Resume()],
    "young-stopped": [Breakpoints()],
}


async def test_open_executions_continue(database: str, tmp_path: Path) -> None:
    """By commands, tasks and journals, to their right ends; a child tells its parent."""
    await left_by(database, tmp_path, KEPT, migrations=MIGRATED)
    told: list[ExecutionMessage] = []

    async def heard(message: ExecutionMessage) -> None:
        told.append(message)

    left = "select workflow_id from executions where ended_at is null"
    answered: set[tuple[str, str, int]] = set()
    async with open_database(database, migrations=MIGRATIONS, **SCHEMA) as pool:
        store = OrchestratorStore(Queries(pool))
        async with running(store, deliver=heard) as core, asyncio.timeout(PATIENCE_S):
            core.run(partial(core.dispatch.timers.run, Metrics()))
            stream = serve(core, OPEN.values())
            for name, commands in COMMANDS.items():
                for command in commands:
                    await ask(core, NAMED[name], command)
            waiting: set[str] = set()
            # A parent hears of its child from another owner, who is not there.
            while waiting != {"young-open-parent"}:
                await answer_all(core, stream, OPEN, answered, NOTHING)
                waiting = {row["workflow_id"] for row in await store.pool.fetch(left)}
            found = await core.memory.states.fetch(list(OPEN))
    ends = {OPEN[i].row["workflow_id"]: entry.state.status for i, entry in found.items()}
    assert ends == {
        **dict.fromkeys(NAMED, status.EXECUTION_STATUS_COMPLETED),
        "young-jammed": status.EXECUTION_STATUS_FAILED,
        "young-open-parent": status.EXECUTION_STATUS_RUNNING,
    }
    (outcome,) = [message.outcome for message in told if message.HasField("outcome")]
    assert outcome.status == status.EXECUTION_STATUS_COMPLETED
    nodes = {(OPEN[i].row["workflow_id"], node) for i, node, _ in answered}
    assert nodes >= {
        ("young-open-map", "each[2]/theirs"),
        ("young-open-loop", "rounds[2]/rounds:while"),
        ("young-durable", "young-durable"),
    }
