"""Where the services are: those of this process, and those the registry tells of.

What was heard last is kept when the registry is away, so a registry that restarts empty or stays
down disturbs nobody.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from flowmesh.api.registry.v1 import registry_service_pb2 as pb

LOCAL = "local"
# An instance that a new snapshot lacks is kept this long: it may just not have come back yet.
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
    """An instance and what the registry says of it."""

    service: str
    endpoint: Endpoint
    rank: int
    missing_since: float = 0.0


class Directory:
    """The current view; waits and watches wake on every change."""

    def __init__(self) -> None:
        self._local: dict[str, Endpoint] = {}
        self._known: dict[str, Known] = {}
        self._turn = itertools.count()
        self._changed = asyncio.Event()

    def add_local(self, service: str, instance_id: str) -> None:
        """A service of this process is there."""
        self._local[service] = Endpoint(instance_id, LOCAL)
        self._notify()

    def replace(self, instances: list[pb.Instance]) -> None:
        """Takes a snapshot of the registry."""
        present = {instance.id for instance in instances}
        now = time.monotonic()
        for known in self._known.values():
            if known.endpoint.id not in present and not known.missing_since:
                known.missing_since = now
        self.update(instances)

    def update(self, instances: list[pb.Instance]) -> None:
        """Takes changed instances; one that is offline is gone."""
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
        """Drops what has been missing from snapshots for too long."""
        limit = time.monotonic() - MISSING_KEPT_S
        gone = [key for key, known in self._known.items() if 0 < known.missing_since < limit]
        for key in gone:
            del self._known[key]
        if gone:
            self._notify()

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """All instances of a service, that of this process first."""
        mine = self._local.get(service)
        others = [
            known.endpoint
            for known in self._known.values()
            if known.service == service and (mine is None or known.endpoint.id != mine.id)
        ]
        others.sort(key=lambda endpoint: endpoint.id)
        return (mine, *others) if mine is not None else tuple(others)

    def addresses(self) -> set[str]:
        """All addresses in the view."""
        return {known.endpoint.address for known in self._known.values()}

    def pick(self, service: str, answers: Callable[[str], bool]) -> Endpoint | None:
        """The instance for the next call: of this process, else the healthiest in turn.

        Those whose address did not answer lately come last, whatever the registry says.
        """
        mine = self._local.get(service)
        if mine is not None:
            return mine
        there = [known for known in self._known.values() if known.service == service]
        if not there:
            return None
        ranked = [(not answers(known.endpoint.address), known.rank, known) for known in there]
        best = min((silent, rank) for silent, rank, _ in ranked)
        choice = [known.endpoint for silent, rank, known in ranked if (silent, rank) == best]
        return choice[next(self._turn) % len(choice)]

    async def until_changed(self) -> None:
        """Returns at the next change."""
        await self._changed.wait()

    async def watch(self, service: str) -> AsyncGenerator[tuple[Endpoint, ...], None]:
        """The set of instances now, then after each change of it."""
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
