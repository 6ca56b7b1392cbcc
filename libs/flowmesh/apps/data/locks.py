"""Locks by name: in this process, or across hosts in PostgreSQL or Redis."""

import asyncio
import contextlib
import hashlib
from typing import Any

import asyncpg

from flowmesh.apps.data.database import unavailable

CONNECT_S = 5.0
# Locks in Redis end this long after the last renewal.
LIFE_S = 15.0


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


class RedisLocks:
    """Locks in Redis, each with a token of its holder; they end soon after the host that died.

    A lock is renewed while it is held. One whose renewal came too late is lost, and its release
    does not end the lock of another holder.
    """

    def __init__(self, *, name: str, url: str, password: str, life_s: float = LIFE_S) -> None:
        self._name = name
        self._url = url
        self._options: dict[str, Any] = {"password": password} if password else {}
        self._life_s = life_s
        self._redis: Any = None
        # The held locks, with the tasks that renew them.
        self._held: dict[str, tuple[Any, asyncio.Task[None]]] = {}

    async def take(self, name: str) -> bool:
        """Take a lock; return False if another task or host has it. Raises Unavailable."""
        from redis.asyncio import Redis
        from redis.exceptions import RedisError

        if self._redis is None:
            self._redis = Redis.from_url(
                self._url, socket_connect_timeout=CONNECT_S, **self._options
            )
        lock = self._redis.lock(f"fm:locks:{name}", timeout=self._life_s, thread_local=False)
        try:
            if not await lock.acquire(blocking=False):
                return False
        except (RedisError, OSError) as error:
            text = f"no connection to Redis: {error or type(error).__name__}"
            raise unavailable(self._name, text) from None
        self._held[name] = (lock, asyncio.create_task(self._renew(lock)))
        return True

    async def release(self, name: str) -> None:
        """Release a lock that is held; one that was lost stays with its holder."""
        from redis.exceptions import RedisError

        lock, renewing = self._held.pop(name, (None, None))
        if lock is None or renewing is None:
            return
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        with contextlib.suppress(RedisError, OSError):
            await lock.release()

    async def stop(self) -> None:
        for name in list(self._held):
            await self.release(name)
        if self._redis is not None:
            await self._redis.aclose()
            self._redis = None

    async def _renew(self, lock: Any) -> None:
        from redis.exceptions import LockError, RedisError

        while True:
            await asyncio.sleep(self._life_s / 3)
            try:
                await lock.reacquire()
            except LockError:
                return
            except (RedisError, OSError):
                # The next renewal may come in time.
                continue
