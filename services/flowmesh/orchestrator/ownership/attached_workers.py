"""The list of workers attached to this owner, stored for the next owner to wait for."""

from collections.abc import Callable, Coroutine
from typing import Any

from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.database import CONNECTION_LOST
from flowmesh.orchestrator.storage.stores.partition_store import PartitionStore
from flowmesh.rpc import is_id

StoredList = tuple[int, list[str] | None]
"""An incarnation and its workers; None if they are too many, unknown or have malformed names.

Without a list the new owner waits the full grace period.
"""

NAMES_MAX = 10_000


class AttachedWorkers:
    """Stores the list of workers whenever it changes."""

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
        self._written: StoredList = (0, None)
        self._writing = False

    def note(self, attached: Callable[[], set[str] | None]) -> None:
        """Store the workers that `attached` returns, if they changed; one statement at a time.

        A young owner stores nothing: workers of its predecessor may still be attaching to it.
        """
        if not self._writing and not self._ownership.young:
            self._writing = True
            self._spawn(self._write(attached))

    def _now(self, attached: Callable[[], set[str] | None]) -> StoredList:
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
            return  # stored at the next renewal of the lease
        finally:
            self._writing = False
