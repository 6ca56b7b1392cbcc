"""The connection that commits batches for one incarnation."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from flowmesh.orchestrator.model.errors import IncarnationOver, StatementRefused, StorageFull
from flowmesh.orchestrator.storage.batch import CommitBatch
from flowmesh.orchestrator.storage.database import CONNECTION_LOST, CONTENT_REFUSED
from flowmesh.orchestrator.storage.statements import commit_statement
from flowmesh.orchestrator.storage.stores.outbox_store import OutboxStore

RESEND_DELAYS_S = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Pauses before a commit of unknown outcome is sent again; the last one repeats."""

PREPARED_PARTS = (
    (),
    ("metered",),
    ("starts", "metered"),
    ("metered", "changes"),
    ("starts", "metered", "changes"),
)
"""The parts of the statements that are prepared before the first commit."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The result of a commit: the partitions it applied to, and the executions it created."""

    partitions: frozenset[int]
    started: frozenset[str]
    now_us: int


class CommitConnection:
    """The only connection that commits, with the position of its incarnation."""

    def __init__(self, pool: asyncpg.Pool, outbox: OutboxStore) -> None:
        self._pool = pool
        self._outbox = outbox
        self._connection: Any = None
        self._prepared: dict[tuple[str, ...], Any] = {}
        self.incarnation = 0
        self.position = 0

    async def begin(self, incarnation: int) -> None:
        """Commit for this incarnation from now on; prepare its usual statements."""
        self.incarnation, self.position = incarnation, 0
        for parts in PREPARED_PARTS:
            await self._statement(parts)
        # Preparing leaves its transaction open, with its locks, until a statement is executed.
        await self._connection.execute("select")

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection, self._prepared = self._connection, None, {}
            await self._pool.release(connection)

    async def commit(self, batch: CommitBatch, epochs: Mapping[int, int]) -> Committed:
        """Commit a batch; return only when its outcome is known.

        Raises IncarnationOver if this incarnation must not commit any more, StatementRefused if
        the database rejects the content of the batch, StorageFull if its disk is full.
        """
        arguments = batch.arguments(self.incarnation, self.position, epochs)
        tries = 0
        while True:
            try:
                statement = await self._statement(batch.parts)
                row = await statement.fetchrow(*arguments)
                if row["applied"]:
                    self.position += 1
                    return Committed(
                        frozenset(row["partitions"]), frozenset(row["started"]), row["now_us"]
                    )
                return await self._applied_before(batch, row["now_us"])
            except CONNECTION_LOST as error:
                # Raise StorageFull for the first send only: an earlier one may have applied.
                if isinstance(error, asyncpg.DiskFullError) and not tries:
                    raise StorageFull from error
                await self._drop()
                await asyncio.sleep(RESEND_DELAYS_S[min(tries, len(RESEND_DELAYS_S) - 1)])
                tries += 1
            except asyncpg.PostgresError as error:
                by_content = isinstance(error, CONTENT_REFUSED)
                raise StatementRefused(type(error).__name__, by_content=by_content) from error

    async def _applied_before(self, batch: CommitBatch, now_us: int) -> Committed:
        """Return the result of an earlier send of the batch; raise IncarnationOver if none applied.

        Called when the statement found another position than expected.
        """
        position = await self._outbox.last_position(self.incarnation)
        if position != self.position + 1:
            raise IncarnationOver(f"position is {position}, expected {self.position}")
        row = await self._outbox.committed_at(self.incarnation, position)
        if row is None:
            raise IncarnationOver(f"the outbox row of position {position} is deleted")
        self.position = position
        committed = frozenset(row.execution_ids)
        return Committed(
            frozenset(row.partitions),
            frozenset(start[0] for start in batch.starts if start[0] in committed),
            now_us,
        )

    async def _statement(self, parts: tuple[str, ...]) -> Any:
        if self._connection is None:
            self._connection = await self._pool.acquire()
            await self._connection.execute("set plan_cache_mode = force_generic_plan")
        prepared = self._prepared.get(parts)
        if prepared is None:
            text = commit_statement(parts)
            prepared = self._prepared[parts] = await self._connection.prepare(text)
        return prepared

    async def _drop(self) -> None:
        connection, self._connection, self._prepared = self._connection, None, {}
        if connection is not None:
            # A connection that the server closed was released to the pool already.
            with contextlib.suppress(asyncpg.InterfaceError):
                connection.terminate()
            await self._pool.release(connection)
