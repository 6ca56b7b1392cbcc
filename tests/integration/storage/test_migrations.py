"""Migrations on a real database: once, in order, by one at a time."""

import asyncio
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from flowmesh.storage import MigrationError, StorageError, load_queries, migrate, open_database
from flowmesh.storage import pool as storage_pool


def write(folder: Path, **files: str) -> Path:
    for name, sql in files.items():
        (folder / f"{name.removeprefix('m')}.sql").write_text(sql)
    return folder


async def applied(address: str, folder: Path) -> int:
    connection = await asyncpg.connect(address)
    try:
        return await migrate(connection, "demo", folder)
    finally:
        await connection.close()


async def test_files_are_applied_once_and_in_order(database: str, tmp_path: Path) -> None:
    """A later start applies only what is new."""
    folder = write(tmp_path, m0001_first="create table a (x int);")
    assert await applied(database, folder) == 1
    write(folder, m0002_second="alter table a add y int; create index on a (y);")
    assert await applied(database, folder) == 1
    assert await applied(database, folder) == 0


async def test_starters_that_race_are_safe(database: str, tmp_path: Path) -> None:
    """Of eight starters at once one applies, the others wait and find it done."""
    folder = write(
        tmp_path, m0001_first="create table a (x int);", m0002_b="create table b (x int);"
    )
    counts = await asyncio.gather(*(applied(database, folder) for _ in range(8)))
    assert sorted(counts) == [0] * 7 + [2]


async def test_a_file_that_changed_is_refused(database: str, tmp_path: Path) -> None:
    """History is not rewritten: the error names the file."""
    folder = write(tmp_path, m0001_first="create table a (x int);")
    await applied(database, folder)
    write(folder, m0001_first="create table a (x bigint);")
    with pytest.raises(MigrationError, match=r"0001_first.sql was changed after it was applied"):
        await applied(database, folder)


async def test_a_failing_file_leaves_nothing(database: str, tmp_path: Path) -> None:
    """One transaction per file: half of one is never there."""
    folder = write(
        tmp_path,
        m0001_first="create table a (x int);",
        m0002_bad="create table b (x int); select nothing;",
    )
    with pytest.raises(asyncpg.PostgresError):
        await applied(database, folder)
    write(folder, m0002_bad="create table b (x int);")
    assert await applied(database, folder) == 1


async def test_a_newer_schema_is_refused(database: str, tmp_path: Path) -> None:
    """An older program does not touch what it does not know."""
    folder = write(
        tmp_path, m0001_first="create table a (x int);", m0002_b="create table b (x int);"
    )
    await applied(database, folder)
    (folder / "0002_b.sql").unlink()
    with pytest.raises(MigrationError, match="run a newer program"):
        await applied(database, folder)


@pytest.mark.parametrize("name", ["m1_short", "m0002_gap"])
async def test_a_wrong_name_or_number_is_refused(database: str, tmp_path: Path, name: str) -> None:
    """Names say the order, so they must be right."""
    with pytest.raises(MigrationError):
        await applied(database, write(tmp_path, **{name: "select 1;"}))


async def test_statements_outside_a_transaction(database: str, tmp_path: Path) -> None:
    """A marked file may build an index concurrently."""
    sql = "-- no-transaction\ncreate table a (x int);\ncreate index concurrently on a (x);\n"
    assert await applied(database, write(tmp_path, m0001_first=sql)) == 1


async def test_a_database_that_is_away_is_named_once_without_its_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says where nobody answers, and so does the error."""
    monkeypatch.setattr("flowmesh.storage.pool.REACH_TIMEOUT_S", 0.3)
    folder = write(tmp_path, m0001_first="create table a (x int);")
    with (
        capture_logs() as told,
        pytest.raises(StorageError, match=r"at 127\.0\.0\.1:9 within"),
    ):
        async with open_database(
            "postgresql://u:hunter2@127.0.0.1:9/d", schema="s", migrations=folder
        ):
            pass
    assert [line["event"] for line in told] == ["database_unreachable"]
    assert "hunter2" not in str(told)


async def test_a_database_is_opened_in_its_schema(database: str, tmp_path: Path) -> None:
    """The pool's search path is the schema, just-in-time compilation is off, queries have names."""
    folder = write(tmp_path, m0001_first="create table a (x int);")
    queries_folder = tmp_path / "sql"
    queries_folder.mkdir()
    (queries_folder / "a.sql").write_text(
        "-- name: add(x)!\ninsert into a values (:x);\n\n-- name: all_of()\nselect x from a;\n"
    )
    queries = load_queries(queries_folder)
    async with open_database(database, schema="demo", migrations=folder) as pool:
        await queries.add(pool, x=5)
        assert [row["x"] async for row in queries.all_of(pool)] == [5]
        assert await pool.fetchval("select count(*) from demo.a") == 1
        assert await pool.fetchval("show jit") == "off"


async def test_a_connection_that_does_not_close_stops_no_start(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was for is done: it is cut off, here as at the end."""

    async def never(self: object, *, timeout: float | None = None) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncpg.Connection, "close", never)
    monkeypatch.setattr(storage_pool, "CLOSE_TIMEOUT_S", 0.2)
    folder = write(tmp_path, m0001_first="create table a (x int);")
    async with open_database(database, schema="demo", migrations=folder) as pool:
        assert await pool.fetchval("select count(*) from demo.a") == 0


# Applies the migrations of a folder and dies before the second file.
STARTER = """
import asyncio, sys
from pathlib import Path
import asyncpg
from flowmesh import failpoints
from flowmesh.storage import migrate
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    await migrate(connection, "demo", Path(sys.argv[2]))
failpoints.arm("storage.migrating=kill9@2")
asyncio.run(main())
"""


@pytest.mark.fault("F1")
async def test_a_starter_that_dies_between_two_files_hands_over(
    database: str, tmp_path: Path
) -> None:
    """The next one finds the first file applied and the lock free (O14)."""
    folder = write(
        tmp_path, m0001_first="create table a (x int);", m0002_b="create table b (x int);"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTER, database, str(folder)
    )
    assert await process.wait() == -signal.SIGKILL

    assert await applied(database, folder) == 1
    assert await applied(database, folder) == 0


async def test_commits_are_synchronous_despite_the_server_default(
    database: str, tmp_path: Path
) -> None:
    """A session insists on it where the server does not, and lowers nothing that is stricter."""
    folder = write(tmp_path, m0001_first="create table a (x int);")
    name = urlsplit(database).path.lstrip("/")
    for default, kept in (("off", "on"), ("remote_apply", "remote_apply")):
        connection = await asyncpg.connect(database)
        await connection.execute(f'alter database "{name}" set synchronous_commit = {default}')
        await connection.close()
        async with open_database(database, schema="demo", migrations=folder) as pool:
            assert await pool.fetchval("show synchronous_commit") == kept
