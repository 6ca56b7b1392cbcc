"""cache.modular: values with a time to live, in memory or in Redis."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.contract.json_value import Json
from flowmesh.errors import Unavailable

VALUE_BYTES_MAX = 1024 * 1024


class MemoryCache:
    """The last used values, with their ends."""

    def __init__(
        self,
        *,
        items_max: int,
        ttl_s: float,
        cleanup_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max = items_max
        self._ttl_s = ttl_s
        self._cleanup_s = max(cleanup_s, 0.05)
        self._clock = clock
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._clean())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._values.clear()

    async def get(self, key: str) -> Json:
        """Return a value; None if there is none, or its time has passed."""
        found = self._values.get(key)
        if found is None or found[0] <= self._clock():
            return None
        self._values.move_to_end(key)
        return orjson.loads(found[1])

    async def set(self, key: str, value: Json, ttl_s: float | None = None) -> None:
        ends = self._clock() + (self._ttl_s if ttl_s is None else ttl_s)
        self._values[key] = (ends, _encoded(value))
        self._values.move_to_end(key)
        while len(self._values) > self._max:
            self._values.popitem(last=False)

    async def delete(self, key: str) -> bool:
        return self._values.pop(key, None) is not None

    async def health(self) -> str:
        return ""

    async def _clean(self) -> None:
        while True:
            await asyncio.sleep(self._cleanup_s)
            now = self._clock()
            for key in [key for key, (ends, _) in self._values.items() if ends <= now]:
                del self._values[key]


class RedisCache:
    """Values in Redis, below a prefix of the application."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        password: str,
        database: int,
        ttl_s: float,
        prefix: str,
        connection_s: float = 0.0,
    ) -> None:
        """Connections are closed `connection_s` after they were opened; 0 keeps them."""
        self._name = name
        self._url = url
        self._options: dict[str, Any] = {"password": password} if password else {}
        if database:
            self._options["db"] = database
        self._ttl_s = ttl_s
        self._prefix = prefix
        self._connection_s = connection_s
        self._connected_at = 0.0
        self._redis: Any = None

    async def start(self) -> None:
        """Connect. Raises Unavailable."""
        from redis.asyncio import Redis

        self._redis = Redis.from_url(self._url, socket_connect_timeout=5, **self._options)
        if problem := await self.health():
            await self._redis.aclose()
            raise Unavailable("CACHE_UNAVAILABLE", problem)
        self._connected_at = time.monotonic()

    async def stop(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def get(self, key: str) -> Json:
        async with self._connected():
            found = await self._redis.get(self._prefix + key)
        return None if found is None else orjson.loads(found)

    async def set(self, key: str, value: Json, ttl_s: float | None = None) -> None:
        ttl_ms = max(1, int((self._ttl_s if ttl_s is None else ttl_s) * 1_000))
        async with self._connected():
            await self._redis.set(self._prefix + key, _encoded(value), px=ttl_ms)

    async def delete(self, key: str) -> bool:
        async with self._connected():
            return bool(await self._redis.delete(self._prefix + key))

    async def health(self) -> str:
        from redis.exceptions import RedisError

        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            return f"{self._name}: no connection to Redis: {type(error).__name__}"
        return ""

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        """Close idle connections that are too old, and translate errors."""
        from redis.exceptions import RedisError

        now = time.monotonic()
        try:
            if self._connection_s and now - self._connected_at >= self._connection_s:
                self._connected_at = now
                await self._redis.connection_pool.disconnect(inuse_connections=False)
            yield
        except (RedisError, OSError) as error:
            text = f"{self._name}: no connection to Redis: {type(error).__name__}"
            raise Unavailable("CACHE_UNAVAILABLE", text) from None


def _encoded(value: Json) -> bytes:
    try:
        body = orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise HttpProblem(422, "VALUE_INVALID", "a cached value must be JSON") from None
    if len(body) > VALUE_BYTES_MAX:
        text = f"a cached value has at most {VALUE_BYTES_MAX} bytes"
        raise HttpProblem(413, "VALUE_TOO_LARGE", text)
    return body


def cache(setting: Setting) -> Module:
    """Build cache.modular. Raises Invalid for Redis without an address."""
    config = setting.config
    ttl_s = float(config["defaultTTL"])
    if config["engine"] == "redis":
        url = str(config.get("redisURL") or "")
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise setting.invalid("redisURL begins with redis://, rediss:// or unix://")
        made: MemoryCache | RedisCache = RedisCache(
            name=setting.name,
            url=url,
            password=str(config.get("redisPassword") or ""),
            database=int(config["redisDB"]),
            ttl_s=ttl_s,
            prefix=f"fm:apps:{setting.context.document.name}:{setting.name}:",
            connection_s=float(config["connectionMaxAge"]),
        )
    else:
        made = MemoryCache(
            items_max=int(config["maxItems"]),
            ttl_s=ttl_s,
            cleanup_s=float(config["cleanupInterval"]),
        )
    return Module(
        name=setting.name,
        services={"Cache": made},
        start=made.start,
        stop=made.stop,
        health=made.health,
    )
