"""Notifications of watchers about changed instances.

One task per process re-reads a namespace when another registry process announces a change, when
the age of a heartbeat would change a status, and periodically, because Redis announces at most
once. Nothing runs without watchers.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError
from structlog.typing import FilteringBoundLogger

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.errors import Unavailable
from flowmesh.registry.health import Record, instance_message, next_change_us
from flowmesh.registry.instances import Filter
from flowmesh.registry.store import InstanceStore

WATCHERS_MAX: Final = 1_000
# Longest wait, after which the due time of a new watcher is considered.
TICK_MAX_S: Final = 1.0
READ_AGAIN_S: Final = 30.0
# After an outage of Redis all heartbeats are old: time for instances to renew them.
RECOVERY_S: Final = 2.0
RETRY_S: Final = 0.5
CANCEL_AGAIN_S: Final = 0.1


class Watcher:
    """A watch stream: changed instances not yet sent, in their newest state."""

    def __init__(self, wanted: Filter) -> None:
        self.wanted = wanted
        self._changed: dict[str, pb.Instance] = {}
        self._wake = asyncio.Event()

    def offer(self, instance: pb.Instance) -> None:
        self._changed[instance.id] = instance
        self._wake.set()

    async def take(self) -> list[pb.Instance]:
        await self._wake.wait()
        self._wake.clear()
        changed, self._changed = self._changed, {}
        return list(changed.values())


class _Namespace:
    """The state of a namespace as last sent to its watchers."""

    def __init__(self) -> None:
        self.streams = 0
        self.watchers: set[Watcher] = set()
        self.records: dict[str, Record] = {}
        self.instances: dict[str, pb.Instance] = {}
        self.due_at = 0.0

    def update(self, found: list[Record], now_us: int) -> None:
        """Store the records, and offer changed instances to each watcher.

        A record that Redis lost ages as if it were still there: its instance registers again with
        the next heartbeat, and is not reported as offline until then.
        """
        self.records.update((record.instance.id, record) for record in found)
        gone = []
        for instance_id, record in self.records.items():
            instance = instance_message(record, now_us)
            self._offer(instance, self.instances.get(instance_id))
            self.instances[instance_id] = instance
            if instance.status == pb.INSTANCE_STATUS_OFFLINE:
                gone.append(instance_id)
        present = {record.instance.id for record in found}
        for instance_id in (i for i in gone if i not in present):
            del self.records[instance_id], self.instances[instance_id]

    def next_change_us(self, now_us: int) -> int | None:
        changes = (next_change_us(record, now_us) for record in self.records.values())
        return min((at_us for at_us in changes if at_us is not None), default=None)

    def _offer(self, instance: pb.Instance, known: pb.Instance | None) -> None:
        if known is not None and _same(known, instance):
            return
        for watcher in self.watchers:
            if watcher.wanted.passes(instance):
                watcher.offer(instance)
            elif known is not None and watcher.wanted.passes(known):
                watcher.offer(_offline(known))


class Watchers:
    """All watchers of this process, fed by one task that runs while there are any."""

    def __init__(self, *, store: InstanceStore, log: FilteringBoundLogger) -> None:
        self._store = store
        self._log = log
        self._namespaces: dict[str, _Namespace] = {}
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    @property
    def count(self) -> int:
        return sum(space.streams for space in self._namespaces.values())

    async def watch(self, wanted: Filter) -> AsyncGenerator[tuple[bool, list[pb.Instance]], None]:
        """Yield (True, all matching instances) first, then (False, the changed ones)."""
        if self.count >= WATCHERS_MAX:
            raise Unavailable("SERVICE_UNAVAILABLE", f"more than {WATCHERS_MAX} watchers")
        space = self._namespaces.setdefault(wanted.namespace, _Namespace())
        watcher = Watcher(wanted)
        space.streams += 1
        try:
            self._start()
            await self._refresh(wanted.namespace)
            space.watchers.add(watcher)
            yield True, list(filter(wanted.passes, space.instances.values()))
            while True:
                yield False, await watcher.take()
        finally:
            space.watchers.discard(watcher)
            space.streams -= 1
            if not space.streams:
                del self._namespaces[wanted.namespace]

    async def close(self) -> None:
        while self._task is not None and not self._task.done():
            self._task.cancel()
            # Redis may swallow a cancellation right after a command was sent (CPython issue 86296).
            await asyncio.wait([self._task], timeout=CANCEL_AGAIN_S)
        self._task = None

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(), name="registry-watch")

    async def _follow(self) -> None:
        while self._namespaces:
            try:
                await self._follow_announcements()
            except (RedisError, OSError, Unavailable) as error:
                self._log.warning("registry store away", error=type(error).__name__)
                await self._until_back()
            except Exception as error:  # noqa: BLE001 watchers would otherwise stop getting changes
                self._log.error("registry_watch_failed", exc_info=error)
                await self._until_back()

    async def _until_back(self) -> None:
        """Wait until the store is available, and for instances to renew their leases.

        No heartbeat was stored during the outage, so all instances would appear to be offline.
        """
        while True:
            await asyncio.sleep(RETRY_S)
            if await self._store.answers():
                break
        await asyncio.sleep(RECOVERY_S)

    async def _follow_announcements(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._store.announcements() as subscription:
            # Read once: changes before the subscription were not received.
            for space in self._namespaces.values():
                space.due_at = 0.0
            while self._namespaces:
                due_at = min(space.due_at for space in self._namespaces.values())
                tick_s = min(max(0.0, due_at - loop.time()), TICK_MAX_S)
                announced = await _announced(subscription, tick_s)
                now = loop.time()
                due = {name for name, s in self._namespaces.items() if s.due_at <= now}
                for namespace in announced | due:
                    await self._refresh(namespace)

    async def _refresh(self, namespace: str) -> None:
        """Read the namespace and offer its changes to the watchers."""
        async with self._lock:
            space = self._namespaces.get(namespace)
            if space is None:
                return
            now_us, found = await self._store.read(namespace)
            space.update(found, now_us)
            change_us = space.next_change_us(now_us)
            wait_s = READ_AGAIN_S
            if change_us is not None:
                wait_s = min(wait_s, (change_us - now_us) / 1_000_000)
            space.due_at = asyncio.get_running_loop().time() + wait_s


async def _announced(subscription: PubSub, timeout_s: float) -> set[str]:
    """Return the namespaces announced until the first announcement or the timeout."""
    names = set()
    message = await subscription.get_message(timeout=timeout_s)
    while message is not None:
        if message["type"] == "message":
            names.add(message["data"].decode())
        message = await subscription.get_message(timeout=0)
    return names


def _same(known: pb.Instance, instance: pb.Instance) -> bool:
    heartbeat_at_us = known.heartbeat_at_us
    known.heartbeat_at_us = instance.heartbeat_at_us
    same = known == instance
    known.heartbeat_at_us = heartbeat_at_us
    return same


def _offline(known: pb.Instance) -> pb.Instance:
    instance = pb.Instance()
    instance.CopyFrom(known)
    instance.status = pb.INSTANCE_STATUS_OFFLINE
    return instance
