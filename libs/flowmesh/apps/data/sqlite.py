"""SQLite in the event loop: short reads at once, long reads in a thread, grouped writes.

A read runs in the loop within a time budget. One that exceeds it is interrupted and runs again in
the reader thread, where its statement then always runs. Writes wait in one queue; the writer
thread commits all that wait in one transaction, each in a savepoint of its own.
"""

import asyncio
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from flowmesh.apps.data.database import (
    ROWS_MAX,
    Changed,
    Row,
    statement_failed,
    unavailable,
    unique_violated,
)
from flowmesh.apps.data.sqlite_writer import SqliteWriter, changed, fetched
from flowmesh.apps.data.statements import Statement
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError
from flowmesh.sql import Dialect

T = TypeVar("T")

READ_BUDGET_S = 0.0005
# Virtual machine instructions between two looks at the clock, about 5 µs.
INSTRUCTIONS_PER_LOOK = 500
SLOW_STATEMENTS_MAX = 1_000
BUSY_TIMEOUT_S = 5.0
# One of them writes.
CONNECTIONS = 5
STATEMENTS_CACHED = 256
MEMORY = ":memory:"
_PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
)


# Statements about the file itself. Others name folders, or turn protections off.
_PRAGMAS_ALLOWED = frozenset(
    {
        *("analysis_limit", "application_id", "auto_vacuum", "busy_timeout", "cache_size"),
        *("case_sensitive_like", "compile_options", "data_version", "defer_foreign_keys"),
        *("encoding", "foreign_key_check", "foreign_key_list", "foreign_keys", "freelist_count"),
        *("incremental_vacuum", "index_info", "index_list", "index_xinfo", "integrity_check"),
        *("journal_mode", "optimize", "page_count", "page_size", "quick_check"),
        *("recursive_triggers", "synchronous", "table_info", "table_list", "table_xinfo"),
        *("temp_store", "user_version", "wal_autocheckpoint", "wal_checkpoint"),
    }
)
_FUNCTIONS_DENIED = frozenset({"load_extension", "fts3_tokenizer"})


def connect(path: Path, *, wal: bool = True) -> sqlite3.Connection:
    """Open a file on a connection that reaches no other file; `wal` is its kind of journal."""
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_CACHED,
    )
    for pragma in (f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}", *_PRAGMAS):
        connection.execute(pragma)
    # VACUUM INTO attaches the file that it writes, without a question to the authorizer.
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_authorizer(_authorize)
    return connection


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    denied = (
        action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)
        or (action == sqlite3.SQLITE_PRAGMA and (first or "").lower() not in _PRAGMAS_ALLOWED)
        or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FUNCTIONS_DENIED)
    )
    return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK


class SqliteDatabase:
    """One database file. `:memory:` is a temporary file, removed at the stop."""

    dialect: Dialect = "sqlite"

    def __init__(
        self,
        *,
        name: str,
        path: str,
        folder: Path,
        budget_s: float = READ_BUDGET_S,
        statement_timeout_s: float = 30.0,
        connections_max: int = CONNECTIONS,
        wal: bool = True,
        clock: Callable[[], float] = time.perf_counter,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._name = name
        self._given = path
        self._folder = folder
        self._budget_s = budget_s
        self._timeout_s = statement_timeout_s
        self._wal = wal
        self._clock = clock
        # CPU time of the loop, so that a busy machine makes no read long.
        self._spent = spent
        self._deadline = 0.0
        self._reads: sqlite3.Connection | None = None
        self._slow: dict[str, None] = {}
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._reader = ThreadPoolExecutor(
            max(1, min(connections_max, CONNECTIONS) - 1), thread_name_prefix=f"{name}-reader"
        )
        # Connections that no thread reads with now.
        self._idle: list[sqlite3.Connection] = []
        self._writer: SqliteWriter | None = None
        self._exclusive: asyncio.Lock | None = None
        self._path = Path()

    async def start(self) -> None:
        """Open the file and its connections. Raises Unavailable."""
        self._path = self._resolve()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._reads = connect(self._path, wal=self._wal)
            writer = connect(self._path, wal=self._wal)
        except (sqlite3.Error, OSError) as error:
            raise unavailable(self._name, f"{self._path} cannot be opened: {error}") from None
        self._reads.set_progress_handler(self._look, INSTRUCTIONS_PER_LOOK)
        self._exclusive = asyncio.Lock()
        self._writer = SqliteWriter(name=self._name, connection=writer)
        self._writer.start(asyncio.get_running_loop())

    async def stop(self) -> None:
        """Finish waiting writes and close."""
        if self._writer is not None:
            await self._writer.stop()
        self._reader.shutdown(wait=True)
        for each in self._idle:
            each.close()
        if self._reads is not None:
            self._reads.close()
            self._reads = None
        if self._temporary is not None:
            self._temporary.cleanup()

    async def health(self) -> str:
        if self._reads is None:
            return f"{self._name} is closed"
        try:
            self._deadline = self._spent() + 1.0
            self._reads.execute("SELECT 1").fetchone()
        except sqlite3.Error as error:
            return f"{self._name}: {error}"
        return ""

    def query(
        self, statement: Statement, values: Sequence[Json], rows_max: int = ROWS_MAX
    ) -> list[Row] | Awaitable[list[Row]]:
        """Return the rows, at once if the read ends within its budget."""
        text = statement.text
        if text in self._slow or self._reads is None:
            return self._query_later(text, values, rows_max)
        self._deadline = self._spent() + self._budget_s
        try:
            return fetched(self._reads.execute(text, values), rows_max)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise self._failed(error) from None
            if len(self._slow) < SLOW_STATEMENTS_MAX:
                self._slow[text] = None
            return self._query_later(text, values, rows_max)
        except (sqlite3.Error, OverflowError) as error:
            raise self._failed(error) from None

    async def execute(self, statement: Statement, values: Sequence[Json]) -> Changed:
        if self._writer is None:
            raise unavailable(self._name, "the database is closed")
        try:
            return await self._writer.submit(statement.text, values, statement.returns)
        except (sqlite3.Error, OverflowError) as error:
            raise self._failed(error) from None

    async def unit(self, statements: Sequence[tuple[Statement, Sequence[Json]]]) -> bool:
        if self._writer is None:
            raise unavailable(self._name, "the database is closed")
        rows = [(each.text, values, False) for each, values in statements]
        try:
            return (await self._writer.submit_unit(rows)).count > 0
        except (sqlite3.Error, OverflowError) as error:
            raise self._failed(error) from None

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["SqliteTransaction"]:
        """Open a transaction on a connection of its own; the file takes one at a time."""
        assert self._exclusive is not None
        async with self._exclusive:
            session = SqliteTransaction(self._name, self._path, self._failed, wal=self._wal)
            await session.begin()
            try:
                yield session
            except BaseException:
                await session.end("ROLLBACK")
                raise
            await session.end("COMMIT")

    async def script(self, statements: Sequence[str]) -> None:
        async with self.transaction() as session:
            for text in statements:
                await session.execute(Statement(text, 0, False, False), ())

    def _resolve(self) -> Path:
        if self._given in ("", MEMORY) or "mode=memory" in self._given:
            self._temporary = tempfile.TemporaryDirectory(prefix="flowmesh-app-")
            return Path(self._temporary.name) / "memory.db"
        plain = self._given.removeprefix("file:").partition("?")[0]
        return self._folder / plain

    def _look(self) -> int:
        """Interrupt a read in the loop that is out of its budget."""
        return 1 if self._spent() > self._deadline else 0

    async def _query_later(self, text: str, values: Sequence[Json], rows_max: int) -> list[Row]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._reader, self._query_in_thread, text, values, rows_max
            )
        except (sqlite3.Error, OverflowError) as error:
            raise self._failed(error) from None

    def _query_in_thread(self, text: str, values: Sequence[Json], rows_max: int) -> list[Row]:
        connection = self._idle.pop() if self._idle else connect(self._path, wal=self._wal)
        deadline = self._clock() + self._timeout_s
        connection.set_progress_handler(lambda: int(self._clock() > deadline), 10_000)
        try:
            return fetched(connection.execute(text, values), rows_max)
        finally:
            self._idle.append(connection)

    def _failed(self, error: Exception) -> FlowmeshError:
        code = getattr(error, "sqlite_errorcode", 0)
        unique = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
        if code in unique:
            return unique_violated(self._name)
        if code == sqlite3.SQLITE_INTERRUPT:
            return unavailable(self._name, f"the statement was stopped after {self._timeout_s:g} s")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL):
            return unavailable(self._name, str(error))
        return statement_failed(self._name, str(error))


class SqliteTransaction:
    """One transaction, whose statements run in a thread of its own."""

    def __init__(
        self,
        name: str,
        path: Path,
        failed: Callable[[Exception], FlowmeshError],
        *,
        wal: bool,
    ) -> None:
        self._path = path
        self._wal = wal
        self._failed = failed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-transaction")
        self._connection: sqlite3.Connection | None = None

    async def begin(self) -> None:
        await self._run(self._open)

    async def end(self, word: str) -> None:
        """Commit or roll back, and close."""
        try:
            await self._run(lambda: self._finish(word))
        finally:
            self._thread.shutdown(wait=False)

    async def query(
        self, statement: Statement, values: Sequence[Json], rows_max: int = ROWS_MAX
    ) -> list[Row]:
        def read() -> list[Row]:
            return fetched(self._execute(statement.text, values), rows_max)

        return await self._run(read)

    async def execute(self, statement: Statement, values: Sequence[Json]) -> Changed:
        def change() -> Changed:
            return changed(self._execute(statement.text, values), returns=statement.returns)

        return await self._run(change)

    def _open(self) -> None:
        self._connection = connect(self._path, wal=self._wal)
        self._connection.execute("BEGIN IMMEDIATE")

    def _finish(self, word: str) -> None:
        if self._connection is not None:
            try:
                self._connection.execute(word)
            finally:
                self._connection.close()

    def _execute(self, text: str, values: Sequence[Json]) -> sqlite3.Cursor:
        assert self._connection is not None
        return self._connection.execute(text, values)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OverflowError) as error:
            raise self._failed(error) from None
