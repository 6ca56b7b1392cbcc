"""Instances as Redis hashes under a lease.

One script per operation reads the clock of Redis and changes its keys atomically, so that several
registry processes agree. Instances lost by Redis register again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
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
        self._checks_key = f"{prefix}:registry:checks"
        self._register = _script(redis, "register")
        self._heartbeat = _script(redis, "heartbeat")
        self._deregister = _script(redis, "deregister")
        self._read = _script(redis, "read")
        self._drain = _script(redis, "drain")
        self._checked = _script(redis, "checked")
        self._claim = _script(redis, "claim")
        self._due = _script(redis, "due")

    async def register(self, instance: pb.Instance, *, interval_ms: int) -> Record:
        """Add or replace an instance. Raise Overloaded above INSTANCES_MAX live ones."""
        namespace = instance.namespace
        keep_ms = LEASE_INTERVALS * interval_ms + KEEP_MS
        now = await ask(
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
        # Before the response: a caller without one registers again.
        await self.set_due(namespace, instance.id, 0 if instance.HasField("check") else None)
        await self._announce(namespace)
        return Record(
            instance, interval_ms, int(now), int(now), pb.INSTANCE_STATUS_UNSPECIFIED, False
        )

    async def heartbeat(
        self, namespace: str, instance_id: str, *, reported: "pb.InstanceStatus.ValueType"
    ) -> bool:
        """Renew the lease. Return False if there is no such instance, or it has deregistered."""
        answer = await ask(
            self._heartbeat(
                keys=self._keys(namespace, instance_id),
                args=[instance_id, reported, KEEP_MS, LEASE_INTERVALS],
            )
        )
        if answer is None:
            return False
        failpoint("registry.renewed")
        now_us, before = int(answer[0]), _record(answer[1])
        after = replace(before, heartbeat_at_us=now_us, reported=reported)
        if derive(before, now_us) != derive(after, now_us):
            await self._announce(namespace)
        return True

    async def drain(self, namespace: str, instance_id: str, *, draining: bool) -> Record | None:
        """Take the instance out of service or back in; return None if there is none."""
        answer = await ask(
            self._drain(
                keys=self._keys(namespace, instance_id)[:1], args=["1" if draining else "0"]
            )
        )
        if answer is None:
            return None
        await self._announce(namespace)
        return _record(answer[1])

    async def claim_checks(self, most: int, claim_ms: int) -> tuple[int, list[tuple[str, str]]]:
        """Claim due checks for a time, as namespaces and ids.

        The first value is the time until the next check is due in ms; -1 if there are none.
        """
        next_ms, claimed = await ask(self._claim(keys=[self._checks_key], args=[most, claim_ms]))
        pairs = (each.decode().rpartition("/") for each in claimed)
        return int(next_ms), [(namespace, instance_id) for namespace, _, instance_id in pairs]

    async def checked(self, record: Record, problem: str) -> bool:
        """Store the outcome of a check; an empty problem if it passed.

        Return False if the instance has left, or was registered again since.
        """
        instance = record.instance
        answer = await ask(
            self._checked(
                keys=self._keys(instance.namespace, instance.id),
                args=[
                    instance.id,
                    problem,
                    record.registered_at_us,
                    instance.check.unhealthy_after,
                    instance.check.healthy_after,
                    KEEP_MS,
                    LEASE_INTERVALS,
                ],
            )
        )
        if answer is None:
            return False
        failpoint("registry.checked")
        now_us, before, after = int(answer[0]), _record(answer[1]), _record(answer[2])
        if derive(before, now_us) != derive(after, now_us) or before.problem != after.problem:
            await self._announce(instance.namespace)
        return True

    async def set_due(self, namespace: str, instance_id: str, after_ms: int | None) -> None:
        """Set the time until the next check of an instance; None ends its checks."""
        args = [f"{namespace}/{instance_id}", -1 if after_ms is None else after_ms]
        await ask(self._due(keys=[self._checks_key], args=args))

    async def deregister(self, namespace: str, instance_id: str) -> None:
        """Remove the instance, if it exists."""
        changed = await ask(
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
        answer = await ask(self._read(keys=[ids_key], args=[f"{ids_key}/", *instance_ids]))
        return int(answer[0]), [_record(fields) for fields in answer[1]]

    async def answers(self) -> bool:
        """Return whether Redis is available."""
        try:
            await ask(self._redis.ping())
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
        await ask(self._redis.publish(self._channel, namespace))

    def _keys(self, namespace: str, instance_id: str) -> list[str]:
        # The braces keep the keys of a namespace in one slot of a Redis cluster; ids hold no slash.
        ids_key = f"{self._prefix}:registry/{{{namespace}}}"
        return [f"{ids_key}/{instance_id}", ids_key]


def _script(redis: Redis, name: str) -> Script:
    source = files("flowmesh.registry").joinpath("lua", f"{name}.lua").read_text()
    return redis.register_script(source)


async def ask(answer: Awaitable[Any]) -> Any:
    """Return the answer of Redis; raise Unavailable without one."""
    try:
        return await answer
    except RedisError as error:
        raise Unavailable(
            "STORAGE_UNAVAILABLE", "the Redis of the registry is unavailable", retry_after_ms=500
        ) from error


def _record(fields: Sequence[Any]) -> Record:
    message, interval, registered, heartbeat, reported, left, draining, checked, problem = fields
    return Record(
        instance=pb.Instance.FromString(message),
        interval_ms=int(interval),
        registered_at_us=int(registered),
        heartbeat_at_us=int(heartbeat),
        reported=cast("pb.InstanceStatus.ValueType", int(reported)),
        left=left == b"1",
        draining=draining == b"1",
        checked=cast("pb.InstanceStatus.ValueType", int(checked or 0)),
        problem=(problem or b"").decode(),
    )
