"""The outbox and the sources of changes in a database of users, on a real PostgreSQL."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from flowmesh import outbox
from flowmesh.changes import SlotReader, Source, connect
from flowmesh.errors import NotFound, WrongState

ALL = frozenset({"insert", "update", "delete"})
ROWS = (
    "select kind, namespace, target, name, body::text, request_id from flowmesh.outbox order by id"
)


@pytest_asyncio.fixture(loop_scope="session")
async def rows(database: str) -> AsyncIterator[Any]:
    connection = await connect(database)
    yield connection
    await connection.close()


class Cursor:
    """A cursor of the DB-API that keeps its statements for asyncpg."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, Any]] = []

    def execute(self, query: str, parameters: Any = (), /) -> None:
        self.statements.append((query, parameters))

    def fetchone(self) -> Any:
        return ("r-9",)


async def test_requests_are_rows_of_the_transaction(rows: Any) -> None:
    """A start, a signal and an event; those of a transaction that fails are gone."""
    await outbox.install(rows)
    async with rows.transaction():
        await outbox.start(rows, "order", request_id="r-1")
        await outbox.signal(rows, "e-1", "paid", {"sum": 5}, request_id="r-2", namespace="shop")
        await outbox.publish(rows, "order.paid", [1], source="shop", event_id="r-3")
    failing = rows.transaction()
    await failing.start()
    await outbox.start(rows, "order")
    await failing.rollback()
    assert [tuple(each) for each in await rows.fetch(ROWS)] == [
        ("start", "default", "order", "", "{}", "r-1"),
        ("signal", "shop", "e-1", "paid", '{"sum": 5}', "r-2"),
        ("publish", "default", "order.paid", "shop", "[1]", "r-3"),
    ]
    state = await outbox.state(rows)
    assert (state.waiting, state.retried, state.refused) == (3, 0, 0)
    assert state.oldest_s > 0


async def test_a_role_may_write_requests_and_read_none(database: str, rows: Any) -> None:
    """A name that needs quotes; a repeated installation changes nothing."""
    await rows.execute('drop role if exists "Shop ""1"')
    await rows.execute('create role "Shop ""1"')
    try:
        await outbox.install(rows)
        await outbox.install(rows, ('Shop "1',))
        await rows.execute('set role "Shop ""1"')
        assert await outbox.start(rows, "order", {"id": 7}, request_id="r-1") == "r-1"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await rows.fetch(ROWS)
    finally:
        await rows.execute("reset role")
        await rows.execute('drop owned by "Shop ""1"')
        await rows.execute('drop role "Shop ""1"')


def test_a_cursor_gets_one_statement() -> None:
    """With the parameters of the style `format`."""
    cursor = Cursor()
    assert outbox.start_with(cursor, "order", {"id": 7}, namespace="shop") == "r-9"
    assert outbox.start_with(cursor, "order") == "r-9"
    statement = "select flowmesh.start(%s, %s::jsonb, %s, %s)"
    assert cursor.statements == [
        (statement, ("order", '{"id":7}', None, "shop")),
        (statement, ("order", "{}", None, "default")),
    ]


def reader(rows: Any, table: str, **more: Any) -> SlotReader:
    return SlotReader(rows, Source(**{**_SOURCE, "table": table, **more}))


_SOURCE: dict[str, Any] = {"slot": "flowmesh_s", "schema": "public", "operations": ALL}


async def published(rows: Any) -> list[tuple[str, str]]:
    found = await rows.fetch("select pubname, tablename from pg_publication_tables order by 1, 2")
    return [tuple(each) for each in found]


async def test_a_table_is_published_again_if_it_was_made_anew(rows: Any) -> None:
    """A dropped publication is made at the preparation only; a drop removes it."""
    await rows.execute("create table orders (id int primary key)")
    source = reader(rows, "orders")
    with pytest.raises(WrongState, match="the publication flowmesh_s was dropped") as lost:
        await source.publish_table(create=False)
    assert lost.value.reason == "SLOT_LOST"
    await source.publish_table(create=True)
    await rows.execute("drop table orders; create table orders (id int primary key)")
    assert await published(rows) == []
    await source.publish_table(create=False)
    await source.publish_table(create=False)
    assert await published(rows) == [("flowmesh_s", "orders")]
    assert await source.state() is None
    await source.drop()
    await source.drop()
    assert await published(rows) == []


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"table": "missing"}, "the database has no table public.missing"),
        ({"table": "unlogged"}, "not a permanent table"),
        ({"table": "seen"}, "not a permanent table"),
        ({"publication": "none"}, "the database has no publication none"),
        ({"publication": "empty"}, "publication empty has no table public.orders"),
        ({"publication": "inserts"}, "publication inserts leaves out each delete"),
        ({"publication": "inserts", "operations": frozenset({"insert"})}, ""),
    ],
)
async def test_a_source_is_checked(rows: Any, source: dict[str, Any], problem: str) -> None:
    """The table, and a publication of the operator of the database."""
    await rows.execute(
        "create table orders (id int primary key); create unlogged table unlogged (id int);"
        " create view seen as select 1 as id; create publication empty;"
        " create publication inserts for table orders with (publish = 'insert')"
    )
    checked = reader(rows, source.pop("table", "orders"), **source)
    if not problem:
        await checked.publish_table(create=False)
        await checked.drop()
        assert ("inserts", "orders") in await published(rows)
        return
    with pytest.raises((WrongState, NotFound), match=problem):
        await checked.publish_table(create=True)


async def test_a_database_without_logical_replication_is_refused(rows: Any) -> None:
    """With the setting to change; a slot that does not exist is lost."""
    await rows.execute("create table orders (id int primary key)")
    with pytest.raises(WrongState, match="wal_level = minimal; set it to logical"):
        await reader(rows, "orders").prepare()
    with pytest.raises(WrongState) as lost:
        async with reader(rows, "orders").peek() as reading:
            _ = [each async for each in reading.changes()]
    assert lost.value.reason == "SLOT_LOST"


async def test_a_role_without_rights_is_refused(rows: Any) -> None:
    """The message names the rights that it needs."""
    await rows.execute("drop role if exists flowmesh_guest")
    await rows.execute("create role flowmesh_guest; create table orders (id int primary key)")
    source = reader(rows, "orders")
    await source.publish_table(create=True)
    await rows.execute("set role flowmesh_guest")
    with pytest.raises(WrongState, match="the role needs REPLICATION"):
        await source.drop()
    await rows.execute("reset role; drop role flowmesh_guest")
    await source.drop()
