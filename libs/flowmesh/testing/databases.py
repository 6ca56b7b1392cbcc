"""Databases for tests: a fresh one on a running PostgreSQL, or one for a new suite."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from flowmesh.embedded import DataDir
from flowmesh.embedded.postgres import Postgres

TIMEOUT_S = 10.0


@asynccontextmanager
async def fresh_database(address: str) -> AsyncIterator[str]:
    """Create an empty database on the server of the address; drop it at the end."""
    name = f"t_{uuid.uuid4().hex[:16]}"
    await _execute(address, f'create database "{name}"')
    before, _, query = address.partition("?")
    try:
        yield f"{before.rpartition('/')[0]}/{name}?{query}"
    finally:
        await _execute(address, f'drop database "{name}" with (force)')


class InitialDatabase:
    """A data directory after `initdb`, created on first use; copying it is ten times faster."""

    def __init__(self, folder: Path) -> None:
        self._data_dir = DataDir(folder)
        self._lock = asyncio.Lock()
        self._created = False

    async def copy_to(self, data_dir: Path) -> None:
        """Copy it into a data directory that does not exist yet."""
        async with self._lock:
            if not self._created:
                await Postgres(self._data_dir).prepare()
                self._created = True
        await asyncio.to_thread(
            shutil.copytree, self._data_dir.folder("postgres"), data_dir / "postgres"
        )


async def _execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address, timeout=TIMEOUT_S)
    try:
        await connection.execute(statement, timeout=TIMEOUT_S)
    finally:
        await connection.close()
