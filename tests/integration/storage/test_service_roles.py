"""The roles of services: each owns its schema, and reads no other one."""

from pathlib import Path

import asyncpg
import pytest

from flowmesh.storage import open_database
from flowmesh.storage.service_roles import service_address


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    (tmp_path / "0001_kept.sql").write_text(
        "create table kept (value text); insert into kept values ('own')"
    )
    return tmp_path


async def test_a_service_reads_its_own_schema_only(database: str, migrations: Path) -> None:
    """Neither rows nor files of the server; also with the tables of an earlier version."""
    superuser = await asyncpg.connect(database)
    await superuser.execute("create schema second; create table second.older (value text)")
    for schema, other in (("first", "second"), ("second", "first")):
        async with open_database(database, schema=schema, migrations=migrations) as pool:
            assert await pool.fetchval("select current_user") == f"flowmesh_{schema}"
            assert await pool.fetchval("select value from kept") == "own"
            if schema == "second":
                assert await pool.fetch("select * from older") == []
            await pool.execute("create table further (value text)")
            for refused in (
                f"select * from {other}.kept",
                "create schema third",
                "select pg_read_file('PG_VERSION')",
                "set session authorization flowmesh",
            ):
                with pytest.raises(
                    (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError)
                ):
                    await pool.execute(refused)
    again = await service_address(superuser, database, "first")
    assert await service_address(superuser, database, "first") == again
    await superuser.close()
