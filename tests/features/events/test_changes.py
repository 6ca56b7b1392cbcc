"""Change triggers on a real PostgreSQL with logical replication."""

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from flowmesh.embedded import EmbeddedServers
from flowmesh.sdk import Client
from flowmesh.testing.logical import logical_postgres
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import applied, workflow

PATIENCE_S = 60
MIB = 1024 * 1024
pytestmark = pytest.mark.long


class Shop:
    """A suite, and a database of a user that its triggers may read."""

    def __init__(self, suite: Suite, rows: Any) -> None:
        self.suite, self.rows = suite, rows

    async def table(self, columns: str = "id int primary key, total int") -> str:
        name = f"orders_{uuid.uuid4().hex[:8]}"
        await self.rows.execute(f"create table {name} ({columns})")
        return name

    async def apply(self, name: str, **change: Any) -> None:
        """Apply a workflow whose output is its input."""
        trigger = {"id": "rows", "change": {"database": "shop", **change}}
        task = {"id": "done", "taskRef": "noop"}
        await applied(self.suite, workflow(name, task, triggers=[trigger], output="{{input}}"))

    async def follow(self, table: str, **change: Any) -> str:
        """Apply a workflow for a table; return its name once the slot is read."""
        name = f"on-{uuid.uuid4().hex[:8]}"
        await self.apply(name, table=table, **change)
        await self.phase(name, "READING")
        return name

    async def trigger(self, name: str) -> Any:
        answer = await self.suite.get(f"/api/v1/triggers?workflow={name}")
        triggers = answer.json["triggers"]
        return triggers[0] if triggers else {}

    async def set_paused(self, name: str, paused: bool) -> None:
        action = "pause" if paused else "resume"
        answer = await self.suite.post(f"/api/v1/workflows/{name}/triggers/rows:{action}")
        assert answer.status == 200, answer.text

    async def slot(self, name: str) -> Any:
        return (await self.trigger(name)).get("slot", {})

    async def phase(self, name: str, phase: str) -> None:
        async def there() -> bool:
            return bool((await self.slot(name)).get("phase") == phase)

        await until(f"the slot of {name} as {phase}", there, within_s=PATIENCE_S)

    async def problem(self, name: str, reason: str) -> str:
        """The problem of a slot, once it has this reason; an empty one if it has none."""
        found = ""

        async def has() -> bool:
            nonlocal found
            found = (await self.slot(name)).get("problem", "")
            return found.startswith(f"{reason}:") if reason else not found

        await until(f"{reason or 'no problem'} of {name}", has, within_s=PATIENCE_S)
        return found

    async def fired(self, name: str, count: int, within_s: float = PATIENCE_S) -> None:
        async def all_fired() -> bool:
            return bool((await self.trigger(name)).get("fired", 0) >= count)

        await until(f"{count} firings of {name}", all_fired, within_s=within_s)

    async def outputs(self, name: str, count: int, refused: int = 0) -> list[Any]:
        """The outputs of the executions of a workflow, once all of its firings have ended."""
        await self.fired(name, count + refused)
        assert (await self.trigger(name))["refused"] == refused
        async with Client(self.suite.grpc_address) as client:
            ids = [each.id async for each in client.list_executions(workflow_id=name)]
            assert len(ids) == count
            return [await client.handle(each).result(PATIENCE_S) for each in ids]

    async def slots(self) -> set[str]:
        rows = await self.rows.fetch("select slot_name from pg_replication_slots")
        return {row["slot_name"] for row in rows}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The server of the user."""
    folder = tmp_path_factory.mktemp("logical") / "data"
    async with logical_postgres(folder, Suite.initial_database) as address:
        yield address


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(
    tmp_path_factory: pytest.TempPathFactory, database: str, servers: EmbeddedServers
) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    file = folder / "databases.toml"
    file.write_text(
        f'[shop]\nurl = "{database}"\nchanges = true\n'
        f'[foreign]\nurl = "{database}"\nchanges = true\nnamespaces = ["other"]\n'
        f'[minimal]\nurl = "{servers.postgres}"\nchanges = true\n'
        '[away]\nurl = "postgresql://clerk@127.0.0.1:1/none"\nchanges = true\n'
    )
    armed = folder / "points"
    environment = {"FLOWMESH_DATABASES": str(file), "FLOWMESH_FAILPOINTS": f"@{armed}"}
    async with Suite(folder / "data", environment=environment) as suite:
        rows = await asyncpg.connect(database)
        yield Shop(suite, rows)
        await rows.close()


@pytest.mark.feature("S1-179")
async def test_each_committed_change_starts_an_execution(shop: Shop) -> None:
    """Inserts, updates and deletes, each once; nothing of what is rolled back."""
    table = await shop.table()
    name = await shop.follow(table)
    await shop.rows.execute(f"insert into {table} values (1, 10), (2, 20)")
    transaction = shop.rows.transaction()
    await transaction.start()
    await shop.rows.execute(f"insert into {table} values (3, 30)")
    await transaction.rollback()
    await shop.rows.execute(f"update {table} set total = 11 where id = 1")
    await shop.rows.execute(f"delete from {table} where id = 2")
    found = await shop.outputs(name, 4)
    changes = {(each["operation"], str(each["before"]), str(each["after"])) for each in found}
    assert changes == {
        ("insert", "None", "{'id': 1, 'total': 10}"),
        ("insert", "None", "{'id': 2, 'total': 20}"),
        ("update", "None", "{'id': 1, 'total': 11}"),
        ("delete", "{'id': 2}", "None"),
    }


@pytest.mark.feature("S1-179")
async def test_operations_filter_and_input_select_changes(shop: Shop) -> None:
    """A trigger shows what it reads; a change without a valid input is refused and counted."""
    table = await shop.table("id int primary key, total int, doc jsonb")
    given = {"id": "{{event.data.after.id}}", "city": "{{event.data.after.doc.city}}"}
    condition = "event.data.after.total != 5"
    name = await shop.follow(table, operations=["INSERT"], filter=condition, input=given)
    city = """'{"city": "Rome"}'"""
    values = f"(1, 4, {city}), (2, 5, {city}), (3, 6, null), (4, 8, {city})"
    await shop.rows.execute(f"insert into {table} values {values}")
    await shop.rows.execute(f"update {table} set total = 100")
    outputs = await shop.outputs(name, 2, refused=1)
    assert sorted((each["id"], each["city"]) for each in outputs) == [(1, "Rome"), (4, "Rome")]
    shown = await shop.trigger(name)
    assert (shown["kind"], shown["table"], shown["operations"]) == ("change", table, ["INSERT"])
    assert (shown["database"], shown["filter"]) == ("shop", condition)
    listed = await command(shop.suite, "trigger", "list", name)
    assert f"slot {shown['slot']['name']}, reading, lag" in listed.out
    exported = (await shop.suite.get("/metrics")).text
    assert re.search(rf'^flowmesh_event_change_lag_bytes{{[^}}]*"{name}"', exported, re.MULTILINE)


@pytest.mark.feature("S1-179")
async def test_values_keep_their_types(shop: Shop) -> None:
    """JSON where JSON has the type; otherwise text, also of types that nothing knows."""
    kind = f"mood_{uuid.uuid4().hex[:8]}"
    await shop.rows.execute(f"create type {kind} as enum ('happy', 'sad')")
    columns = (
        f"id bigint primary key, mood {kind}, ok bool, ratio float8, price numeric, doc jsonb,"
        " raw bytea, at timestamptz, tags text[], grid int[][], place point, gone text"
    )
    table = await shop.table(columns)
    name = await shop.follow(table)
    await shop.rows.execute(
        f"""insert into {table} values (9007199254740993, 'happy', true, 'NaN', 1.10,
        '{{"a": [1, null]}}', '\\x00ff', '2026-01-02 03:04:05.5+01',
        array['a,"b"', null, '}}'], '{{{{1,2}},{{3,4}}}}', '(1,2)', null)"""
    )
    (change,) = await shop.outputs(name, 1)
    assert change["after"] == {
        "id": 9007199254740993,
        "mood": "happy",
        "ok": True,
        "ratio": "NaN",
        "price": "1.10",
        "doc": {"a": [1, None]},
        "raw": "AP8=",
        "at": "2026-01-02 02:04:05.5+00",
        "tags": ['a,"b"', None, "}"],
        "grid": [[1, 2], [3, 4]],
        "place": "(1,2)",
        "gone": None,
    }


@pytest.mark.feature("S1-179")
async def test_large_values_that_did_not_change_are_marked(shop: Shop) -> None:
    """Absent and named; with the full replica identity they are there, and the former row too."""
    table = await shop.table("id int primary key, n int, large text")
    await shop.rows.execute(f"alter table {table} alter large set storage external")
    name = await shop.follow(table, operations=["UPDATE"])
    await shop.rows.execute(f"insert into {table} values (1, 1, repeat('x', 5000))")
    await shop.rows.execute(f"update {table} set n = 2")
    (change,) = await shop.outputs(name, 1)
    assert (change["after"], change["unchanged"]) == ({"id": 1, "n": 2}, ["large"])
    await shop.rows.execute(f"alter table {table} replica identity full")
    await shop.rows.execute(f"update {table} set n = 3")
    found = {each["after"]["n"]: each for each in await shop.outputs(name, 2)}
    assert len(found[3]["after"]["large"]) == 5_000
    assert (found[3]["before"]["n"], found[3]["unchanged"]) == (2, [])


@pytest.mark.feature("S1-179")
@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.slow)])
async def test_no_change_is_lost_or_repeated_by_kills(shop: Shop, kills: int) -> None:
    """The suite is killed at any moment while transactions of several rows are committed."""
    table = await shop.table()
    name = await shop.follow(table, input="{{event.data.after.id}}")
    numbers = iter(range(10_000))
    stopped = asyncio.Event()
    written: list[int] = []

    async def write() -> None:
        while not stopped.is_set():
            batch = [(next(numbers), 0) for _ in range(5)]
            await shop.rows.executemany(f"insert into {table} values ($1, $2)", batch)
            written.extend(number for number, _ in batch)
            await shop.rows.execute("select pg_sleep(0.1)")

    writing = asyncio.create_task(write())
    for killed in range(kills):
        await shop.fired(name, 20 * killed + 10)
        await shop.suite.kill()
        await shop.suite.start()
    stopped.set()
    await writing
    outputs = await shop.outputs(name, len(written))
    assert Counter(outputs) == Counter(written)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["event.changes_stored", "event.changes_advanced"])
async def test_a_kill_around_the_advance_repeats_nothing(shop: Shop, point: str) -> None:
    """Killed between the storage of the firings and the end of the slot's advance."""
    table = await shop.table()
    name = await shop.follow(table, input="{{event.data.after.id}}")
    await shop.suite.kill()
    await shop.rows.execute(f"insert into {table} select n, 0 from generate_series(1, 20) as n")
    armed = shop.suite.data_dir.parent / "points"
    armed.write_text(f"{point}=kill9")
    await shop.suite.start()

    async def hit() -> bool:
        return armed.with_name("points.hit").exists()

    await until(f"the kill at {point}", hit, within_s=PATIENCE_S)
    armed.with_name("points.hit").unlink()
    await shop.suite.kill()
    await shop.suite.start()
    assert sorted(await shop.outputs(name, 20)) == list(range(1, 21))


@pytest.mark.feature("S1-179")
async def test_a_paused_trigger_does_not_fill_the_disk_of_the_database(shop: Shop) -> None:
    """Its slot is dropped beyond the bound; it says so, and begins anew when it is resumed."""
    table, other = await shop.table(), await shop.table("id int, text text")
    name = await shop.follow(table, retainBytesMax=16 * MIB, input="{{event.data.after.id}}")
    slot = (await shop.slot(name))["name"]
    await shop.set_paused(name, True)
    await shop.rows.execute(f"alter table {other} alter text set storage external")
    await shop.rows.execute(f"insert into {table} values (1, 1)")
    insert = f"insert into {other} select n, repeat('x', 8000) from generate_series(1, 3000) n"
    await shop.rows.execute(insert)
    assert "retainBytesMax" in await shop.problem(name, "SLOT_LOST")
    assert slot not in await shop.slots()
    await shop.set_paused(name, False)
    await shop.phase(name, "READING")
    assert (await shop.trigger(name))["lastError"].startswith("SLOT_LOST")
    await shop.rows.execute(f"insert into {table} values (2, 2)")
    assert await shop.outputs(name, 1) == [2]


@pytest.mark.feature("S1-179")
async def test_a_slot_that_the_operator_drops_is_lost_until_the_trigger_is_resumed(
    shop: Shop,
) -> None:
    """Nothing is read meanwhile, since changes are missing."""
    table = await shop.table()
    name = await shop.follow(table, input="{{event.data.after.id}}")
    await shop.rows.execute("select pg_drop_replication_slot($1)", (await shop.slot(name))["name"])
    await shop.problem(name, "SLOT_LOST")
    await shop.rows.execute(f"insert into {table} values (1, 1)")
    await shop.set_paused(name, True)
    await shop.phase(name, "LOST")
    await shop.set_paused(name, False)
    await shop.phase(name, "READING")
    await shop.rows.execute(f"insert into {table} values (2, 2)")
    assert await shop.outputs(name, 1) == [2]


async def test_the_slot_goes_with_its_trigger(shop: Shop) -> None:
    """So does the publication that was made for it."""
    table = await shop.table()
    name = await shop.follow(table)
    slot = (await shop.slot(name))["name"]
    assert slot in await shop.slots()
    answer = await shop.suite.delete(f"/api/v1/workflows/{name}")
    assert answer.status in (200, 204), answer.text

    async def dropped() -> bool:
        kept = await shop.rows.fetch("select pubname from pg_publication")
        return slot not in await shop.slots() | {row["pubname"] for row in kept}

    await until("the end of the slot and its publication", dropped, within_s=PATIENCE_S)


async def test_a_table_is_altered_dropped_and_made_again(shop: Shop) -> None:
    """A new column is in the next change; a table that is gone is named, and read again later."""
    table = await shop.table()
    name = await shop.follow(table, input="{{event.data.after}}")
    await shop.rows.execute(f"insert into {table} values (1, 1)")
    await shop.rows.execute(f"alter table {table} add note text, drop total")
    await shop.rows.execute(f"insert into {table} values (2, 'new')")
    await shop.rows.execute(f"drop table {table}")
    found = await shop.outputs(name, 2)
    assert {"id": 1, "total": 1} in found
    assert {"id": 2, "note": "new"} in found
    assert table in await shop.problem(name, "TABLE_NOT_FOUND")
    await shop.rows.execute(f"create table {table} (id int primary key, total int)")
    await shop.problem(name, "")
    await shop.rows.execute(f"insert into {table} values (3, 3)")
    assert {"id": 3, "total": 3} in await shop.outputs(name, 3)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rows", [5_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
async def test_a_large_transaction_is_read_in_parts(shop: Shop, rows: int) -> None:
    """Its changes are all looked at, in bounded memory; those that pass fire once each."""
    table = await shop.table()
    condition = f"event.data.after.id % {rows // 5} == 0"
    name = await shop.follow(table, filter=condition, input="{{event.data.after.id}}")
    insert = f"insert into {table} select n, 0 from generate_series(1, {rows}) n"
    await shop.rows.execute(insert)
    await shop.fired(name, 5, within_s=600)
    found = await shop.outputs(name, 5)
    assert sorted(found) == [rows // 5 * part for part in range(1, 6)]


async def test_problems_of_a_database_are_shown_at_the_trigger(shop: Shop) -> None:
    """An unknown database, a foreign namespace, no logical log, no server, no table."""
    problems = {
        "unknown": ("DATABASE_NOT_FOUND", "has no [unknown] with changes = true"),
        "foreign": ("FORBIDDEN", "may not be used by default"),
        "minimal": ("CHANGES_REFUSED", "wal_level"),
        "away": ("CHANGES_REFUSED", "cannot be read"),
        "shop": ("TABLE_NOT_FOUND", "no table public.missing"),
    }
    names = {}
    for database in problems:
        names[database] = f"wrong-{database}-{uuid.uuid4().hex[:6]}"
        await shop.apply(names[database], database=database, table="missing")
    for database, (reason, text) in problems.items():
        assert text in await shop.problem(names[database], reason)


async def test_a_given_publication_must_have_the_table_and_the_operations(shop: Shop) -> None:
    """Otherwise the trigger says what is missing; it is not changed or dropped."""
    table, publication = await shop.table(), f"given_{uuid.uuid4().hex[:8]}"
    name = f"on-{uuid.uuid4().hex[:8]}"
    await shop.apply(name, table=table, publication=publication)
    assert "no publication" in await shop.problem(name, "CHANGES_REFUSED")
    await shop.rows.execute(f"create publication {publication} with (publish = 'insert')")
    await until_problem(shop, name, f"has no table public.{table}")
    await shop.rows.execute(f"alter publication {publication} add table {table}")
    await until_problem(shop, name, "leaves out each delete")
    given = {"operations": ["INSERT"], "input": "{{event.data.after.id}}"}
    await shop.apply(name, table=table, publication=publication, **given)
    await shop.phase(name, "READING")
    await shop.rows.execute(f"insert into {table} values (7, 0)")
    assert await shop.outputs(name, 1) == [7]
    answer = await shop.suite.delete(f"/api/v1/workflows/{name}")
    assert answer.status in (200, 204), answer.text
    kept = await shop.rows.fetch("select pubname from pg_publication")
    assert publication in {row["pubname"] for row in kept}


async def test_a_change_signals_the_execution_that_its_key_has(shop: Shop) -> None:
    """The first change of an order starts it, the second reaches the same one as a signal."""
    table = await shop.table()
    name = f"on-{uuid.uuid4().hex[:8]}"
    given = {"id": "{{event.data.after.id}}"}
    change = {"database": "shop", "table": table, "signal": "row", "input": given}
    document = workflow(
        name,
        {"id": "first", "wait": {"event": "row"}},
        {"id": "second", "wait": {"event": "row"}, "dependsOn": ["first"]},
        triggers=[{"id": "rows", "change": change}],
        start={"key": "{{input.id}}", "concurrency": 1, "onConflict": "JOIN"},
        output=["{{tasks.first.output}}", "{{tasks.second.output}}"],
    )
    await applied(shop.suite, document)
    await shop.phase(name, "READING")
    await shop.rows.execute(f"insert into {table} values (7, 0)")
    await shop.fired(name, 1)
    await shop.rows.execute(f"update {table} set total = 5")
    await shop.fired(name, 2)
    (output,) = (await shop.outputs(name, 1))[:1]
    assert [each["type"] for each in output] == ["row.inserted", "row.updated"]


async def until_problem(shop: Shop, name: str, text: str) -> None:
    async def has() -> bool:
        return text in (await shop.slot(name)).get("problem", "")

    await until(f"{text!r} at {name}", has, within_s=PATIENCE_S)
