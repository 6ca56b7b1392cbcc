"""The pool, the queries and the transactions of the identity schema."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from flowmesh.access.audited import audited_call
from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg

MIGRATIONS = files("flowmesh.identity").joinpath("migrations")


class Database:
    """Queries by name, on a connection of the pool or on that of a transaction.

    `call` returns the call that a statement on an audited table serves.
    """

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        *,
        call: Callable[[], str] = audited_call,
        keys: DataKeys = NO_KEYS,
    ) -> None:
        self.pool = pool
        self.sql: Any = load_queries(
            files("flowmesh.identity").joinpath("sql"), call=call, keys=keys
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Commit all changes of the block, or none."""
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection
