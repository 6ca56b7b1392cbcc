"""Statements on PostgreSQL, each in its own transaction of bounded duration.

Values of types that JSON lacks (dates, decimals, UUIDs) are passed as text, so none is rounded.
"""

import asyncio
import math
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.executors import failures
from flowmesh.executors.databases.calls import BoundedRows, DatabaseCall, Rows
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.expressions.references import child_path
from flowmesh.jsontext.integers import inexact
from flowmesh.sql import Statement

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    Connected = PoolConnectionProxy[asyncpg.Record]

CONNECT_TIMEOUT_S = 10.0
IDLE_CONNECTION_S = 60.0
# A closing pool terminates running statements after this time.
CLOSE_TIMEOUT_S = 1.0
# A connection that is not reusable after this time is closed.
RELEASE_TIMEOUT_S = 1.0
_FETCHED_AT_ONCE = 100
_AS_TEXT = (
    "date", "time", "timetz", "timestamp", "timestamptz", "interval", "numeric", "uuid", "inet",
    "cidr", "macaddr", "bit", "varbit", "money", "point",
)  # fmt: skip
# Failure classes by SQLSTATE; single states take precedence over their class.
_STATES = {
    "40001": failures.SERVER,  # serialization failure
    "40P01": failures.SERVER,  # deadlock
    "55P03": failures.SERVER,  # lock not available
    "57014": failures.TIMEOUT,
    "42501": failures.AUTHENTICATION,
    "08": failures.NETWORK,
    "28": failures.AUTHENTICATION,
    "53": failures.SERVER,
    "57": failures.NETWORK,
    "58": failures.SERVER,
    "XX": failures.SERVER,
}


class Postgres:
    """A pool of connections to one server, opened for the first statement."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._size = size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def run(self, statement: Statement, call: DatabaseCall) -> Rows:
        import asyncpg

        try:
            async with asyncio.timeout(call.timeout_ms / 1000):
                pool = await self._opened()
                connection = await pool.acquire()
                try:
                    return await _run(connection, statement, call)
                except asyncio.CancelledError:
                    # The server may never respond; a lost connection ends the transaction.
                    connection.terminate()
                    raise
                finally:
                    await pool.release(connection, timeout=RELEASE_TIMEOUT_S)
        except TimeoutError:
            message = f"the database did not answer within {call.timeout_ms} ms"
            raise TaskFailure(failures.TIMEOUT, message) from None
        except asyncpg.PostgresError as error:
            raise _failure(error) from error
        except asyncpg.UnsupportedClientFeatureError as error:
            message = "the answer has a row in one value that cannot be read; cast it: ::text"
            raise invalid(message) from error
        except asyncpg.InterfaceError as error:
            if isinstance(error, asyncpg.exceptions.DataError | ValueError):
                raise invalid(f"a parameter does not fit: {_first_line(error)}") from error
            message = "the connection to the database is gone"
            raise TaskFailure(failures.NETWORK, message) from error
        except (OSError, asyncpg.InternalClientError) as error:
            message = "the database cannot be reached"
            raise TaskFailure(failures.NETWORK, message) from error

    async def close(self) -> None:
        if self._pool is not None:
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()

    async def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        import asyncpg

        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=self._size,
                    max_inactive_connection_lifetime=IDLE_CONNECTION_S,
                    timeout=CONNECT_TIMEOUT_S,
                    init=_init,
                    server_settings={"application_name": "flowmesh-task", "TimeZone": "UTC"},
                )
            return self._pool


async def _init(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for name in _AS_TEXT:
        await connection.set_type_codec(
            name, encoder=_text, decoder=str, schema="pg_catalog", format="text"
        )
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=_json, decoder=_JsonText, schema="pg_catalog", format="text"
        )
    await connection.set_type_codec(
        "bytea", encoder=b64decode, decoder=_base64, schema="pg_catalog", format="binary"
    )


class _JsonText(str):
    """Unparsed JSON text; it is parsed where the place of an invalid number is known."""

    __slots__ = ()


def _text(value: Json) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _json(value: Json) -> str:
    return orjson.dumps(value).decode()


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


async def _run(connection: "Connected", statement: Statement, call: DatabaseCall) -> Rows:
    values = [call.values[name] for name in statement.parameters]
    transaction = connection.transaction(readonly=not call.writes)
    await transaction.start()
    try:
        limit = "select set_config('statement_timeout', $1, true)"
        await connection.execute(limit, str(call.timeout_ms))
        rows = await _rows(connection, statement, values, call.rows_max)
    except Exception:
        await transaction.rollback()
        raise
    await transaction.commit()
    return rows


async def _rows(
    connection: "Connected", statement: Statement, values: list[Json], rows_max: int
) -> Rows:
    prepared = await connection.prepare(statement.text)
    _check_types(prepared.get_parameters(), values, statement)
    columns = [attribute.name for attribute in prepared.get_attributes()]
    if not columns:
        await prepared.fetch(*values)
        return Rows([], _changed(prepared.get_statusmsg()))
    kept = BoundedRows(columns, rows_max)
    cursor = await prepared.cursor(*values)
    while found := await cursor.fetch(_FETCHED_AT_ONCE):
        for each in found:
            kept.add([_plain_value(value, name) for name, value in each.items()])
    return Rows(kept.rows, len(kept.rows))


def _check_types(types: Any, values: list[Json], statement: Statement) -> None:
    """Reject numbers for text parameters; the error of the driver would not name the parameter."""
    for index, (type_, value) in enumerate(zip(types, values, strict=True)):
        if type_.name in ("text", "varchar", "bpchar", "name") and not isinstance(
            value, str | None
        ):
            name = statement.parameters[index]
            raise invalid(f"the parameter {name} must be text here; cast it: :{name}::int")


def _plain_value(value: Any, at: str) -> Json:
    """Convert a value of the driver to JSON."""
    import asyncpg

    if isinstance(value, _JsonText):
        text = value.encode()
        if path := inexact(text, at):
            raise invalid(f"{path} is a number that cannot be kept exactly; make it text")
        return orjson.loads(text)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, asyncpg.Record):
        return {name: _plain_value(each, child_path(at, name)) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(each, child_path(at, n)) for n, each in enumerate(value)]
    raise invalid(f"{at} is of a type that JSON lacks; cast it: ::text")


def _changed(status: str | None) -> int:
    """Parse the row count of a status such as `UPDATE 3` or `INSERT 0 1`."""
    last = (status or "").rpartition(" ")[2]
    return int(last) if last.isdecimal() else 0


def _failure(error: "asyncpg.PostgresError") -> TaskFailure:
    state = str(getattr(error, "sqlstate", "") or "")
    class_ = _STATES.get(state) or _STATES.get(state[:2]) or failures.VALIDATION
    details: dict[str, Any] = {"sqlState": state}
    if constraint := getattr(error, "constraint_name", None):
        details["constraint"] = constraint
    return TaskFailure(class_, f"the database refused: {_first_line(error)}", details=details)


def _first_line(error: Exception) -> str:
    """Return the first line; the details can hold values of other rows."""
    return str(getattr(error, "message", None) or error).partition("\n")[0][:500]
