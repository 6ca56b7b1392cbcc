"""The database executors on real databases: what they do, what they refuse, how they fail."""

import asyncio
import sqlite3
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import orjson
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.embedded import EmbeddedServers
from flowmesh.executors.base import Attempt, Step
from flowmesh.executors.database import database_executor
from flowmesh.executors.databases import Connections
from flowmesh.executors.failures import TaskFailure
from flowmesh.testing.databases import fresh_database
from flowmesh.testing.polling import done
from tests.integration.worker.orchestrator import spec_of, task_of

Run = Callable[..., Awaitable[Json]]
KINDS = ["select", "insert", "update", "delete"]
TABLE = "create table orders (id integer primary key, name text not null, total numeric)"
INSERT = "insert into orders (id, name, total) values (:id, :name, :total)"


def connection(url: str, **more: Json) -> str:
    """A table of the file that names connections."""
    members = {"url": url, "statements": KINDS, "tables": ["orders"], **more}
    return "\n".join(["[shop]", *(f"{k} = {orjson.dumps(v).decode()}" for k, v in members.items())])


def runner(connections: Connections) -> Run:
    executor = database_executor(connections, lambda: 0)

    async def run(
        kind: str, statement: str, value: Json = None, *, timeout_ms: int = 5_000, **config: Json
    ) -> Json:
        config = {"connection": "shop", "statement": statement, **config}
        spec = spec_of(f"db.{kind}", config)
        step = executor(spec, config)
        assert isinstance(step, Step)
        task = task_of("t", spec, value, idempotency_key="e/n")
        output = await step.run(Attempt(task, orjson.dumps(value), timeout_ms))
        return orjson.loads(output.data)

    return run


@pytest.fixture(params=["postgres", "sqlite"])
async def url(
    request: pytest.FixtureRequest, tmp_path: Path, servers: EmbeddedServers
) -> AsyncIterator[str]:
    """A database of each kind with a table of orders."""
    if request.param == "sqlite":
        with sqlite3.connect(tmp_path / "shop.db") as opened:
            opened.execute(TABLE)
            opened.execute("create table secrets (id integer)")
        yield "sqlite:shop.db"
        return
    async with fresh_database(servers.postgres) as address:
        server = await asyncpg.connect(address)
        await server.execute(f"{TABLE}; create table secrets (id integer)")
        await server.close()
        yield address


@pytest.fixture
async def run(url: str, tmp_path: Path) -> AsyncIterator[Run]:
    file = tmp_path / "databases.toml"
    file.write_text(connection(url))
    async with Connections.read(str(file)) as connections:
        yield runner(connections)


async def failure(call: Awaitable[Json]) -> TaskFailure:
    with pytest.raises(TaskFailure) as caught:
        await call
    return caught.value


async def test_rows_are_inserted_read_updated_and_deleted(run: Run) -> None:
    """The four common operations, with values out of the input."""
    values = {"id": "{{input.id}}", "name": "{{input.name}}", "total": "{{input.total}}"}
    for number in (1, 2):
        order = {"id": number, "name": "O'Neill; drop table orders; --", "total": 10.5}
        assert (await run("exec", INSERT, order, parameters=values))["count"] == 1
    changed = await run(
        "exec", "update orders set name = :n where id >= :id", parameters={"n": "new", "id": 1}
    )
    assert changed == {"rows": [], "count": 2}
    gone = await run("exec", "delete from orders where id = :id returning id", parameters={"id": 1})
    assert gone == {"rows": [{"id": 1}], "count": 1}
    found = await run("query", "select id, name from orders order by id")
    assert found == {"rows": [{"id": 2, "name": "new"}], "count": 1}


async def test_a_value_can_never_become_sql(run: Run) -> None:
    """Quotes, comments and statements in values are values."""
    for number, text in enumerate(["'", '"; --', "1; delete from orders", "\\'", ":id", "$1"]):
        await run("exec", INSERT, parameters={"id": number, "name": text, "total": None})
        answer = await run("query", "select id from orders where name = :n", parameters={"n": text})
        assert [row["id"] for row in answer["rows"]] == [number]


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("query", "delete from orders"),
        ("query", "with a as (delete from orders returning *) select * from a"),
        ("exec", "select * from orders"),
        ("query", "select * from secrets"),
        ("exec", "delete from secrets"),
        ("query", "select * from pg_shadow"),
        ("query", "select * from sqlite_master"),
        ("query", "select pg_sleep(10)"),
        ("query", "select load_extension('x')"),
        ("exec", "delete from orders; delete from secrets"),
        ("exec", "drop table orders"),
    ],
)
async def test_what_a_connection_is_not_for_is_refused(run: Run, kind: str, statement: str) -> None:
    """Kinds, tables and functions that nobody granted; the table is as it was."""
    await run("exec", INSERT, parameters={"id": 1, "name": "a", "total": 1})
    refused = await failure(run(kind, statement))
    assert (refused.class_, refused.details["reason"]) == ("ValidationError", "SQL_FORBIDDEN")
    assert (await run("query", "select * from orders"))["count"] == 1


async def test_an_identifier_is_one_of_those_listed(run: Run) -> None:
    """A column is chosen by the input, out of what the definition has."""
    for number, name in ((1, "b"), (2, "a")):
        await run("exec", INSERT, parameters={"id": number, "name": name, "total": 1})
    sort = {"by": {"value": "{{input.by}}", "of": ["id", "name"]}}
    text = "select id from orders order by :by"
    by_name = await run("query", text, {"by": "name"}, identifiers=sort)
    assert [row["id"] for row in by_name["rows"]] == [2, 1]
    refused = await failure(run("query", text, {"by": "total"}, identifiers=sort))
    assert "not one of id, name" in refused.message


async def test_more_rows_than_allowed_fail_and_are_not_cut(run: Run) -> None:
    """The message says what to do."""
    for number in range(4):
        await run("exec", INSERT, parameters={"id": number, "name": "n", "total": 1})
    refused = await failure(run("query", "select * from orders", maxRows=3))
    assert refused.details["reason"] == "RESULT_TOO_LARGE"
    kept = await failure(run("exec", "delete from orders returning id", maxRows=3))
    assert kept.details["reason"] == "RESULT_TOO_LARGE"
    assert (await run("query", "select * from orders"))["count"] == 4


async def test_errors_of_the_statement_are_not_worth_a_retry(run: Run) -> None:
    """A constraint, a missing column and a wrong value are ValidationErrors."""
    values = {"id": 1, "name": "a", "total": 1}
    await run("exec", INSERT, parameters=values)
    for call in (
        run("exec", INSERT, parameters=values),
        run("query", "select nothing from orders"),
        run("exec", INSERT, parameters={**values, "id": 2, "name": None}),
    ):
        assert (await failure(call)).class_ == "ValidationError"
    assert "parameter" in (await failure(run("exec", INSERT, parameters={}))).message


async def test_the_idempotency_key_makes_an_effect_happen_once(run: Run) -> None:
    """It is a parameter that is always there, and the same on every attempt."""
    text = "insert into orders (id, name) values (1, :idempotency_key) on conflict do nothing"
    assert [(await run("exec", text))["count"] for _ in range(2)] == [1, 0]
    assert (await run("query", "select name from orders"))["rows"] == [{"name": "e/n"}]


async def test_a_statement_over_its_time_is_broken_off(run: Run, url: str) -> None:
    """It is gone on the server too, and the next one runs."""
    heavy = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000000) "
        "select count(*) as c from n"
    )
    assert (await failure(run("query", heavy, timeout_ms=300))).class_ == "Timeout"
    assert (await run("query", "select 1 as one", timeout_ms=5_000))["rows"] == [{"one": 1}]


async def test_values_that_json_has_not_are_exact_text(database: str, tmp_path: Path) -> None:
    """Decimals, instants, UUIDs, bytes and JSON of PostgreSQL, in and out."""
    file = tmp_path / "databases.toml"
    file.write_text(connection(database, tables=["*"]))
    given = {
        "n": "12345678901234567890.0001",
        "t": "2024-05-06T07:08:09.123456Z",
        "u": "6f4a3b62-2a2e-4b5e-8f3e-0d4c2a4b6c8d",
        "j": {"deep": [1, None]},
        "b": "AAEC",
        "l": [1, 2],
    }
    text = (
        "select :n::numeric n, :t::timestamptz t, :u::uuid u, :j::jsonb j, :b::bytea b, "
        ":l::int[] l, 9007199254740993::bigint big"
    )
    async with Connections.read(str(file)) as connections:
        answer = await runner(connections)("query", text, parameters=given)
    row = answer["rows"][0]
    assert row["t"] == "2024-05-06 07:08:09.123456+00"
    assert {key: row[key] for key in "nujbl"} == {key: given[key] for key in "nujbl"}
    assert row["big"] == 9007199254740993


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("'NaN'::float8", "NaN"),
        ("array['Infinity', '-Infinity', '1.5']::float8[]", ["Infinity", "-Infinity", 1.5]),
        ("""'{"n": 12345678901234567890}'::jsonb""", {"n": 12345678901234567890}),
        ("people", {"id": 1, "name": "ada"}),
        ("array[people]", [{"id": 1, "name": "ada"}]),
    ],
)
async def test_no_value_changes_on_the_way(
    database: str, tmp_path: Path, value: str, found: Json
) -> None:
    """Numbers that JSON has not are text, rows are objects."""
    assert await answered(database, tmp_path, value) == found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("""'{"n": [123456789012345678901]}'::jsonb""", "found.n[0] is a number"),
        ("orders", "a row in one value that cannot be read"),
        ("""'a'::"char\"""", "found is of a type that JSON lacks"),
        ("int4range(1, 5)", "found is of a type that JSON lacks"),
        ("array[int4range(1, 5)]", "found[0] is of a type that JSON lacks"),
    ],
)
async def test_a_value_that_cannot_be_kept_is_refused(
    database: str, tmp_path: Path, value: str, said: str
) -> None:
    """The message has its place, and what would be right."""
    failed = await failure(answered(database, tmp_path, value))
    assert (failed.class_, said in failed.message) == ("ValidationError", True), failed.message


async def answered(database: str, tmp_path: Path, value: str) -> Json:
    """What PostgreSQL answers for a value, beside a row of each of two tables."""
    file = tmp_path / "databases.toml"
    file.write_text(connection(database, tables=["*"], functions=["int4range"]))
    other = await asyncpg.connect(database)
    await other.execute(f"{TABLE}; insert into orders values (1, 'ada', 2.50)")
    await other.execute("create table people as select id, name from orders")
    await other.close()
    async with Connections.read(str(file)) as connections:
        answer = await runner(connections)("query", f"select {value} as found from orders, people")
    return answer["rows"][0]["found"]


async def test_a_silent_database_blocks_no_task_beyond_its_timeout(
    database: str, tmp_path: Path
) -> None:
    """Neither the statement that runs nor the next outlives its time."""
    directory = parse_qs(urlsplit(database).query)["host"][0]
    begun, silent = asyncio.Event(), asyncio.Event()

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.5432")

        async def hand_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                if b"pg_sleep" in data:
                    begun.set()
                if not silent.is_set():
                    target.write(data)
            target.close()

        await asyncio.gather(hand_on(reader, requests), hand_on(answers, writer))

    server = await asyncio.start_server(between, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    file = tmp_path / "databases.toml"
    parts = urlsplit(database)
    address = f"postgresql://flowmesh:{parts.password}@127.0.0.1:{port}{parts.path}"
    file.write_text(connection(address, functions=["pg_sleep"], connections=1))
    async with server, Connections.read(str(file)) as connections, asyncio.timeout(10):
        run = runner(connections)
        first = asyncio.create_task(failure(run("query", "select pg_sleep(9)", timeout_ms=1_000)))
        await begun.wait()
        silent.set()
        assert (await first).class_ == "Timeout"
        assert (await failure(run("query", "select 1 as one", timeout_ms=200))).class_ == "Timeout"
        silent.clear()
        assert (await run("query", "select 1 as one"))["count"] == 1


async def test_an_answer_is_measured_while_it_comes(database: str, tmp_path: Path) -> None:
    """What is beyond its bound in bytes is not read to its end first."""
    file = tmp_path / "databases.toml"
    file.write_text(connection(database, tables=["*"], functions=["generate_series", "repeat"]))
    text = "select repeat('x', 200000) as x from generate_series(1, 900)"
    async with Connections.read(str(file)) as connections:
        run = runner(connections)
        await run("query", "select 1 as one")
        tracemalloc.start()
        failed = await failure(run("query", text, timeout_ms=30_000))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert failed.details["reason"] == "RESULT_TOO_LARGE"
    assert peak < 64 * 1024 * 1024


async def test_a_database_that_is_away_is_worth_a_retry(tmp_path: Path) -> None:
    """And the message names no address."""
    file = tmp_path / "databases.toml"
    file.write_text(connection("postgresql://me:secret@127.0.0.1:1/x"))
    async with Connections.read(str(file)) as connections:
        failed = await failure(runner(connections)("query", "select 1"))
    assert failed.class_ == "NetworkError"
    assert "secret" not in failed.message
    assert "127" not in failed.message


async def test_conflicts_of_transactions_are_worth_a_retry(database: str, tmp_path: Path) -> None:
    """A deadlock is nobody's mistake."""
    file = tmp_path / "databases.toml"
    file.write_text(connection(database, tables=["*"]))
    other = await asyncpg.connect(database)
    await other.execute("create table orders (id int); insert into orders values (1), (2)")
    async with Connections.read(str(file)) as connections, asyncio.timeout(20):
        run = runner(connections)
        both = (
            "with a as (select id from orders where id = 2 for update), "
            "b as (update orders set id = 1 where id = 1 and exists (select 1 from a) "
            "returning id) "
            "select * from b"
        )
        held = other.transaction()
        await held.start()
        await other.execute("select * from orders where id = 1 for update")
        waits = asyncio.create_task(failure(run("exec", both, timeout_ms=15_000)))
        while await other.fetchval("select count(*) from pg_locks where not granted") == 0:
            assert not waits.done()
        with_lock = other.execute("select * from orders where id = 2 for update")
        results = await asyncio.gather(waits, with_lock, return_exceptions=True)
        await held.rollback()
    await other.close()
    refused = results[0]
    # One of the two had to give way.
    if isinstance(refused, TaskFailure):
        assert (refused.class_, refused.details["sqlState"]) == ("ServerError", "40P01")
    else:
        assert isinstance(results[1], asyncpg.DeadlockDetectedError)


async def test_a_locked_file_blocks_no_other_task(tmp_path: Path) -> None:
    """Statements that wait for it leave the threads of others alone, and are canceled at once."""
    file = tmp_path / "databases.toml"
    file.write_text(connection("sqlite:shop.db", connections=50))
    text = "insert into orders (id, name) values (1, 'ada')"
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
        other.execute(TABLE)
        async with Connections.read(str(file)) as connections, asyncio.timeout(20):
            run = runner(connections)
            other.execute("begin immediate")
            calls = [asyncio.ensure_future(run("exec", text, timeout_ms=60_000)) for _ in range(40)]
            await asyncio.sleep(0)
            await asyncio.to_thread(lambda: None)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            other.execute("rollback")
            assert (await run("exec", text))["count"] == 1


async def test_a_commit_that_waits_for_readers_can_be_canceled(tmp_path: Path) -> None:
    """It stops nothing else meanwhile, and leaves nothing behind."""
    file = tmp_path / "databases.toml"
    file.write_text(connection("sqlite:shop.db"))
    insert = "insert into orders (id, name) values (1, 'ada')"
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
        other.execute(TABLE)
        async with Connections.read(str(file)) as connections, asyncio.timeout(20):
            run = runner(connections)
            other.execute("begin")
            other.execute("select * from orders").fetchall()
            call = asyncio.create_task(failure(run("exec", insert, timeout_ms=10_000)))
            # The journal is there from the insert on.
            await done("the insert", (tmp_path / "shop.db-journal").exists, within_s=5)
            began = time.perf_counter()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert time.perf_counter() - began < 2
            other.execute("rollback")
            assert (await run("exec", insert))["count"] == 1


async def test_other_namespaces_have_no_such_connection(tmp_path: Path) -> None:
    """As if it were not there."""
    file = tmp_path / "databases.toml"
    file.write_text(connection("sqlite:x.db", namespaces=["other"]))
    async with Connections.read(str(file)) as connections:
        failed = await failure(runner(connections)("query", "select 1"))
    assert failed.details["reason"] == "CONNECTION_UNKNOWN"


@pytest.mark.parametrize(
    "text",
    ["[shop]\nurl = 'mysql://x'", "[shop]\nurl = 'sqlite:x'", "shop = 1", "[shop", "[a]\nx = 1"],
)
def test_a_wrong_file_of_connections_is_refused_with_its_place(text: str, tmp_path: Path) -> None:
    """When the worker starts, not when a task needs it."""
    file = tmp_path / "databases.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"databases\.toml"):
        Connections.read(str(file))
