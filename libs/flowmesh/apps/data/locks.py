"""Locks by name: in this process, or across hosts as advisory locks of PostgreSQL."""

import asyncio
import hashlib
from typing import Any

import asyncpg

from flowmesh.apps.data.database import unavailable

CONNECT_S = 5.0


class LocalLocks:
    """Locks of one process."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    async def take(self, name: str) -> bool:
        """Take a lock; return False if it is taken."""
        if name in self._taken:
            return False
        self._taken.add(name)
        return True

    async def release(self, name: str) -> None:
        self._taken.discard(name)

    async def stop(self) -> None:
        self._taken.clear()


class PostgresLocks:
    """Advisory locks of one connection: the server frees them when this host dies."""

    def __init__(self, *, name: str, dsn: str) -> None:
        self._name = name
        self._dsn = dsn
        self._connection: Any = None
        # One statement at a time is in the connection.
        self._turn = asyncio.Lock()
        self._local = LocalLocks()

    async def take(self, name: str) -> bool:
        """Take a lock; return False if another task or host has it. Raises Unavailable."""
        if not await self._local.take(name):
            return False
        try:
            taken = await self._ask("SELECT pg_try_advisory_lock($1)", name)
        except BaseException:
            await self._local.release(name)
            raise
        if not taken:
            await self._local.release(name)
        return bool(taken)

    async def release(self, name: str) -> None:
        """Release a lock; a lost connection has released it already."""
        try:
            if self._connection is not None and not self._connection.is_closed():
                await self._ask("SELECT pg_advisory_unlock($1)", name)
        finally:
            await self._local.release(name)

    async def stop(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _ask(self, query: str, name: str) -> Any:
        number = int.from_bytes(
            hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True
        )
        async with self._turn:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(self._dsn, timeout=CONNECT_S)
                return await self._connection.fetchval(query, number)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                text = f"no connection to PostgreSQL: {type(error).__name__}"
                raise unavailable(self._name, text) from None
