"""Announcements: many at once, lost ones, malformed ones."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
import structlog
from redis.asyncio import Redis

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.registry.health import Record
from flowmesh.registry.instances import Filter, Instances
from flowmesh.registry.store import InstanceStore
from flowmesh.registry.watch import Watchers

from .conftest import Registry

INTERVAL_MS = 60_000
PATIENCE_S = 10


def instance(instance_id: str, space: str = "default") -> pb.Instance:
    return pb.Instance(namespace=space, id=instance_id, name="orders", endpoint="127.0.0.1:1")


async def until_heard(
    stream: AsyncIterator[tuple[bool, list[pb.Instance]]], *instance_ids: str
) -> None:
    missing = set(instance_ids)
    async with asyncio.timeout(PATIENCE_S):
        while missing:
            missing -= {each.id for each in (await anext(stream))[1]}


class SlowStore(InstanceStore):
    """Counts its reads of a namespace; they wait while the gate is closed."""

    def __init__(self, *, redis: Redis, prefix: str) -> None:
        super().__init__(redis=redis, prefix=prefix)
        self.reads: Counter[str] = Counter()
        self.waits = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(
        self, namespace: str, instance_ids: Sequence[str] = ()
    ) -> tuple[int, list[Record]]:
        self.reads[namespace] += 1
        if not self.gate.is_set():
            self.waits.set()
        await self.gate.wait()
        return await super().read(namespace, instance_ids)


async def test_concurrent_announcements_are_read_at_once(registry: Registry, redis: Redis) -> None:
    """A thousand registrations do not cause a thousand reads."""
    store = SlowStore(redis=redis, prefix=registry.prefix)
    watchers = Watchers(store=store, log=structlog.get_logger())
    stream, behind = watchers.watch(Filter("default")), watchers.watch(Filter("behind"))
    await anext(stream)
    await anext(behind)
    await registry.instances.register(instance("first"), interval_ms=INTERVAL_MS)
    await until_heard(stream, "first")

    store.gate.clear()
    ids = [f"i{number}" for number in range(50)]
    await registry.instances.register(instance(ids[0]), interval_ms=INTERVAL_MS)
    await store.waits.wait()
    before = store.reads["default"]
    for each in ids[1:]:
        await registry.instances.register(instance(each), interval_ms=INTERVAL_MS)
    await registry.instances.register(instance("last", "behind"), interval_ms=INTERVAL_MS)
    store.gate.set()
    await until_heard(stream, *ids)
    await until_heard(behind, "last")
    assert store.reads["default"] - before < 5
    await watchers.close()


class UnheardStore(InstanceStore):
    """A store whose announcements are lost."""

    async def _announce(self, namespace: str) -> None:
        pass


async def test_a_lost_announcement_is_found_later(
    registry: Registry, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis announces at most once; the periodic read finds the change."""
    monkeypatch.setattr("flowmesh.registry.watch.READ_AGAIN_S", 0.1)
    unheard = Instances(store=UnheardStore(redis=redis, prefix=registry.prefix))
    stream = registry.watchers.watch(Filter("default"))
    await anext(stream)
    await registry.instances.register(instance("before"), interval_ms=INTERVAL_MS)
    await until_heard(stream, "before")
    await registry.instances.deregister("default", "before")
    await until_heard(stream, "before")
    await unheard.register(instance("orders"), interval_ms=INTERVAL_MS)
    await until_heard(stream, "orders")


async def test_a_malformed_announcement_does_not_end_the_watch(
    registry: Registry, redis: Redis
) -> None:
    """Watchers get later changes."""
    stream = registry.watchers.watch(Filter("default"))
    await anext(stream)
    await registry.instances.register(instance("before"), interval_ms=INTERVAL_MS)
    await until_heard(stream, "before")
    await redis.publish(f"{registry.prefix}:registry:changed", b"\xff")
    await registry.instances.register(instance("behind"), interval_ms=INTERVAL_MS)
    await until_heard(stream, "behind")
