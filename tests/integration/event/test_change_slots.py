"""Slots of logical replication on a real PostgreSQL, read and advanced."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from flowmesh.changes import Change, SlotReader, Source, connect
from flowmesh.errors import NotFound, WrongState
from flowmesh.testing.logical import logical_postgres
from flowmesh.testing.suite import Suite

ALL = frozenset({"insert", "update", "delete"})


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server with logical replication, and slots for two readers."""
    folder = tmp_path_factory.mktemp("logical") / "data"
    async with logical_postgres(
        folder, Suite.initial_database, max_replication_slots="2"
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def rows(address: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(address)
    yield connection
    await connection.close()


class Reads:
    """A slot of a table with its reader."""

    def __init__(self, connection: Any, source: Source) -> None:
        self.connection, self.source = connection, source
        self.reader = SlotReader(connection, source)

    async def changes(self, most: int = 1_000_000) -> tuple[list[Change], int]:
        """The first changes of the slot, and the position after them."""
        found = []
        async with self.reader.peek() as reading:
            async for change in reading.changes():
                found.append(change)
                if len(found) == most:
                    break
        return found, reading.done_lsn


@pytest_asyncio.fixture(loop_scope="session")
async def reads(address: str, rows: Any) -> AsyncIterator[Reads]:
    name = uuid.uuid4().hex[:12]
    await rows.execute(f"create table t_{name} (id int primary key, text text)")
    connection = await connect(address)
    made = Reads(connection, Source(f"flowmesh_{name}", "public", f"t_{name}", ALL))
    await made.reader.prepare()
    yield made
    await made.reader.drop()
    await connection.close()


async def test_changes_stay_until_the_slot_is_advanced(rows: Any, reads: Reads) -> None:
    """A reading repeats them with the same positions; after an advance they are gone."""
    table = reads.source.table
    await rows.execute(f"insert into {table} values (1, 'a'), (2, 'b')")
    await rows.execute(f"update {table} set text = 'c' where id = 1")
    first, done = await reads.changes()
    again, _ = await reads.changes()
    assert [each.position for each in first] == [each.position for each in again]
    assert [each.row.operation for each in first] == ["insert", "insert", "update"]
    assert first[0].position[0] == first[1].position[0] < first[2].position[0]
    assert [each.position[1] for each in first] == [1, 2, 1]
    await reads.reader.advance(done)
    await rows.execute(f"delete from {table}")
    rest, _ = await reads.changes()
    assert [each.row.operation for each in rest] == ["delete", "delete"]


async def test_a_reading_that_ends_early_is_advanced_over_whole_transactions(
    rows: Any, reads: Reads
) -> None:
    """The changes of an unfinished transaction are read again."""
    table = reads.source.table
    await rows.execute(f"insert into {table} values (1, 'a')")
    await rows.execute(f"insert into {table} values (2, 'b'), (3, 'c')")
    found, done = await reads.changes(most=2)
    assert [each.row.after for each in found] == [("1", "a"), ("2", "b")]
    await reads.reader.advance(done)
    rest, _ = await reads.changes()
    assert [each.row.after for each in rest] == [("2", "b"), ("3", "c")]


@pytest.mark.long
async def test_an_advance_misses_no_commit_that_happens_meanwhile(
    address: str, rows: Any, reads: Reads
) -> None:
    """Transactions that are open during a reading, and commit around the advance, come later."""
    table = reads.source.table
    numbers = iter(range(1_000))
    seen: list[int] = []
    finished = asyncio.Event()

    async def write() -> None:
        connection = await asyncpg.connect(address)
        for _ in range(40):
            async with connection.transaction():
                number = next(numbers)
                await connection.execute(f"insert into {table} values ($1, 'x')", number)
                await asyncio.sleep(0)
        await connection.close()

    async def read() -> None:
        while not finished.is_set() or len(seen) < 160:
            found, done = await reads.changes()
            seen.extend(int(str((each.row.after or ("",))[0])) for each in found)
            await reads.reader.advance(done)

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write() for _ in range(4)))
    finished.set()
    async with asyncio.timeout(60):
        await reading
    assert sorted(seen) == list(range(160))


@pytest.mark.long
async def test_a_row_above_the_limit_is_named_and_not_read(rows: Any, reads: Reads) -> None:
    """The changes around it are."""
    table = reads.source.table
    await rows.execute(f"insert into {table} values (1, repeat('x', 8 << 20)), (2, 'b')")
    (large, small), _ = await reads.changes()
    assert large.row.cut_bytes > 8 << 20
    assert (large.row.after, small.row.after) == (None, ("2", "b"))


@pytest.mark.long
async def test_a_slot_that_is_read_elsewhere_is_refused(
    address: str, rows: Any, reads: Reads
) -> None:
    """The message names the process that has it; afterwards nothing is missing."""
    table = reads.source.table
    insert = f"insert into {table} select n, repeat('x', 200) from generate_series(1, 60000) n"
    await rows.execute(insert)
    other = await connect(address)
    try:
        taken = asyncio.create_task(
            other.fetch(
                "select count(*) from pg_logical_slot_peek_binary_changes($1, null, null,"
                " 'proto_version', '1', 'publication_names', $2)",
                reads.source.slot,
                reads.source.slot,
            )
        )
        active = "select active from pg_replication_slots where slot_name = $1"
        async with asyncio.timeout(30):
            while not await rows.fetchval(active, reads.source.slot):
                assert not taken.done()
        with pytest.raises(WrongState, match="is active for PID"):
            await reads.changes()
        assert (await taken)[0][0] > 60_000
    finally:
        await other.close()
    found, _ = await reads.changes(most=10)
    assert len(found) == 10


async def test_what_cannot_be_read_is_refused_with_the_cause(address: str, rows: Any) -> None:
    """A view, an unlogged table, a missing table, no right, no free slot."""
    name = uuid.uuid4().hex[:12]
    await rows.execute(f"create unlogged table u_{name} (id int)")
    await rows.execute(f"create view v_{name} as select 1 as id")
    await rows.execute(f"create table t_{name} (id int primary key)")
    connection = await connect(address)

    def reader(table: str, number: int = 0) -> SlotReader:
        return SlotReader(connection, Source(f"f_{name}_{number}", "public", table, ALL))

    try:
        for table in (f"u_{name}", f"v_{name}"):
            with pytest.raises(WrongState, match="not a permanent table"):
                await reader(table).prepare()
        with pytest.raises(NotFound, match="has no table"):
            await reader("missing").prepare()
        await rows.execute(
            f"create role r_{name}; grant usage, create on schema public to r_{name}"
        )
        await connection.execute(f"set role r_{name}")
        with pytest.raises(WrongState, match="the role needs REPLICATION"):
            await reader(f"t_{name}").prepare()
        await connection.execute("reset role")
        made = [reader(f"t_{name}", number) for number in range(3)]
        await made[0].prepare()
        await made[1].prepare()
        with pytest.raises(WrongState, match="raise max_replication_slots"):
            await made[2].prepare()
        for each in made:
            await each.drop()
        kept = await rows.fetch("select 1 from pg_publication where pubname like $1", f"f_{name}%")
        assert not kept
    finally:
        await connection.close()


@pytest.mark.long
async def test_a_limit_of_the_log_loses_the_slot(tmp_path: Path) -> None:
    """The state says so, and a reading is refused as SLOT_LOST."""
    settings = {"max_slot_wal_keep_size": "16MB", "max_wal_size": "32MB", "min_wal_size": "32MB"}
    async with logical_postgres(tmp_path / "data", Suite.initial_database, **settings) as address:
        connection, rows = await connect(address), await asyncpg.connect(address)
        await rows.execute("create table t (id int primary key, text text)")
        await rows.execute("alter table t alter text set storage external")
        source = Source("flowmesh_t", "public", "t", ALL)
        reader = SlotReader(connection, source)
        await reader.prepare()
        state = await reader.state()
        assert state is not None
        assert (state.lost, state.keep_bytes_max) == (False, 16 << 20)
        for number in range(4):
            await rows.execute(
                "insert into t select n, repeat('x', 8000) from generate_series($1::int, $2) n",
                number * 4_000,
                number * 4_000 + 3_999,
            )
            await rows.execute("select pg_switch_wal()")
            await rows.execute("checkpoint")
        state = await reader.state()
        assert state is None or state.lost
        reads = Reads(connection, source)
        with pytest.raises(WrongState) as refused:
            await reads.changes()
        assert refused.value.reason == "SLOT_LOST"
        await reader.drop()
        await connection.close()
        await rows.close()
