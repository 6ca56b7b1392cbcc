"""The data of earlier versions: migrated, with open executions continued to their ends."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1.execution_pb2 import EXECUTION_STATUS_COMPLETED
from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.engine import Command, TaskEnded
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.storage.database import Queries
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.storage import open_database
from flowmesh.telemetry import Metrics
from tests.golden.kept import GOLDEN, Golden
from tests.integration.orchestrator.core import Core, running

FIRST = [one for one in GOLDEN if one.name.startswith("4af7cab")]
OPEN = {one.id: one for one in FIRST if one.row["ended_at"] is None}
MIGRATIONS = files("flowmesh.orchestrator.storage.migrations")
SCHEMA: Any = {"schema": "orchestrator", "application": "test", "pool_max": 10}
PATIENCE_S = 30
DAY_US = 86_400_000_000
# Of golden rows that are bytes, written in base64.
BINARY = ("start_digest",)
QUEUES = ("default", "special", "left", "right")
ANSWER = payload_pb2.Payload(data=b'{"n":1}')


async def insert(pool: Any, table: str, row: dict[str, Any]) -> None:
    places = ", ".join(f"${number + 1}" for number in range(len(row)))
    await pool.execute(f"insert into {table} ({', '.join(row)}) values ({places})", *row.values())


async def fill(pool: Any, golden: Golden) -> None:
    """Its rows, as the version that wrote them left them."""
    row: dict[str, Any] = {
        key: base64.b64decode(value) if key in BINARY and value is not None else value
        for key, value in golden.row.items()
    }
    await insert(pool, "executions", row)
    for table, rows in golden.tables.items():
        for each in rows:
            await insert(pool, table, each)
    await pool.execute(
        "insert into plans values ($1, $2) on conflict do nothing",
        row["plan_digest"],
        golden.plan_body,
    )
    day = row["started_at"] // DAY_US
    await pool.executemany(
        "insert into history values ($1, $2, $3, $4)",
        [(day, golden.id, seq, body) for seq, body in golden.rows],
    )


@pytest.fixture
async def old(database: str, tmp_path: Path) -> str:
    """A database as the first version left it, with the golden executions in it."""
    await left_by(database, tmp_path, FIRST, migrations=1)
    return database


async def left_by(database: str, folder: Path, kept: list[Golden], *, migrations: int) -> None:
    """Leaves a database as a version with so many migrations did, with its executions."""
    known = folder / "migrations"
    known.mkdir()
    for path in MIGRATIONS.iterdir():
        if path.name.endswith(".sql") and int(path.name[:4]) <= migrations:
            (known / path.name).write_text(path.read_text())
    async with open_database(database, migrations=known, **SCHEMA) as pool:
        store = OrchestratorStore(Queries(pool))
        for day in {one.row["started_at"] // DAY_US for one in kept}:
            await store.history_days.ensure(day)
        for golden in kept:
            await fill(pool, golden)


@pytest.fixture
async def store(old: str) -> AsyncIterator[OrchestratorStore]:
    """The same after the start of the version of now."""
    async with open_database(old, migrations=MIGRATIONS, **SCHEMA) as pool:
        yield OrchestratorStore(Queries(pool))


async def test_applied_migrations_are_unchanged(old: str) -> None:
    """The first migration is as it was: the version of now starts on that database."""
    async with open_database(old, migrations=MIGRATIONS, **SCHEMA) as pool:
        applied = await pool.fetchval("select max(version) from schema_migrations")
        names = {path.name for path in MIGRATIONS.iterdir() if path.name.endswith(".sql")}
        assert applied == len(names) > 1
        assert await pool.fetchval("select count(*) from executions") == len(FIRST)


def serve(core: Core, known: Iterable[Golden]) -> WorkerStream:
    """A worker with room for every task there is in these executions."""
    stream = WorkerStream()
    core.dispatch.dispatcher.services.attach(stream, pb.AttachHello(worker_service_id="theirs"))
    types = {node.spec.task_type for one in known for node in one.plan.all_nodes() if node.spec}
    grant = pb.Grant(set_id="all", slots=100, task_types=types, queues=QUEUES)
    core.dispatch.dispatcher.services.grant(stream, [grant])
    core.dispatch.dispatcher.pump()
    return stream


async def test_open_executions_of_an_earlier_version_continue(store: OrchestratorStore) -> None:
    """Tasks reach workers, timers and retries that are due come, and each ends as it should."""
    left = "select count(*) from executions where ended_at is null"
    answered: set[tuple[str, str, int]] = set()
    async with running(store) as core, asyncio.timeout(PATIENCE_S):
        core.run(partial(core.dispatch.timers.run, Metrics()))
        stream = serve(core, OPEN.values())
        while await store.pool.fetchval(left):
            await answer_all(core, stream, OPEN, answered)
        found = await core.memory.states.fetch(list(OPEN))
    assert {entry.state.status for entry in found.values()} == {EXECUTION_STATUS_COMPLETED}
    assert len(found) == len(OPEN)
    names = {i: one.row["workflow_id"] for i, one in OPEN.items()}
    assert {(names[i], node, attempt) for i, node, attempt in answered} >= {
        ("open-retry", "later", 2),
        ("open-few", "task-3", 1),
        ("native-open", "b", 1),
    }


async def answer_all(
    core: Core,
    stream: WorkerStream,
    known: dict[str, Golden],
    answered: set[tuple[str, str, int]],
    output: payload_pb2.Payload = ANSWER,
) -> None:
    """Sends the results of the tasks that have reached the worker, each once."""
    sent = [item.task for item in stream.out.tasks]
    del stream.out.tasks[:]
    for task in sent:
        token = (task.execution_id, task.node, task.attempt)
        assert token not in answered
        answered.add(token)
        await ask(core, known[task.execution_id], TaskEnded(*token[1:], output=output))


async def ask(core: Core, one: Golden, command: Command) -> None:
    """Has a command for an execution committed."""
    answer = await core.ask(
        lambda reply: PendingCommand(one.id, one.row["partition"], command, reply)
    )
    assert isinstance(answer, int), answer
