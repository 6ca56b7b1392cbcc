"""Databases for tests: a fresh one on a running PostgreSQL, or one for a new suite."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.resources.abc import Traversable
from pathlib import Path

import asyncpg

from flowmesh.embedded import DataDir, EmbeddedServers
from flowmesh.embedded.postgres import Postgres
from flowmesh.storage import open_database

TIMEOUT_S = 10.0


@asynccontextmanager
async def fresh_database(address: str, *, template: str = "template1") -> AsyncIterator[str]:
    """Create a database, a copy of the template, on a server; drop it at the end."""
    name = f"t_{uuid.uuid4().hex[:16]}"
    await _execute(address, f'create database "{name}" template "{template}"')
    try:
        yield _in_database(address, name)
    finally:
        await _execute(address, f'drop database "{name}" with (force)')


class Templates:
    """Databases of a running server with the schema of one service each, made on first use."""

    def __init__(self, address: str, schemas: Mapping[str, Traversable]) -> None:
        self._address, self._schemas = address, schemas
        self._made: dict[str, str] = {}

    async def of(self, schema: str) -> str:
        """Return the name of the database, for `fresh_database`."""
        if schema not in self._made:
            name = f"template_{schema}"
            await _execute(self._address, f'create database "{name}"')
            async with open_database(
                _in_database(self._address, name), schema=schema, migrations=self._schemas[schema]
            ):
                self._made[schema] = name
        return self._made[schema]


class InitialDatabase:
    """A data directory after `initdb`, created on first use; copying it is ten times faster.

    `schemas` are the folders of migrations of each schema, for copies that have them applied.
    """

    def __init__(self, folder: Path, schemas: Mapping[str, Traversable] | None = None) -> None:
        self._empty, self._migrated = folder / "empty", folder / "migrated"
        self._schemas = schemas or {}
        self._lock = asyncio.Lock()

    async def copy_to(self, data_dir: Path, *, migrated: bool = False) -> None:
        """Copy it into a data directory that does not exist yet."""
        source = self._migrated if migrated and self._schemas else self._empty
        async with self._lock:
            if not self._empty.exists():
                self._empty.mkdir()
                await Postgres(DataDir(self._empty)).prepare()
            if not source.exists():
                await self._migrate()
        await asyncio.to_thread(_copy, source, data_dir)

    async def _migrate(self) -> None:
        await asyncio.to_thread(_copy, self._empty, self._migrated)
        async with EmbeddedServers(self._migrated, only=("postgres",)) as servers:
            for schema, migrations in self._schemas.items():
                async with open_database(servers.postgres, schema=schema, migrations=migrations):
                    pass


def _copy(source: Path, data_dir: Path) -> None:
    """Copy the files of the database and its password."""
    shutil.copytree(source / "postgres", data_dir / "postgres")
    shutil.copy2(source / "postgres.password", data_dir)


def _in_database(address: str, name: str) -> str:
    """Return the address of another database of the same server."""
    before, _, query = address.partition("?")
    return f"{before.rpartition('/')[0]}/{name}?{query}"


async def _execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address, timeout=TIMEOUT_S)
    try:
        await connection.execute(statement, timeout=TIMEOUT_S)
    finally:
        await connection.close()
