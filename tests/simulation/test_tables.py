"""The model of the database says what the database says."""

import math
from typing import Any

import asyncpg
import orjson
import pytest

from flowmesh.orchestrator.storage.batch import DAY_US
from flowmesh.orchestrator.storage.database import Queries
from flowmesh.orchestrator.storage.statements import commit_statement
from flowmesh.orchestrator.storage.store import OrchestratorStore
from tests.simulation.servers.loop import virtual_loop
from tests.simulation.servers.tables import Tables
from tests.simulation.servers.world import START_US, World
from tests.simulation.simulate import run

INNER = frozenset({"fence", "unlock", "tick", "told", "now_us", "lock_free_partitions"})
SKIPPED = frozenset({"history_days", "claim_partitions"})
ORDERED = frozenset(
    {"ready_lanes", "ready_executions", "due_executions", "read_outbox", "history_rows"}
)
MEASURED = frozenset(
    {"now_us", "bytes_so_far", "first_position", "ordinality", "updated_at", "stopped_at"}
)
Said = tuple[str, tuple[Any, ...], dict[str, Any], dict[int, float], Any]


class Noting(Tables):
    """Notes every statement with its answer and the leases, in seconds left, it was given by."""

    said: list[Said]

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name in INNER or not callable(found):
            return found

        def noted(*args: Any, **values: Any) -> Any:
            now = self.now_us()
            leases = {n: (i.lease_until - now) / 1e6 for n, i in self.incarnations.items()}
            try:
                answer = found(*args, **values)
            except asyncpg.PostgresError as error:
                self.said.append((name, args, values, leases, type(error)))
                raise
            self.said.append((name, args, values, leases, answer))
            return answer

        return noted


def statements(seed: int) -> list[Said]:
    """Return the statements of a run in the order in which they are applied."""
    Noting.said = []
    with virtual_loop() as loop:
        world = World(loop, str(seed), tables=Noting)
        loop.run_until_complete(run(world))
    return Noting.said


class Asked:
    """The same statements on the real tables."""

    def __init__(self, store: OrchestratorStore) -> None:
        self._store = store
        self._queries = Queries(store.pool)

    async def leases(self, left: dict[int, float]) -> None:
        """Gives every incarnation the lease it had in the run."""
        for incarnation, seconds in left.items():
            until = "now() + make_interval(secs => $2)" if math.isfinite(seconds) else "'-infinity'"
            arguments = (incarnation, seconds) if math.isfinite(seconds) else (incarnation,)
            await self._store.pool.execute(
                f"update incarnations set lease_until = {until} where id = $1", *arguments
            )

    async def ask(self, name: str, args: tuple[Any, ...], values: dict[str, Any], said: Any) -> Any:
        try:
            if name == "commit":
                parts, *parameters = args
                return await self._store.pool.fetchrow(commit_statement(parts), *parameters)
            if name == "claimed":
                incarnation, rows = args
                return await self._queries.rows(
                    "claim_partitions", incarnation=incarnation, locked=[r["id"] for r in rows]
                )
            if isinstance(said, list):
                return await self._queries.rows(name, **values)
            return await self._queries.one(name, **values)
        except asyncpg.PostgresError as error:
            return type(error)


def plain(name: str, answer: Any, like: Any) -> Any:
    """An answer without what differs by time or has no order, in the columns both have."""
    if isinstance(answer, list):
        keys = set(answer[0].keys()) & set(like[0].keys()) if answer and like else set()
        rows = [{key: row[key] for key in sorted(keys - MEASURED)} for row in answer]
        return rows if name in ORDERED else sorted(rows, key=repr)
    if isinstance(answer, str) and like is None:
        # The status text of a statement, which is not read.
        return None
    if not hasattr(answer, "keys") or not hasattr(like, "keys"):
        return answer
    row = {key: answer[key] for key in sorted({*answer.keys()} & {*like.keys()} - MEASURED)}
    if "alive" in row:
        row["alive"] = sorted(one[:2] for one in orjson.loads(row["alive"]))
        row["partitions"] = orjson.loads(row["partitions"])
    if name == "commit":
        row = {key: sorted(v) if isinstance(v, list) else v for key, v in row.items()}
    return row


@pytest.mark.parametrize("seed", [4, 15, 16])
async def test_the_model_answers_as_the_database(
    seed: int,
    store: OrchestratorStore,
) -> None:
    """Every statement of a run, asked again of PostgreSQL, is answered as in the run."""
    said = statements(seed)
    asked = Asked(store)
    await store.history_days.ensure(START_US // DAY_US)
    for number, (name, args, values, leases, expected) in enumerate(said):
        if name in SKIPPED:
            continue
        await asked.leases(leases)
        answer = await asked.ask(name, args, values, expected)
        if name == "claimed":
            expected = args[1]
        where = f"statement {number}: {name} {values}"
        if isinstance(expected, list):
            assert len(answer) == len(expected), where
        assert plain(name, answer, expected) == plain(name, expected, answer), where
