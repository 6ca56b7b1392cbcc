"""The instances of all services: those of this process, and those of the registry.

The last known instances are kept while the registry is unavailable, or restarts without data.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from flowmesh.api.registry.v1 import registry_service_pb2 as pb

LOCAL = "local"
# An instance missing from a snapshot is kept this long: it may not have registered again yet.
MISSING_KEPT_S = 5.0
_RANK = {
    pb.INSTANCE_STATUS_HEALTHY: 0,
    pb.INSTANCE_STATUS_UNSPECIFIED: 1,
    pb.INSTANCE_STATUS_DEGRADED: 1,
    pb.INSTANCE_STATUS_UNHEALTHY: 2,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One instance of a service; the address is `host:port`, or `local` in this process."""

    id: str
    address: str


@dataclass(slots=True)
class Known:
    """An instance with its state in the registry."""

    service: str
    endpoint: Endpoint
    rank: int
    missing_since: float = 0.0


class Directory:
    """The current instances; waiters and watches are notified of every change."""

    def __init__(self) -> None:
        self._local: dict[str, Endpoint] = {}
        self._known: dict[str, Known] = {}
        self._rotation = itertools.count()
        self._changed = asyncio.Event()

    def add_local(self, service: str, instance_id: str) -> None:
        """Add a service of this process."""
        self._local[service] = Endpoint(instance_id, LOCAL)
        self._notify()

    def replace(self, instances: list[pb.Instance]) -> None:
        """Apply a snapshot of the registry."""
        present = {instance.id for instance in instances}
        now = time.monotonic()
        for known in self._known.values():
            if known.endpoint.id not in present and not known.missing_since:
                known.missing_since = now
        self.update(instances)

    def update(self, instances: list[pb.Instance]) -> None:
        """Apply changed instances; remove those that are offline."""
        for instance in instances:
            rank = _RANK.get(instance.status)
            if rank is None:
                self._known.pop(instance.id, None)
            else:
                endpoint = Endpoint(instance.id, instance.endpoint)
                self._known[instance.id] = Known(instance.name, endpoint, rank)
        self.forget_missing()
        self._notify()

    def forget_missing(self) -> None:
        """Remove the instances that were missing from snapshots for too long."""
        limit = time.monotonic() - MISSING_KEPT_S
        expired = [key for key, known in self._known.items() if 0 < known.missing_since < limit]
        for key in expired:
            del self._known[key]
        if expired:
            self._notify()

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """Return all instances of a service, that of this process first."""
        mine = self._local.get(service)
        others = [
            known.endpoint
            for known in self._known.values()
            if known.service == service and (mine is None or known.endpoint.id != mine.id)
        ]
        others.sort(key=lambda endpoint: endpoint.id)
        return (mine, *others) if mine is not None else tuple(others)

    def addresses(self) -> set[str]:
        """Return the addresses of all known instances."""
        return {known.endpoint.address for known in self._known.values()}

    def pick(self, service: str, responds: Callable[[str], bool]) -> Endpoint | None:
        """Return the instance for the next call: of this process, else the healthiest in rotation.

        Instances that recently did not respond are last, independent of their health.
        """
        mine = self._local.get(service)
        if mine is not None:
            return mine
        instances = [known for known in self._known.values() if known.service == service]
        if not instances:
            return None
        ranked = [(not responds(known.endpoint.address), known.rank, known) for known in instances]
        best = min((silent, rank) for silent, rank, _ in ranked)
        choice = [known.endpoint for silent, rank, known in ranked if (silent, rank) == best]
        return choice[next(self._rotation) % len(choice)]

    async def until_changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    async def watch(self, service: str) -> AsyncGenerator[tuple[Endpoint, ...], None]:
        """Yield the set of instances now, and after each change of it."""
        last: tuple[Endpoint, ...] | None = None
        while True:
            changed = self._changed
            current = self.endpoints(service)
            if current != last:
                last = current
                yield current
            if self._changed is changed:
                await changed.wait()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
