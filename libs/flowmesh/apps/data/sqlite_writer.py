"""The writer of a SQLite file: a thread that commits all waiting statements at once."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Sequence

from flowmesh.apps.data.database import ROWS_MAX, Changed, Row, rows_limit
from flowmesh.contract.json_value import Json

GROUP_MAX = 256
WAITING_MAX = 10_000
One = tuple[str, Sequence[Json], bool]
# Statements that are one unit, and the future of the result of the first.
Write = tuple[Sequence[One], "asyncio.Future[Changed]"]


class SqliteWriter:
    """Commits writes in groups; every answer follows the commit of its group."""

    def __init__(self, *, name: str, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"{name}-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread.start()

    async def stop(self) -> None:
        """Write what waits, and close."""
        if self._loop is not None and self._thread.is_alive():
            self._queue.put(None)
            await self._stopped.wait()
            self._thread.join()

    async def submit(self, text: str, values: Sequence[Json], returns: bool) -> Changed:
        """Run a statement; return after its commit. Raises sqlite3.Error."""
        return await self.submit_unit([(text, values, returns)])

    async def submit_unit(self, statements: Sequence[One]) -> Changed:
        """Run statements as one; those behind a first that changes no row are left out."""
        assert self._loop is not None
        if self._queue.qsize() > WAITING_MAX:
            raise sqlite3.OperationalError(f"more than {WAITING_MAX} writes wait")
        future: asyncio.Future[Changed] = self._loop.create_future()
        self._queue.put((statements, future))
        # A caller that leaves does not undo its write: the group commits as a whole.
        return await asyncio.shield(future)

    def _run(self) -> None:
        assert self._loop is not None
        going = True
        while going:
            group: list[Write] = []
            first = self._queue.get()
            while first is not None:
                group.append(first)
                if len(group) == GROUP_MAX or self._queue.empty():
                    break
                first = self._queue.get()
            going = first is not None
            if group:
                results = self._commit(group)
                self._loop.call_soon_threadsafe(_settle, group, results)
        self._connection.close()
        self._loop.call_soon_threadsafe(self._stopped.set)

    def _commit(self, group: list[Write]) -> list[Changed | Exception]:
        """Run a group in one transaction; a failed statement undoes only itself."""
        results: list[Changed | Exception] = []
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statements, _ in group:
                results.append(self._unit(statements, alone=len(group) == 1))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return [error] * len(group)
        return results

    def _unit(self, statements: Sequence[One], *, alone: bool) -> Changed | Exception:
        """Run the statements of a unit; a failed one undoes all of them."""
        connection = self._connection
        if not alone:
            connection.execute("SAVEPOINT one")
        try:
            result = self._one(*statements[0])
            for each in statements[1:] if result.count else ():
                self._one(*each)
        except Exception as error:  # noqa: BLE001 - it is the result of this write
            if not alone:
                connection.execute("ROLLBACK TO one")
                connection.execute("RELEASE one")
            elif connection.in_transaction:
                connection.execute("ROLLBACK")
                connection.execute("BEGIN")
            return error
        if not alone:
            connection.execute("RELEASE one")
        return result

    def _one(self, text: str, values: Sequence[Json], returns: bool) -> Changed:
        cursor = self._connection.execute(text, values)
        try:
            return changed(cursor, returns=returns)
        finally:
            cursor.close()


def changed(cursor: sqlite3.Cursor, *, returns: bool) -> Changed:
    """Return the result of a change. Raises TooLarge."""
    rows = fetched(cursor, ROWS_MAX) if returns else []
    return Changed(max(cursor.rowcount, 0), cursor.lastrowid, rows)


def fetched(cursor: sqlite3.Cursor, rows_max: int) -> list[Row]:
    """Return all rows of a cursor. Raises TooLarge beyond `rows_max`."""
    if cursor.description is None:
        return []
    names = [each[0] for each in cursor.description]
    rows = cursor.fetchmany(rows_max + 1)
    cursor.close()
    if len(rows) > rows_max:
        raise rows_limit(rows_max)
    return [dict(zip(names, map(_plain, row), strict=True)) for row in rows]


def _plain(value: Json) -> Json:
    return value if value.__class__ is not bytes else value.decode("utf-8", "replace")


def _settle(group: list[Write], results: list[Changed | Exception]) -> None:
    for (_, future), result in zip(group, results, strict=True):
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
