"""Executions, histories and ownership as rows. SQL lives in `sql/`; this gives it types."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeVar

import aiosql
import asyncpg
import orjson

from flowmesh.engine.state.state import EXECUTION_COMPLETED
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.model.errors import IncarnationOver, StatementRefused, StorageFull
from flowmesh.orchestrator.storage.batch import DAY_US, CommitBatch
from flowmesh.orchestrator.storage.statements import commit_statement

T = TypeVar("T")
Kept = Callable[[Sequence[str]], Awaitable[Mapping[str, tuple[int, bytes]]]]
"""Sequence and snapshot of those of some executions that it has."""

_SQL = files("flowmesh.orchestrator.storage.sql")
QUERIES = ("queries.sql", "retention.sql", "bulks.sql", "links.sql")
CONNECTION_LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
)
"""After these the outcome of a statement is unknown, or it can be sent again as it is."""

RETRY_S = 0.2
"""Pause after the database did not answer something that must be done."""

RESEND_DELAYS_S = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Pauses before a commit of unknown outcome is sent again; the last one repeats."""

HISTORY_DAYS_AHEAD = 7
HISTORY_ROWS_AT_ONCE = 10_000
HISTORY_BYTES_AT_ONCE = 4 << 20
"""Of a history read at once; the row with which it has so many bytes is the last one."""


USUAL = ((), ("starts",), ("changes",), ("starts", "changes"))
"""What statements of a commit are prepared for before the first one."""


async def until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    """What the database answers, as soon as it does."""
    while True:
        try:
            return await ask()
        except CONNECTION_LOST:
            await asyncio.sleep(RETRY_S)


def may_go_on(rows: Sequence[bytes]) -> bool:
    """Whether there may be more of a history of which these were read at once."""
    return len(rows) == HISTORY_ROWS_AT_ONCE or sum(map(len, rows)) >= HISTORY_BYTES_AT_ONCE


async def nothing_kept(_execution_ids: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
    """All is to be rebuilt from the rows."""
    return {}


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did: the partitions it held for, the executions it created."""

    partitions: frozenset[int]
    started: frozenset[str]
    now_us: int


@dataclass(frozen=True, slots=True)
class StoredExecution:
    """An execution as it is stored: its plan and the encoded events after its snapshot."""

    execution_id: str
    namespace: str
    plan_digest: str
    plan_body: bytes
    snapshot: bytes | None
    events: tuple[bytes, ...]
    kept: bool = False
    """Its snapshot is not from the rows."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """How ownership stands, as the renewal of the lease saw it.

    `alive` maps incarnations to address and milliseconds of lease left; `partitions` maps
    partitions to epoch and incarnation. `limits_version` grows with every change of a limit.
    """

    now_us: int
    renewed: bool
    alive: dict[int, tuple[str, int]]
    partitions: dict[int, tuple[int, int | None]]
    limits_version: int


class OrchestratorStore:
    """The tables of the schema `orchestrator`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        named = "\n".join((_SQL / name).read_text() for name in QUERIES)
        self._sql: Any = aiosql.from_str(named, "asyncpg")

    async def rows(self, name: str, connection: Any = None, **values: object) -> list[Any]:
        """All rows of a named query."""
        found = getattr(self._sql, name)(connection or self.pool, **values)
        return [row async for row in found]

    async def one(self, name: str, **values: object) -> Any:
        """The row, value or nothing that a named query of that kind answers."""
        return await getattr(self._sql, name)(self.pool, **values)

    # --- ownership ---

    async def register(self, address: str, data_dir_id: str, lease_ms: int) -> int:
        """Create an incarnation with a fresh lease; return its id."""
        incarnation = await self.one(
            "register_incarnation", address=address, data_dir_id=data_dir_id, lease_ms=lease_ms
        )
        return int(incarnation)

    async def renew(self, incarnation: int, lease_ms: int) -> Tenure:
        """Renew a lease from now on; return the leases and owners before that."""
        row = await self.one("renew_lease", incarnation=incarnation, lease_ms=lease_ms)
        return Tenure(
            now_us=row["now_us"],
            renewed=row["renewed"],
            alive={i: (address, left) for i, address, left in orjson.loads(row["alive"])},
            partitions={p: (epoch, i) for p, epoch, i in orjson.loads(row["partitions"])},
            limits_version=row["limits_version"],
        )

    async def claim(self, incarnation: int, partitions_max: int) -> list[asyncpg.Record]:
        async with self.pool.acquire() as connection, connection.transaction():
            free = await self.rows(
                "lock_free_partitions", connection, partitions_max=partitions_max
            )
            return await self.rows(
                "claim_partitions",
                connection,
                incarnation=incarnation,
                locked=[row["id"] for row in free],
            )

    # --- reading executions ---

    async def load(
        self,
        execution_ids: Sequence[str],
        plans: Mapping[str, object],
        kept: Kept = nothing_kept,
    ) -> list[StoredExecution]:
        """Executions with what rebuilds them; `plan_body` is empty where `plans` has the digest.

        `kept` knows later snapshots of ended ones than the rows do.
        """
        rows = await self.rows("execution_rows", ids=list(execution_ids))
        if not rows:
            return []
        wanted = list({row["plan_digest"] for row in rows if row["plan_digest"] not in plans})
        bodies: dict[str, bytes] = {}
        if wanted:
            found = await self.rows("plan_bodies", digests=wanted)
            bodies = {row["digest"]: row["body"] for row in found}
        later = await kept([row["id"] for row in rows if row["status"] >= EXECUTION_COMPLETED])
        snapshots = {
            row["id"]: later.get(row["id"], (row["snapshot_seq"] or 0, row["snapshot"]))
            for row in rows
        }
        events: dict[str, list[bytes]] = {row["id"]: [] for row in rows}
        history = await self.rows(
            "history_rows",
            days=[row["start_day"] for row in rows],
            ids=[row["id"] for row in rows],
            afters=[snapshots[row["id"]][0] for row in rows],
        )
        for row in history:
            events[row["execution_id"]].append(row["events"])
        return [
            StoredExecution(
                row["id"],
                row["namespace"],
                row["plan_digest"],
                bodies.get(row["plan_digest"], b""),
                snapshots[row["id"]][1],
                tuple(events[row["id"]]),
                row["id"] in later,
            )
            for row in rows
        ]

    async def now_us(self) -> int:
        """The time of the database: a process whose own clock is wrong must delete nothing."""
        now_us: int = await self.one("now_us")
        return now_us

    async def history_after(self, execution: Any, after: int) -> list[bytes]:
        """Rows of the history of an execution behind a sequence, so many at once; the first may
        begin before it.
        """
        rows = await self.rows(
            "history_after",
            start_day=execution["started_at"] // DAY_US,
            execution_id=execution["id"],
            after=after,
            rows_max=HISTORY_ROWS_AT_ONCE,
            bytes_max=HISTORY_BYTES_AT_ONCE,
        )
        return [row["events"] for row in rows]

    async def ensure_history_days(self, today: int | None = None) -> None:
        """Makes the history's partitions for today and a week ahead, attached without blocking.

        Today is the day of the database, unless said.
        """
        days = await self.rows("history_days")
        present = {row["relname"] for row in days if row["attached"]}
        today = days[0]["today"] if today is None else today
        for day in range(today - 1, today + HISTORY_DAYS_AHEAD + 1):
            name = f"history_{day}"
            if name in present:
                continue
            async with self.pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    "select pg_advisory_xact_lock(hashtext('flowmesh.history'))"
                )
                if await connection.fetchval("select to_regclass($1)", f"orchestrator.{name}"):
                    continue
                await connection.execute(
                    f"create table orchestrator.{name} (like orchestrator.history including all);"
                    f"alter table orchestrator.history attach partition orchestrator.{name}"
                    f" for values from ({day}) to ({day + 1})"
                )

    async def drop_empty_days(self, before_day: int) -> int:
        """Detaches and drops the history's partitions of old days that hold nothing any more."""
        dropped = 0
        for row in await self.rows("history_days"):
            name = row["relname"]
            if name is None or int(name.rpartition("_")[2]) >= before_day:
                continue
            any_row = f"select exists (select from orchestrator.{name})"  # noqa: S608
            if await self.pool.fetchval(any_row):
                continue
            if row["attached"]:
                how = "finalize" if row["pending"] else "concurrently"
                await self.pool.execute(
                    f"alter table orchestrator.history detach partition orchestrator.{name} {how}"
                )
            failpoint("orchestrator.day_detached")
            await self.pool.execute(f"drop table orchestrator.{name}")
            dropped += 1
        return dropped


class CommitLine:
    """The one connection that commits, and the position of the incarnation it commits for."""

    def __init__(self, store: OrchestratorStore) -> None:
        self._store = store
        self._connection: Any = None
        self._prepared: dict[tuple[str, ...], Any] = {}
        self.incarnation = 0
        self.position = 0

    async def begin(self, incarnation: int) -> None:
        """Commits for this incarnation from now on, its usual statements prepared beforehand."""
        self.incarnation, self.position = incarnation, 0
        for parts in USUAL:
            await self._ready(parts)
        # What is only prepared keeps the transaction open that it was parsed in, with its locks.
        await self._connection.execute("select")

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection, self._prepared = self._connection, None, {}
            await self._store.pool.release(connection)

    async def commit(self, batch: CommitBatch, epochs: Mapping[int, int]) -> Committed:
        """Commits a batch; returns only when its outcome is known.

        Raises IncarnationOver when this incarnation may not commit any more, StatementRefused
        when the database does not take what is in the batch, StorageFull when it has no room.
        """
        arguments = batch.arguments(self.incarnation, self.position, epochs)
        tries = 0
        while True:
            try:
                statement = await self._ready(batch.parts)
                row = await statement.fetchrow(*arguments)
                if row["applied"]:
                    self.position += 1
                    return Committed(
                        frozenset(row["partitions"]), frozenset(row["started"]), row["now_us"]
                    )
                return await self._applied_before(batch, row["now_us"])
            except CONNECTION_LOST as error:
                # After an unknown outcome an earlier send may still apply: only that one is told.
                if isinstance(error, asyncpg.DiskFullError) and not tries:
                    raise StorageFull from error
                await self._drop()
                await asyncio.sleep(RESEND_DELAYS_S[min(tries, len(RESEND_DELAYS_S) - 1)])
                tries += 1
            except asyncpg.PostgresError as error:
                raise StatementRefused(type(error).__name__) from error

    async def _applied_before(self, batch: CommitBatch, now_us: int) -> Committed:
        """The statement found another position: an earlier send of it may have applied."""
        position = await self._store.one("position_of", incarnation=self.incarnation)
        if position != self.position + 1:
            raise IncarnationOver(f"position is {position}, expected {self.position}")
        row = await self._store.one("outbox_row", incarnation=self.incarnation, position=position)
        if row is None:
            raise IncarnationOver(f"what position {position} committed is not known any more")
        self.position = position
        committed = frozenset(row["execution_ids"])
        return Committed(
            frozenset(row["partitions"]),
            frozenset(start[0] for start in batch.starts if start[0] in committed),
            now_us,
        )

    async def _ready(self, parts: tuple[str, ...]) -> Any:
        if self._connection is None:
            self._connection = await self._store.pool.acquire()
            await self._connection.execute("set plan_cache_mode = force_generic_plan")
        prepared = self._prepared.get(parts)
        if prepared is None:
            text = commit_statement(parts)
            prepared = self._prepared[parts] = await self._connection.prepare(text)
        return prepared

    async def _drop(self) -> None:
        connection, self._connection, self._prepared = self._connection, None, {}
        if connection is not None:
            # A connection that the server closed has gone back to the pool by itself.
            with contextlib.suppress(asyncpg.InterfaceError):
                connection.terminate()
            await self._store.pool.release(connection)
