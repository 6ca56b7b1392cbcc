"""The interface of databases, whose implementations share their errors and results."""

from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from flowmesh.apps.data.statements import Statement
from flowmesh.contract.json_value import Json
from flowmesh.errors import Conflict, Invalid, TooLarge, Unavailable
from flowmesh.sql import Dialect

Row = dict[str, Json]

ROWS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Changed:
    """The result of a change."""

    count: int
    last_id: int | None = None
    rows: list[Row] = field(default_factory=list)


class Session(Protocol):
    """Statements on one database, or inside one transaction."""

    def query(
        self, statement: Statement, values: Sequence[Json], rows_max: int = ROWS_MAX
    ) -> list[Row] | Awaitable[list[Row]]:
        """Return the rows, at once or later. Raises `TooLarge` beyond `rows_max`."""

    async def execute(self, statement: Statement, values: Sequence[Json]) -> Changed:
        """Change rows; returns after the commit, or inside a transaction at once."""


class Database(Session, Protocol):
    """A database."""

    dialect: Dialect

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """Open a transaction; it commits at the end of the block, rolls back on an error."""

    async def unit(self, statements: Sequence[tuple[Statement, Sequence[Json]]]) -> bool:
        """Change rows by several statements at once; False, and none of them, if the first
        changes no row."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def health(self) -> str:
        """Return the problem, or an empty string."""

    async def script(self, statements: Sequence[str]) -> None:
        """Run statements of the application itself, in one transaction."""


def rows_limit(rows_max: int) -> TooLarge:
    text = f"the query returns more than {rows_max} rows; add LIMIT, or raise max_rows"
    return TooLarge("ROWS_TOO_LARGE", text)


def unique_violated(name: str) -> Conflict:
    return Conflict("ROW_CONFLICT", f"{name}: a row with this unique value already exists")


def statement_failed(name: str, message: str) -> Invalid:
    return Invalid("SQL_FAILED", f"{name}: {message}")


def unavailable(name: str, message: str) -> Unavailable:
    return Unavailable("DATABASE_UNAVAILABLE", f"{name}: {message}")
