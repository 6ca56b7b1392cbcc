"""Values that queries seal and open as their comments state."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from flowmesh.access.encryption import MARK, DataKey, DataKeys
from flowmesh.embedded import EmbeddedServers
from flowmesh.errors import WrongState
from flowmesh.storage.queries import queries_of

SQL = """
-- name: put-many(ids, bodies, notes)!
-- seals bodies of namespaces at body {ids}
-- seals notes of namespaces at note {ids}
insert into kept (id, body, note)
select * from unnest(:ids::text[], :bodies::bytea[], :notes::text[]);

-- name: put-one(id, body)!
-- seals body of namespace at body {id}
insert into kept (id, body, note) values (:id, :body, '');

-- name: all-kept()
-- opens body at body {id}
-- opens note at note {id}
select * from kept order by id;

-- name: body-of(id)$
-- opens body at body {id}
select body from kept where id = :id;
"""


@pytest.fixture
async def connection(servers: EmbeddedServers) -> AsyncIterator[Any]:
    made = await asyncpg.connect(servers.postgres)
    await made.execute("create temporary table kept (id text, body bytea, note text)")
    yield made
    await made.close()


async def test_values_are_sealed_by_namespace_and_opened_at_their_place(connection: Any) -> None:
    """Lists and single values, bytes and texts; a namespace without a key stays plain."""
    sql = queries_of(SQL, keys=DataKeys((DataKey("a", 1, bytes(32)),)))
    await sql.put_many(
        connection, ids=["1", "2"], namespaces=["a", "b"], bodies=[b"x", b"y"], notes=["m", "n"]
    )
    await sql.put_one(connection, id="3", namespace="a", body=b"z")
    stored = await connection.fetch("select * from kept order by id")
    assert [row["body"].startswith(MARK) for row in stored] == [True, False, True]
    assert [row["note"] for row in stored][1:] == ["n", ""]
    assert stored[0]["note"] != "m"
    rows = [row async for row in sql.all_kept(connection)]
    assert [(row["body"], row["note"]) for row in rows] == [(b"x", "m"), (b"y", "n"), (b"z", "")]
    assert await sql.body_of(connection, id="3") == b"z"
    assert await sql.body_of(connection, id="4") is None
    await connection.execute("update kept set id = '5' where id = '3'")
    with pytest.raises(WrongState):
        await sql.body_of(connection, id="5")
