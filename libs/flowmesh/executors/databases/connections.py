"""Named connections, read from a file of the worker, with their addresses and permissions.

Definitions and messages hold neither addresses nor passwords.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, Self

from flowmesh.executors.databases.calls import DatabaseCall, Rows
from flowmesh.executors.databases.postgres import Postgres
from flowmesh.executors.databases.sqlite import Sqlite
from flowmesh.executors.failures import invalid
from flowmesh.sql import KINDS, Dialect, SqlForbidden, Statement, read_statement

CONNECTIONS_DEFAULT = 4
CONNECTIONS_MAX = 100
STATEMENTS_KEPT_MAX = 500
ANY = "*"
# Members for the event service only.
_EVENT_MEMBERS = ("outbox", "changes")
_MEMBERS = frozenset(
    {"url", "statements", "tables", "functions", "namespaces", "connections", *_EVENT_MEMBERS}
)
# System catalogs need their full name; `*` does not include them.
_CATALOGS = ("pg_", "information_schema.", "sqlite_", "pg_catalog.")


class Driver(Protocol):
    """A database; the first statement connects to it."""

    async def run(self, statement: Statement, call: DatabaseCall) -> Rows: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Connection:
    """A named connection; an empty set of namespaces means all."""

    dialect: Dialect
    driver: Driver
    statements: frozenset[str]
    tables: frozenset[str]
    functions: frozenset[str]
    namespaces: frozenset[str]

    def admit(self, statement: Statement, call: DatabaseCall) -> None:
        """Raise SqlForbidden if the connection does not permit the statement."""
        if not call.writes and not statement.reads_only:
            raise SqlForbidden("db.query only reads; use db.exec to write")
        if call.writes and statement.reads_only:
            raise SqlForbidden("db.exec inserts, updates or deletes; use db.query to read")
        if kinds := statement.kinds - self.statements:
            raise SqlForbidden(f"the connection may not be used to {min(kinds)}")
        for table in sorted(statement.tables - self.tables):
            if ANY not in self.tables or table.startswith(_CATALOGS):
                raise SqlForbidden(f"the connection may not be used for the table {table[:64]}")
        if functions := statement.functions - self.functions:
            name = min(functions)[:64]
            raise SqlForbidden(f"the connection may not be used to call {name}()")


class Connections:
    """Every connection of a worker. An async context manager: leaving it closes them."""

    def __init__(self, connections: Mapping[str, Connection] | None = None) -> None:
        self._connections = dict(connections or {})

    @classmethod
    def read(cls, path: str) -> Self:
        """Read a TOML file with a table for each connection. Raises ValueError with the place."""
        if not path:
            return cls()
        file = Path(path)
        try:
            tables = tomllib.loads(file.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ValueError(f"databases: {path}: {error}") from None
        found = {}
        for name, given in tables.items():
            try:
                found[name] = _connection(given, file.parent)
            except ValueError as error:
                raise ValueError(f"databases: {path}: [{name}]: {error}") from None
        return cls(found)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for connection in self._connections.values():
            await connection.driver.close()

    async def run(self, call: DatabaseCall) -> Rows:
        connection = self._connections.get(call.connection)
        if connection is None or (
            connection.namespaces and call.namespace not in connection.namespaces
        ):
            message = f"this worker has no database connection {call.connection[:64]!r}"
            raise invalid(message, reason="CONNECTION_UNKNOWN")
        try:
            identifiers = tuple(sorted(call.identifiers.items()))
            statement = _read(call.statement, connection.dialect, identifiers)
            connection.admit(statement, call)
        except SqlForbidden as error:
            raise invalid(error.message, reason=error.reason) from error
        if missing := set(statement.parameters) - call.values.keys():
            raise invalid(f"no parameter is given for :{min(missing)} of the statement")
        return await connection.driver.run(statement, call)


@lru_cache(STATEMENTS_KEPT_MAX)
def _read(text: str, dialect: Dialect, identifiers: tuple[tuple[str, str], ...]) -> Statement:
    return read_statement(text, dialect, dict(identifiers))


def _connection(given: Any, folder: Path) -> Connection:
    if not isinstance(given, dict):
        raise ValueError("a connection is a table with a url")
    if unknown := given.keys() - _MEMBERS:
        raise ValueError(f"unknown {min(unknown)}; known are {', '.join(sorted(_MEMBERS))}")
    statements = _names(given, "statements", ("select",))
    if wrong := statements - {*KINDS}:
        raise ValueError(f"statements: {min(wrong)!r} is none of {', '.join(KINDS)}")
    tables = _names(given, "tables", ())
    if not tables and not any(given.get(member) for member in _EVENT_MEMBERS):
        raise ValueError('tables names those that tasks may use; "*" is all of them')
    size = given.get("connections", CONNECTIONS_DEFAULT)
    if not isinstance(size, int) or not 1 <= size <= CONNECTIONS_MAX:
        raise ValueError(f"connections is a number from 1 to {CONNECTIONS_MAX}")
    dialect, driver = _driver(str(given.get("url", "")), size, folder)
    return Connection(
        dialect=dialect,
        driver=driver,
        statements=statements,
        tables=tables,
        functions=_names(given, "functions", ()),
        namespaces=_names(given, "namespaces", ()),
    )


def _names(given: dict[str, Any], key: str, default: tuple[str, ...]) -> frozenset[str]:
    names = given.get(key, list(default))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} is a list of names")
    return frozenset(names)


def _driver(url: str, size: int, folder: Path) -> tuple[Dialect, Driver]:
    scheme, _, rest = url.partition(":")
    if scheme in ("postgresql", "postgres"):
        return "postgres", Postgres(url, size)
    if scheme == "sqlite" and rest:
        return "sqlite", Sqlite(folder / rest, size)
    raise ValueError("url begins with postgresql:// or sqlite:, followed by the path of a file")
