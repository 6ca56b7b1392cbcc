"""Instances as Redis hashes under a lease.

One script per operation reads the clock of Redis and changes its keys atomically, so that several
registry processes agree. Instances lost by Redis register again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.errors import Overloaded, Unavailable
from flowmesh.failpoints import failpoint
from flowmesh.registry.health import LEASE_INTERVALS, Record, derive

# Retention of an ended instance, unless the namespace needs its place.
KEEP_MS: Final = 3_600_000
INSTANCES_MAX: Final = 10_000
FULL_RETRY_MS: Final = 60_000

Script = Callable[..., Awaitable[Any]]


class InstanceStore:
    """Instances by namespace and id; every write that changes a status is announced."""

    def __init__(self, *, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._channel = f"{prefix}:registry:changed"
        self._register = _script(redis, "register")
        self._heartbeat = _script(redis, "heartbeat")
        self._deregister = _script(redis, "deregister")
        self._read = _script(redis, "read")

    async def register(self, instance: pb.Instance, *, interval_ms: int) -> Record:
        """Add or replace an instance. Raise Overloaded above INSTANCES_MAX live ones."""
        namespace = instance.namespace
        keep_ms = LEASE_INTERVALS * interval_ms + KEEP_MS
        now = await _ask(
            self._register(
                keys=self._keys(namespace, instance.id),
                args=[
                    instance.id,
                    instance.SerializeToString(),
                    interval_ms,
                    keep_ms,
                    KEEP_MS,
                    INSTANCES_MAX,
                ],
            )
        )
        if now is None:
            raise Overloaded(
                "OVERLOADED",
                f"namespace {namespace} already has {INSTANCES_MAX} live instances",
                retry_after_ms=FULL_RETRY_MS,
            )
        failpoint("registry.registered")
        await self._announce(namespace)
        return Record(
            instance, interval_ms, int(now), int(now), pb.INSTANCE_STATUS_UNSPECIFIED, False
        )

    async def heartbeat(
        self, namespace: str, instance_id: str, *, reported: "pb.InstanceStatus.ValueType"
    ) -> bool:
        """Renew the lease. Return False if there is no such instance, or it has deregistered."""
        answer = await _ask(
            self._heartbeat(
                keys=self._keys(namespace, instance_id),
                args=[instance_id, reported, KEEP_MS, LEASE_INTERVALS],
            )
        )
        if answer is None:
            return False
        failpoint("registry.renewed")
        now_us, before = int(answer[0]), _record(answer[1])
        after = Record(
            before.instance, before.interval_ms, before.registered_at_us, now_us, reported, False
        )
        if derive(before, now_us) != derive(after, now_us):
            await self._announce(namespace)
        return True

    async def deregister(self, namespace: str, instance_id: str) -> None:
        """Remove the instance, if it exists."""
        changed = await _ask(
            self._deregister(keys=self._keys(namespace, instance_id), args=[instance_id, KEEP_MS])
        )
        failpoint("registry.deregistered")
        if changed:
            await self._announce(namespace)

    async def read(
        self, namespace: str, instance_ids: Sequence[str] = ()
    ) -> tuple[int, list[Record]]:
        """Return the time of Redis in microseconds, and the records of the ids (default: all)."""
        ids_key = f"{self._prefix}:registry/{{{namespace}}}"
        answer = await _ask(self._read(keys=[ids_key], args=[f"{ids_key}/", *instance_ids]))
        return int(answer[0]), [_record(fields) for fields in answer[1]]

    async def answers(self) -> bool:
        """Return whether Redis is available."""
        try:
            await _ask(self._redis.ping())
        except Unavailable:
            return False
        return True

    @asynccontextmanager
    async def announcements(self) -> AsyncIterator[PubSub]:
        """Subscribe to announcements; each message is the name of a changed namespace."""
        subscription = self._redis.pubsub(ignore_subscribe_messages=True)
        try:
            await subscription.subscribe(self._channel)
            yield subscription
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call]

    async def _announce(self, namespace: str) -> None:
        await _ask(self._redis.publish(self._channel, namespace))

    def _keys(self, namespace: str, instance_id: str) -> list[str]:
        # The braces keep the keys of a namespace in one slot of a Redis cluster; ids hold no slash.
        ids_key = f"{self._prefix}:registry/{{{namespace}}}"
        return [f"{ids_key}/{instance_id}", ids_key]


def _script(redis: Redis, name: str) -> Script:
    source = files("flowmesh.registry").joinpath("lua", f"{name}.lua").read_text()
    return redis.register_script(source)


async def _ask(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except RedisError as error:
        raise Unavailable(
            "STORAGE_UNAVAILABLE", "the Redis of the registry is unavailable", retry_after_ms=500
        ) from error


def _record(fields: Sequence[bytes]) -> Record:
    message, interval, registered, heartbeat, reported, left = fields
    return Record(
        instance=pb.Instance.FromString(message),
        interval_ms=int(interval),
        registered_at_us=int(registered),
        heartbeat_at_us=int(heartbeat),
        reported=cast("pb.InstanceStatus.ValueType", int(reported)),
        left=left == b"1",
    )
