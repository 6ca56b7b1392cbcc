"""A PostgreSQL of users with logical replication, for tests of change triggers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from flowmesh.embedded import DataDir
from flowmesh.embedded.child import Child
from flowmesh.embedded.postgres import Postgres
from flowmesh.testing.databases import InitialDatabase

SETTINGS = {"wal_level": "logical", "max_replication_slots": "16"}


@asynccontextmanager
async def logical_postgres(
    folder: Path, initial: InitialDatabase | None = None, **settings: str
) -> AsyncIterator[str]:
    """Run a server of its own in the folder; yield the address of its database."""
    if initial is not None:
        await initial.copy_to(folder)
    postgres = Postgres(_data_dir(folder))
    await postgres.prepare()
    program = postgres.program()
    given = SETTINGS | settings
    options = [word for key, value in given.items() for word in ("-c", f"{key}={value}")]
    server = Child(replace(program, argv=(*program.argv, *options)), lambda: None)
    await server.start()
    try:
        yield postgres.address
    finally:
        await server.stop()


def _data_dir(folder: Path) -> DataDir:
    folder.mkdir(parents=True, exist_ok=True)
    return DataDir(folder)
