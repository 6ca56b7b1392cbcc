"""The database as processes reach it: statements take time, and connections break.

A statement is applied at one moment by the server, independent of its sender. Its answer may be
lost, and it may be applied long after its sender has given up.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import combinations
from types import TracebackType
from typing import Any

import asyncpg

from flowmesh.access.encryption import NO_KEYS
from flowmesh.orchestrator.storage.database import Queries
from flowmesh.orchestrator.storage.statements import PARTS, commit_statement
from tests.simulation.actors.faults import Fate, Faults
from tests.simulation.servers.loop import Process, VirtualLoop
from tests.simulation.servers.tables import Tables

LOCK_POLL_S = 0.001
_PARTS_OF = {
    commit_statement(parts): parts
    for count in range(len(PARTS) + 1)
    for parts in combinations(PARTS, count)
}
QUERIES = frozenset({"history_days", "position_of", "outbox_row"})


class Database:
    """The server: one copy of the tables, and whether it can be reached."""

    def __init__(self, loop: VirtualLoop, faults: Faults, tables: Tables) -> None:
        self.loop, self.tables = loop, tables
        self._faults = faults
        self.away = False
        # Nothing that is committed has room.
        self.full = False
        # Statements and connections of an earlier life of the server are gone.
        self.life = 0
        self.statements: dict[str, int] = {}

    def go_away(self) -> None:
        """Cut off all statements in flight; some were applied, none is answered."""
        self.away = True
        self.life += 1
        for row in self.tables.partitions:
            row.locked_by = None

    def come_back(self) -> None:
        self.away = False

    async def run(
        self,
        name: str,
        apply: Callable[[], Any],
        locked: Callable[[], bool] = lambda: False,
    ) -> Any:
        """Sends a statement; returns its answer or raises as a broken connection does."""
        self.statements[name] = self.statements.get(name, 0) + 1
        answer: asyncio.Future[Any] = self.loop.create_future()
        fate, delay_s = self._faults.statement(name)
        request_s, reply_s = self._faults.latency(), self._faults.latency()
        life = self.life

        def tell(value: Any = None, error: BaseException | None = None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(value)

        def applied() -> Any:
            if self.full and name == "commit":
                raise asyncpg.DiskFullError("could not extend file")
            return apply()

        def arrive() -> None:
            if self.away or life != self.life or fate is Fate.LOST:
                tell(error=ConnectionResetError(name))
            elif fate is Fate.LATE:
                tell(error=ConnectionResetError(name))
                self.loop.outside(delay_s, late)
            elif locked():
                self.loop.outside(LOCK_POLL_S, arrive)
            else:
                execute()

        def late() -> None:
            if life == self.life and not self.away:
                if locked():
                    self.loop.outside(LOCK_POLL_S, late)
                    return
                try:
                    applied()
                except Exception:  # noqa: BLE001 (no receiver is left)
                    return

        def execute() -> None:
            try:
                value, error = applied(), None
            except Exception as problem:  # noqa: BLE001 (returned to the caller)
                value, error = None, problem
            if fate is Fate.UNANSWERED:
                self.loop.outside(delay_s, tell, None, ConnectionResetError(name))
            else:
                slow_s = delay_s if fate is Fate.SLOW else 0.0
                self.loop.outside(reply_s + slow_s, reply, value, error)

        def reply(value: Any, error: BaseException | None) -> None:
            if life != self.life:
                error = ConnectionResetError(name)
            tell(value, error)

        self.loop.outside(request_s, arrive)
        return await answer


class Connection:
    """One connection of a process, with at most one open transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._life = database.life
        self.claimed: tuple[int, list[Any]] | None = None
        self._open = False

    async def execute(self, sql: str) -> None:
        await self._database.run("execute", lambda: None)

    async def prepare(self, sql: str) -> "Prepared":
        if self._database.away:
            raise ConnectionRefusedError("prepare")
        return Prepared(self._database, sql)

    def transaction(self) -> "Connection":
        return self

    async def __aenter__(self) -> "Connection":
        self._open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.rollback()
            return
        try:
            await self._database.run("commit_claim", self._commit)
        except ConnectionResetError:
            self.rollback()
            raise

    def lock(self, partitions_max: int) -> list[Any]:
        """Locks what is free, unless the transaction is over by the time this is executed."""
        if not self._open:
            return []
        return self._database.tables.lock_free_partitions(partitions_max, self)

    def rollback(self) -> None:
        """The server's side ends a transaction whose client is gone."""
        if self._open:
            self._open = False
            self.claimed = None
            self._database.tables.unlock(self)

    def _commit(self) -> None:
        # After a break the server has rolled it back, though its commit may come late.
        if self._open and self._life == self._database.life and self.claimed is not None:
            self._database.tables.claimed(*self.claimed)
        self.rollback()

    def terminate(self) -> None:
        self.rollback()


class Prepared:
    """The statement of a commit."""

    def __init__(self, database: Database, sql: str) -> None:
        self._database = database
        self._parts = _PARTS_OF[sql]

    async def fetchrow(self, *arguments: Any) -> Any:
        tables = self._database.tables
        partitions: Sequence[int] = arguments[2]
        return await self._database.run(
            "commit",
            lambda: tables.commit(self._parts, *arguments),
            lambda: any(tables.partitions[p].locked_by is not None for p in partitions),
        )


class _Acquired:
    """The result of `pool.acquire()`: awaitable, or a context manager."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._connection: Connection | None = None

    def __await__(self) -> Any:
        return self._pool.connect().__await__()

    async def __aenter__(self) -> Connection:
        self._connection = await self._pool.connect()
        return self._connection

    async def __aexit__(self, *error: object) -> None:
        assert self._connection is not None
        await self._pool.release(self._connection)


class Pool:
    """The connections of one process; those of a dead one are rolled back by the server."""

    def __init__(self, database: Database, process: Process) -> None:
        self._database = database
        self._connections: list[Connection] = []
        process.on_death.append(self._died)

    def acquire(self) -> _Acquired:
        return _Acquired(self)

    async def connect(self) -> Connection:
        if self._database.away:
            raise ConnectionRefusedError("connect")
        connection = Connection(self._database)
        self._connections.append(connection)
        return connection

    async def release(self, connection: Connection) -> None:
        connection.rollback()
        if connection in self._connections:
            self._connections.remove(connection)

    def _died(self) -> None:
        for connection in self._connections:
            connection.rollback()


class SimulatedQueries(Queries):
    """The named queries of the orchestrator on the simulated database."""

    def __init__(self, database: Database, process: Process) -> None:
        self._database = database
        self.pool: Any = Pool(database, process)
        self.keys = NO_KEYS

    async def rows(self, name: str, connection: Any = None, **values: Any) -> list[Any]:
        found: list[Any] = await self._ask(name, connection, values)
        return found

    async def one(self, name: str, **values: Any) -> Any:
        return await self._ask(name, None, values)

    async def _ask(self, name: str, connection: Connection | None, values: dict[str, Any]) -> Any:
        tables = self._database.tables
        if name == "lock_free_partitions":
            assert connection is not None
            return await self._database.run(name, lambda: connection.lock(**values))
        if name == "claim_partitions":
            assert connection is not None
            rows = await self._database.run(name, lambda: tables.claim_partitions(**values))
            connection.claimed = (values["incarnation"], rows)
            return rows
        statement = getattr(tables, name)

        def locked() -> bool:
            partition = values.get("partition")
            return partition is not None and tables.partitions[partition].locked_by is not None

        return await self._database.run(name, lambda: statement(**values), locked)
