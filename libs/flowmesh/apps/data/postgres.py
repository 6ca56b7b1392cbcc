"""PostgreSQL through a pool of asyncpg."""

import contextlib
import datetime
import decimal
import ipaddress
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import orjson

from flowmesh.apps.data.database import (
    ROWS_MAX,
    Changed,
    Row,
    rows_limit,
    statement_failed,
    unavailable,
    unique_violated,
)
from flowmesh.apps.data.statements import Statement
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, Forbidden, Invalid
from flowmesh.sql import Dialect

STATEMENTS_CACHED = 256
# The roles by which a session reads files of its server, or runs programs there. Before version
# 16, a role that creates roles may give itself each of them.
_POWERFUL = """
select r.rolname from pg_roles r where pg_has_role(session_user, r.oid, 'member') and (
    r.rolsuper or r.rolcreaterole and current_setting('server_version_num')::int < 160000
    or r.rolname in (
        'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'
    )
) limit 1
"""
_AWAY = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, TimeoutError)


class PostgresSession:
    """Statements on one connection."""

    def __init__(self, name: str, connection: Any, types: dict[str, list[str]]) -> None:
        self._name = name
        self._connection = connection
        # Types of parameters by statement, shared by all connections.
        self._types = types

    async def query(
        self, statement: Statement, values: Sequence[Json], rows_max: int = ROWS_MAX
    ) -> list[Row]:
        try:
            given = await self._fitted(statement.text, values)
            records = await self._connection.fetch(statement.text, *given)
        except Exception as error:  # noqa: BLE001 - each is translated
            raise _failed(self._name, error) from None
        if len(records) > rows_max:
            raise rows_limit(rows_max)
        return [_row(each) for each in records]

    async def execute(self, statement: Statement, values: Sequence[Json]) -> Changed:
        try:
            given = await self._fitted(statement.text, values)
            if not statement.returns:
                status = await self._connection.execute(statement.text, *given)
                count = status.rpartition(" ")[2]
                return Changed(int(count) if count.isdecimal() else 0)
            records = await self._connection.fetch(statement.text, *given)
        except Exception as error:  # noqa: BLE001 - each is translated
            raise _failed(self._name, error) from None
        rows = [_row(each) for each in records]
        last = rows[-1].get("id") if rows else None
        last_id = last if isinstance(last, int) else None
        return Changed(len(rows), last_id, rows)

    async def _fitted(self, text: str, values: Sequence[Json]) -> list[Json]:
        """Return the values in the types of the parameters, as a text protocol would take them."""
        types = self._types.get(text)
        if types is None:
            prepared = await self._connection.prepare(text)
            types = self._types[text] = [each.name for each in prepared.get_parameters()]
        return [_fit(value, kind) for value, kind in zip(values, types, strict=False)]

    async def unit(self, statements: Sequence[tuple[Statement, Sequence[Json]]]) -> bool:
        """Run statements in a transaction, unless the first changes no row."""
        try:
            async with self._connection.transaction():
                first = await self.execute(*statements[0])
                for statement, values in statements[1:] if first.count else ():
                    await self.execute(statement, values)
        except Exception as error:  # noqa: BLE001 - each is translated
            raise _failed(self._name, error) from None
        return first.count > 0

    async def script(self, statements: Sequence[str]) -> None:
        try:
            for text in statements:
                await self._connection.execute(text)
        except Exception as error:  # noqa: BLE001 - each is translated
            raise _failed(self._name, error) from None


class PostgresDatabase:
    """A PostgreSQL database.

    A `confined` one refuses roles that reach the host of the server, and reads no file of
    passwords.
    """

    dialect: Dialect = "postgres"

    def __init__(
        self,
        *,
        name: str,
        dsn: str,
        connections_max: int,
        connections_idle: int,
        statement_timeout_s: float,
        confined: bool = False,
    ) -> None:
        self._name = name
        self._dsn = dsn
        self._connections_max = connections_max
        self._connections_idle = min(connections_idle, connections_max)
        self._timeout_s = statement_timeout_s
        self._confined = confined
        self._pool: Any = None
        self._types: dict[str, list[str]] = {}

    @property
    def dsn(self) -> str:
        return self._dsn

    async def start(self) -> None:
        """Connect. Raises Unavailable, and Forbidden for a role that may do too much."""
        try:
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=1 if self._confined else min(1, self._connections_idle),
                max_size=self._connections_max,
                command_timeout=self._timeout_s,
                statement_cache_size=STATEMENTS_CACHED,
                reset=_keep,
                **self._bounds(),
            )
        except Forbidden:
            raise
        except (*_AWAY, asyncpg.PostgresError, ValueError) as error:
            text = f"no connection to PostgreSQL: {type(error).__name__}"
            raise unavailable(self._name, text) from None

    def _bounds(self) -> dict[str, Any]:
        """Return the options of a confined database."""
        if not self._confined:
            return {}
        return {"passfile": os.devnull, "init": self._check_role}

    async def _check_role(self, connection: Any) -> None:
        role = await connection.fetchval(_POWERFUL)
        if role is not None:
            text = (
                f"{self._name}: the user of dsn has the rights of {role}, which reach files and "
                "programs of the server; take a role without them"
            )
            raise Forbidden("DATABASE_ROLE_FORBIDDEN", text)

    async def stop(self) -> None:
        if self._pool is not None:
            await self._pool.close()

    async def health(self) -> str:
        try:
            async with self._pool.acquire(timeout=2) as connection:
                await connection.execute("SELECT 1")
        except (*_AWAY, asyncpg.PostgresError) as error:
            return f"{self._name}: {type(error).__name__}"
        return ""

    async def query(
        self, statement: Statement, values: Sequence[Json], rows_max: int = ROWS_MAX
    ) -> list[Row]:
        async with self._session() as session:
            return await session.query(statement, values, rows_max)

    async def execute(self, statement: Statement, values: Sequence[Json]) -> Changed:
        async with self._session() as session:
            return await session.execute(statement, values)

    async def unit(self, statements: Sequence[tuple[Statement, Sequence[Json]]]) -> bool:
        async with self._session() as session:
            return await session.unit(statements)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresSession]:
        async with self._connection() as connection, connection.transaction():
            yield PostgresSession(self._name, connection, self._types)

    async def script(self, statements: Sequence[str]) -> None:
        async with self.transaction() as session:
            await session.script(statements)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[PostgresSession]:
        async with self._connection() as connection:
            yield PostgresSession(self._name, connection, self._types)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        if self._pool is None:
            raise unavailable(self._name, "the database is closed")
        try:
            connection = await self._pool.acquire(timeout=self._timeout_s)
        except _AWAY as error:
            text = f"no connection to PostgreSQL: {type(error).__name__}"
            raise unavailable(self._name, text) from None
        try:
            yield connection
        finally:
            await self._pool.release(connection)


async def _keep(_connection: Any) -> None:
    """Leave a connection as it is: no statement of a step changes its session."""


def _fit(value: Json, kind: str) -> Json:
    if value is None:
        return None
    if kind in ("json", "jsonb") and not isinstance(value, str):
        return orjson.dumps(value).decode()
    if kind in ("text", "varchar", "bpchar", "name", "unknown"):
        if isinstance(value, str):
            if "\0" in value:
                raise Invalid("STRING_HAS_NUL", "PostgreSQL stores no NUL characters in texts")
            return value
        return orjson.dumps(value).decode()
    if isinstance(value, str):
        return _parsed(value, kind)
    if kind in ("float4", "float8") and isinstance(value, int):
        return float(value)
    if kind == "numeric" and isinstance(value, int | float):
        return decimal.Decimal(str(value))
    return value


def _parsed(text: str, kind: str) -> Json:
    if kind in ("int2", "int4", "int8"):
        return int(text)
    if kind in ("float4", "float8"):
        return float(text)
    if kind == "numeric":
        return decimal.Decimal(text)
    if kind == "bool":
        return text.lower() in ("true", "t", "1", "yes")
    if kind in ("timestamptz", "timestamp"):
        moment = datetime.datetime.fromisoformat(text)
        return moment if kind == "timestamptz" else moment.replace(tzinfo=None)
    if kind == "date":
        return datetime.date.fromisoformat(text)
    return uuid.UUID(text) if kind == "uuid" else text


def _row(record: Any) -> Row:
    return {name: _plain(value) for name, value in record.items()}


def _plain(value: Json) -> Json:
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, uuid.UUID | ipaddress.IPv4Address | ipaddress.IPv6Address):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _failed(name: str, error: Exception) -> FlowmeshError:
    if isinstance(error, FlowmeshError):
        return error
    if isinstance(error, asyncpg.UniqueViolationError):
        return unique_violated(name)
    if isinstance(error, asyncpg.QueryCanceledError | TimeoutError):
        return unavailable(name, "the statement took too long")
    if isinstance(error, asyncpg.PostgresConnectionError | asyncpg.InterfaceError | OSError):
        return unavailable(name, f"no connection to PostgreSQL: {type(error).__name__}")
    text = str(error).partition("\n")[0]
    return statement_failed(
        name,
        text if isinstance(error, asyncpg.PostgresError) else "a value does not fit its parameter",
    )
