"""Instances as Redis hashes under a lease.

One script per operation, so that each reads Redis' clock and changes its keys in one moment and
several registry processes agree. Whatever Redis loses, the instances register again.
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

# How long an instance that is gone can still be seen, unless its place is needed.
KEEP_MS: Final = 3_600_000
INSTANCES_MAX: Final = 10_000
FULL_RETRY_MS: Final = 60_000

Script = Callable[..., Awaitable[Any]]


class InstanceStore:
    """Records of instances by namespace and id; every write that changes a status is announced."""

    def __init__(self, *, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._channel = f"{prefix}:registry:changed"
        self._register = _script(redis, "register")
        self._heartbeat = _script(redis, "heartbeat")
        self._deregister = _script(redis, "deregister")
        self._read = _script(redis, "read")

    async def register(self, instance: pb.Instance, *, interval_ms: int) -> Record:
        """Adds or replaces; raises Overloaded when INSTANCES_MAX others live in the namespace."""
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
                f"{INSTANCES_MAX} instances live in namespace {namespace} already",
                retry_after_ms=FULL_RETRY_MS,
            )
        failpoint("registry.registered")
        await self._announce(namespace)
        return Record(
            instance, interval_ms, int(now), int(now), pb.INSTANCE_STATUS_UNSPECIFIED, False
        )

    async def heartbeat(
        self, namespace: str, instance_id: str, *, said: "pb.InstanceStatus.ValueType"
    ) -> bool:
        """Renews the lease; False when there is no such instance, or it has left."""
        answer = await _ask(
            self._heartbeat(
                keys=self._keys(namespace, instance_id),
                args=[instance_id, said, KEEP_MS, LEASE_INTERVALS],
            )
        )
        if answer is None:
            return False
        failpoint("registry.renewed")
        now_us, before = int(answer[0]), _record(answer[1])
        after = Record(
            before.instance, before.interval_ms, before.registered_at_us, now_us, said, False
        )
        if derive(before, now_us) != derive(after, now_us):
            await self._announce(namespace)
        return True

    async def deregister(self, namespace: str, instance_id: str) -> None:
        """Takes the instance off; nothing happens when it is not there."""
        changed = await _ask(
            self._deregister(keys=self._keys(namespace, instance_id), args=[instance_id, KEEP_MS])
        )
        failpoint("registry.deregistered")
        if changed:
            await self._announce(namespace)

    async def read(
        self, namespace: str, instance_ids: Sequence[str] = ()
    ) -> tuple[int, list[Record]]:
        """Redis' time in microseconds, and the records of these ids, or of all."""
        ids_key = f"{self._prefix}:registry/{{{namespace}}}"
        answer = await _ask(self._read(keys=[ids_key], args=[f"{ids_key}/", *instance_ids]))
        return int(answer[0]), [_record(fields) for fields in answer[1]]

    async def answers(self) -> bool:
        """Whether Redis is there."""
        try:
            await _ask(self._redis.ping())
        except Unavailable:
            return False
        return True

    @asynccontextmanager
    async def announcements(self) -> AsyncIterator[PubSub]:
        """A subscription whose messages are the namespaces in which something changed."""
        subscription = self._redis.pubsub(ignore_subscribe_messages=True)
        try:
            await subscription.subscribe(self._channel)
            yield subscription
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call]

    async def _announce(self, namespace: str) -> None:
        await _ask(self._redis.publish(self._channel, namespace))

    def _keys(self, namespace: str, instance_id: str) -> list[str]:
        # Braces keep the keys of a namespace together in a Redis cluster; ids hold no slash.
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
            "STORAGE_UNAVAILABLE", "the registry's Redis does not answer", retry_after_ms=500
        ) from error


def _record(fields: Sequence[bytes]) -> Record:
    message, interval, registered, heartbeat, said, left = fields
    return Record(
        instance=pb.Instance.FromString(message),
        interval_ms=int(interval),
        registered_at_us=int(registered),
        heartbeat_at_us=int(heartbeat),
        said=cast("pb.InstanceStatus.ValueType", int(said)),
        left=left == b"1",
    )
