"""A registry on a real Redis, as two processes if a test needs them."""

import uuid
from collections.abc import AsyncIterator

import pytest
import structlog
from redis.asyncio import Redis

from flowmesh.embedded import EmbeddedServers
from flowmesh.registry.instances import Instances
from flowmesh.registry.store import InstanceStore
from flowmesh.registry.watch import Watchers
from flowmesh.storage.redis_cache import open_cache


class Registry:
    """One registry process."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self.prefix = prefix
        self._redis = redis
        store = InstanceStore(redis=redis, prefix=prefix)
        self.instances = Instances(store=store)
        self.watchers = Watchers(store=store, log=structlog.get_logger())

    async def lose_everything(self) -> None:
        """Delete all keys of this registry, like a flushed Redis."""
        keys = [key async for key in self._redis.scan_iter(f"{self.prefix}:*")]
        await self._redis.delete(*keys)


@pytest.fixture
async def redis(servers: EmbeddedServers) -> AsyncIterator[Redis]:
    client = open_cache(servers.redis)
    yield client
    await client.aclose()


@pytest.fixture
async def registry(redis: Redis) -> AsyncIterator[Registry]:
    registry = Registry(redis, f"t{uuid.uuid4().hex[:8]}")
    yield registry
    await registry.watchers.close()


@pytest.fixture
async def other(redis: Redis, registry: Registry) -> AsyncIterator[Registry]:
    other = Registry(redis, registry.prefix)
    yield other
    await other.watchers.close()
