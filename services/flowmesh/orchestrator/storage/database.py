"""Named queries of the schema `orchestrator`, and the errors after which one is sent again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from importlib.resources import files
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import asyncpg

from flowmesh.access.audited import audited_call
from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.storage import queries_of

T = TypeVar("T")
R = TypeVar("R", bound=NamedTuple)

_SQL = files("flowmesh.orchestrator.storage.sql")
QUERIES = (
    "queries.sql",
    "retention.sql",
    "bulks.sql",
    "links.sql",
    "dead_letters.sql",
    "quotas.sql",
    "rebuild.sql",
    "kept_signals.sql",
    "stats.sql",
    "meters.sql",
    "usage.sql",
)
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
"""Errors after which the outcome of a statement is unknown, or the statement can be repeated."""

CONTENT_REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.RaiseError,
)
"""Errors for the sake of the values of a statement: a repeat would fail the same way."""

RETRY_S = 0.2
"""Pause before a statement that must succeed is sent again after a lost connection."""


async def until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Return the answer of the database; repeat the call while the connection is lost."""
    while True:
        try:
            return await ask()
        except CONNECTION_LOST:
            await asyncio.sleep(RETRY_S)


class Queries:
    """Runs the named queries of `sql/` on a pool. Only the stores of this package call it."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        call: Callable[[], str] = audited_call,
        keys: DataKeys = NO_KEYS,
    ) -> None:
        self.pool = pool
        self.keys = keys
        named = "\n".join((_SQL / name).read_text() for name in QUERIES)
        self._sql: Any = queries_of(named, call=call)

    async def rows(self, name: str, connection: Any = None, **values: object) -> list[Any]:
        """Return all rows of a named query."""
        found = getattr(self._sql, name)(connection or self.pool, **values)
        return [row async for row in found]

    async def one(self, name: str, **values: object) -> Any:
        """Return the row, the value or None of a named query that returns at most one row."""
        return await getattr(self._sql, name)(self.pool, **values)

    async def records(self, record: type[R], name: str, **values: object) -> list[R]:
        """Return all rows of a named query as records."""
        return records(record, await self.rows(name, **values))

    async def record(self, record: type[R], name: str, **values: object) -> R | None:
        """Return the row of a named query as a record; None if there is no row."""
        row = await self.one(name, **values)
        return None if row is None else record._make(_columns(record)(row))


def records(record: type[R], rows: Iterable[Any]) -> list[R]:
    """Return database rows as records; a record has the columns that its fields name."""
    columns, make = _columns(record), record._make
    return [make(columns(row)) for row in rows]


@cache
def _columns(record: type[NamedTuple]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that reads the fields of a record, at least two, from a row."""
    return itemgetter(*record._fields)
