"""Requests to Flowmesh in the caller's transaction, for asyncpg and for DB-API cursors.

async with connection.transaction():
    await connection.execute("insert into orders …")
    await outbox.start(connection, "order", {"id": 7})
"""

from typing import Any, Final, Protocol

import orjson

from flowmesh.contract.json_value import Json

_START: Final = "select flowmesh.start({}, {}::jsonb, {}, {})"
_SIGNAL: Final = "select flowmesh.signal({}, {}, {}::jsonb, {}, {})"
_PUBLISH: Final = "select flowmesh.publish({}, {}::jsonb, {}, {}, {})"


class Connection(Protocol):
    """A connection of asyncpg."""

    async def fetchval(self, query: str, *args: Any) -> Any: ...


class Cursor(Protocol):
    """A cursor of a DB-API driver with the parameter style `format`, such as psycopg's."""

    def execute(self, query: str, parameters: Any = ..., /) -> Any: ...

    def fetchone(self) -> Any: ...


async def start(
    connection: Connection,
    workflow: str,
    input: Json = None,
    *,
    request_id: str | None = None,
    namespace: str = "default",
) -> str:
    """Start a workflow once the transaction commits; return the request id of the start."""
    values = (workflow, _json({} if input is None else input), request_id, namespace)
    return str(await connection.fetchval(_numbered(_START), *values))


async def signal(
    connection: Connection,
    execution_id: str,
    name: str,
    payload: Json = None,
    *,
    request_id: str | None = None,
    namespace: str = "default",
) -> str:
    """Send a signal once the transaction commits; return its request id."""
    values = (execution_id, name, _json(payload), request_id, namespace)
    return str(await connection.fetchval(_numbered(_SIGNAL), *values))


async def publish(
    connection: Connection,
    type: str,
    data: Json = None,
    *,
    source: str = "database",
    event_id: str | None = None,
    namespace: str = "default",
) -> str:
    """Publish an event once the transaction commits; return its id."""
    values = (type, _json(data), source, event_id, namespace)
    return str(await connection.fetchval(_numbered(_PUBLISH), *values))


def start_with(
    cursor: Cursor,
    workflow: str,
    input: Json = None,
    *,
    request_id: str | None = None,
    namespace: str = "default",
) -> str:
    """Start a workflow by a DB-API cursor once its transaction commits; return the request id."""
    values = (workflow, _json({} if input is None else input), request_id, namespace)
    cursor.execute(_START.format(*["%s"] * 4), values)
    return str(cursor.fetchone()[0])


def _numbered(statement: str) -> str:
    """Return the statement with the placeholders of asyncpg."""
    return statement.format(*(f"${number}" for number in range(1, statement.count("{}") + 1)))


def _json(value: Json) -> str:
    return orjson.dumps(value).decode()
