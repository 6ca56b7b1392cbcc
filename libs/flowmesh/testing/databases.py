"""A database of its own for each test, on one running PostgreSQL."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

TIMEOUT_S = 10.0


@asynccontextmanager
async def fresh_database(address: str) -> AsyncIterator[str]:
    """Makes an empty database beside the one of the address; drops it at the end."""
    name = f"t_{uuid.uuid4().hex[:16]}"
    await _execute(address, f'create database "{name}"')
    before, _, query = address.partition("?")
    try:
        yield f"{before.rpartition('/')[0]}/{name}?{query}"
    finally:
        await _execute(address, f'drop database "{name}" with (force)')


async def _execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address, timeout=TIMEOUT_S)
    try:
        await connection.execute(statement, timeout=TIMEOUT_S)
    finally:
        await connection.close()
