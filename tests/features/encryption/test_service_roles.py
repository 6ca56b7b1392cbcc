"""Direct SQL as the role of each service of a running suite."""

from pathlib import Path
from typing import Final

import asyncpg
import pytest

from flowmesh.storage.service_roles import service_address
from tests.features.closed import closed_suite

TABLES: Final = (
    "select schemaname, quote_ident(schemaname) || '.' || quote_ident(tablename) as name"
    " from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
)
SESSIONS: Final = (
    "select distinct usename from pg_stat_activity"
    " where application_name ^@ 'flowmesh-' and state is not null"
)


@pytest.mark.long
async def test_each_role_reads_no_row_of_another_service(tmp_path: Path) -> None:
    """Every table of every other schema is refused, and the services use these roles."""
    async with closed_suite(tmp_path) as closed:
        address = str(closed.suite.about["postgres"])
        superuser = await asyncpg.connect(address)
        tables = await superuser.fetch(TABLES)
        schemas = {table["schemaname"] for table in tables}
        assert {"identity", "orchestrator", "event", "broker", "eventstore"} <= schemas
        used = {row["usename"] for row in await superuser.fetch(SESSIONS)}
        assert used <= {f"flowmesh_{schema}" for schema in schemas}, used
        refused = 0
        for schema in sorted(schemas):
            service = await asyncpg.connect(await service_address(superuser, address, schema))
            for table in tables:
                statement = f"select count(*) from {table['name']}"
                if table["schemaname"] == schema:
                    await service.fetchval(statement)
                    continue
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await service.fetchval(statement)
                refused += 1
            await service.close()
        assert refused == len(tables) * (len(schemas) - 1)
        await superuser.close()
