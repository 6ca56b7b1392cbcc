"""Statements on SQLite files, run in threads and interrupted at their time limit.

SQLite enforces the rules a second time: a reading statement opens the file read-only, and an
authorizer rejects attaching, loading extensions and changing anything but rows.
"""

import asyncio
import math
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.executors import failures
from flowmesh.executors.databases.calls import (
    COLUMNS_MAX,
    RESULT_BYTES_MAX,
    BoundedRows,
    DatabaseCall,
    Rows,
)
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.sql import Statement

_WRITES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_ALLOWED = _WRITES | {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_TRANSACTION,
}  # fmt: skip
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_BROKEN = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL,
    }
)  # fmt: skip
_INTEGER_MAX = 2**63 - 1
# The busy timeout of SQLite; after it the statement checks whether it was stopped.
BUSY_S = 0.1
# The time in which a statement stops, unless the disk blocks it.
STOP_S = 1.0
_STEPS_BETWEEN_LOOKS = 10_000
T = TypeVar("T")


class Sqlite:
    """A database file; at most `size` statements run at once, each in a thread."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._slots = asyncio.Semaphore(size)
        self._threads = ThreadPoolExecutor(size, "sqlite")

    async def run(self, statement: Statement, call: DatabaseCall) -> Rows:
        values = {name: _bound(name, call.values[name]) for name in statement.parameters}
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(call.timeout_ms / 1000), self._slots:
                work = _Work(self._path, statement, call, values)
                running = loop.run_in_executor(self._threads, work.run)
                try:
                    return await asyncio.shield(running)
                except asyncio.CancelledError:
                    # A statement that reports a timeout must not commit.
                    work.stopped = True
                    await asyncio.wait([running], timeout=STOP_S)
                    if not work.committed:
                        raise
                    return await running
        except TimeoutError:
            message = f"the statement did not end within {call.timeout_ms} ms"
            raise TaskFailure(failures.TIMEOUT, message) from None
        except sqlite3.Error as error:
            raise _failure(error) from error

    async def close(self) -> None:
        """Do nothing: every statement closes its own connection."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Work:
    """One statement in a thread; it ends soon after `stopped` is set."""

    def __init__(
        self, path: Path, statement: Statement, call: DatabaseCall, values: Mapping[str, Json]
    ) -> None:
        self._path = path
        self._statement = statement
        self._call = call
        self._values = values
        self.stopped = False
        self.committed = False

    def run(self) -> Rows:
        mode = "rw" if self._call.writes else "ro"
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        opened = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
        with closing(opened) as connection:
            self._guard(connection)
            if not self._call.writes:
                connection.execute("BEGIN")
                return self._retry_while_busy(lambda: self._rows(connection))
            self._retry_while_busy(lambda: connection.execute("BEGIN IMMEDIATE"))
            rows = self._rows(connection)
            self._retry_while_busy(lambda: self._commit(connection))
            return rows

    def _retry_while_busy(self, do: Callable[[], T]) -> T:
        """Retry while the file is busy, until the statement is stopped."""
        while True:
            try:
                return do()
            except sqlite3.OperationalError as error:
                if self.stopped or _code(error) not in _BUSY:
                    raise

    def _commit(self, connection: sqlite3.Connection) -> None:
        if not self.stopped:
            connection.commit()
            self.committed = True

    def _guard(self, connection: sqlite3.Connection) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, RESULT_BYTES_MAX)
        connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, COLUMNS_MAX)
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(lambda: self.stopped, _STEPS_BETWEEN_LOOKS)

    def _rows(self, connection: sqlite3.Connection) -> Rows:
        cursor = connection.execute(self._statement.text, self._values)
        columns = [column[0] for column in cursor.description or ()]
        kept = BoundedRows(columns, self._call.rows_max)
        for row in cursor:
            kept.add([_plain(value) for value in row])
        count = len(kept.rows)
        return Rows(kept.rows, max(cursor.rowcount, count) if self._call.writes else count)


def _authorize(action: int, name: str | None, *_: str | None) -> int:
    if action not in _ALLOWED or (action in _WRITES and str(name).startswith("sqlite_")):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _bound(name: str, value: Json) -> Json:
    """Convert a value for SQLite: lists and objects become JSON text."""
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    if isinstance(value, int) and not -_INTEGER_MAX - 1 <= value <= _INTEGER_MAX:
        raise invalid(f"the parameter {name} is a number that SQLite cannot hold")
    return value


def _plain(value: Any) -> Json:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _failure(error: sqlite3.Error) -> TaskFailure:
    code = _code(error)
    name = str(getattr(error, "sqlite_errorname", ""))
    if code == sqlite3.SQLITE_INTERRUPT:
        class_ = failures.TIMEOUT
    elif code in _BUSY or code in _BROKEN:
        class_ = failures.SERVER
    else:
        class_ = failures.VALIDATION
    text = "the file cannot be used" if code in _BROKEN else str(error)[:500]
    return TaskFailure(class_, f"the database refused: {text}", details={"sqliteError": name})
