"""Specs of agents in Redis, from which another program goes on."""

from collections.abc import Awaitable, Sequence
from typing import Any

from flowmesh.errors import Unavailable

KEY = "flowmesh:agent-orchestrator"


class RedisState:
    """The specs of one namespace, by name."""

    def __init__(self, url: str, namespace: str) -> None:
        try:
            from redis.asyncio import Redis
        except ImportError as error:
            text = "redis_enabled needs the package redis"
            raise Unavailable("SERVICE_UNAVAILABLE", text) from error
        self._redis = Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=2.0)
        self._key = f"{KEY}:{namespace}"

    async def specs(self) -> Sequence[bytes]:
        """Return the specs that are kept. Raises Unavailable."""
        found: dict[bytes, bytes] = await self._answered(self._redis.hgetall(self._key))
        return [found[name] for name in sorted(found)]

    async def put(self, spec: str, content: bytes) -> None:
        await self._answered(self._redis.hset(self._key, spec, content))

    async def remove(self, spec: str) -> None:
        await self._answered(self._redis.hdel(self._key, spec))

    async def close(self) -> None:
        await self._redis.aclose()

    async def _answered(self, call: Awaitable[Any] | Any) -> Any:
        from redis.exceptions import RedisError

        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable("SERVICE_UNAVAILABLE", f"Redis does not answer: {error}") from error
