"""Which workers are attached to this owner, written down for the next one to wait for."""

from collections.abc import Callable, Coroutine
from typing import Any

from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.database import CONNECTION_LOST
from flowmesh.orchestrator.storage.stores.partition_store import PartitionStore
from flowmesh.rpc import is_id

Noted = tuple[int, list[str] | None]
"""An incarnation and its workers; None where they are too many, or not all known by proper names.

An owner that finds no list waits as long as it ever does.
"""

NAMES_MAX = 10_000


class AttachedWorkers:
    """Writes the list whenever it is another one. `workers` says who is on it now."""

    def __init__(
        self,
        *,
        store: PartitionStore,
        ownership: Ownership,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._spawn = spawn
        self._written: Noted = (0, None)
        self._writing = False

    def note(self, attached: Callable[[], set[str] | None]) -> None:
        """Store the workers that `attached` returns, if they changed; one statement at a time.

        A young owner stores nothing: workers of its predecessor may still be attaching to it.
        """
        if not self._writing and not self._ownership.young:
            self._writing = True
            self._spawn(self._write(attached))

    def _now(self, attached: Callable[[], set[str] | None]) -> Noted:
        workers = attached()
        if workers is None or len(workers) > NAMES_MAX or not all(map(is_id, workers)):
            return self._ownership.incarnation, None
        return self._ownership.incarnation, sorted(workers)

    async def _write(self, attached: Callable[[], set[str] | None]) -> None:
        try:
            while (now := self._now(attached)) != self._written:
                incarnation, workers = now
                await self._store.record_workers(incarnation, workers)
                self._written = now
        except CONNECTION_LOST:
            return  # the next renewal of the lease notes it again
        finally:
            self._writing = False
