"""Which workers are attached to this owner, written down for the next one to wait for."""

from collections.abc import Callable, Coroutine
from typing import Any

from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.store import CONNECTION_LOST, OrchestratorStore
from flowmesh.rpc import is_id

Noted = tuple[int, list[str] | None]
"""An incarnation and its workers; None where they are too many, or not all known by proper names.

An owner that finds no list waits as long as it ever does.
"""

NAMES_MAX = 10_000


class Roll:
    """Writes the list whenever it is another one. `workers` says who is on it now."""

    def __init__(
        self,
        *,
        store: OrchestratorStore,
        ownership: Ownership,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._spawn = spawn
        self.workers: Callable[[], set[str] | None] = set
        self._written: Noted = (0, None)
        self._writing = False

    def note(self) -> None:
        """Looks who is there; one look and one statement at a time, however many come at once.

        Not for a young owner: workers of the one before may still be on their way to it.
        """
        if not self._writing and not self._ownership.young:
            self._writing = True
            self._spawn(self._write())

    def _now(self) -> Noted:
        workers = self.workers()
        if workers is None or len(workers) > NAMES_MAX or not all(map(is_id, workers)):
            return self._ownership.incarnation, None
        return self._ownership.incarnation, sorted(workers)

    async def _write(self) -> None:
        try:
            while (now := self._now()) != self._written:
                incarnation, workers = now
                await self._store.one("note_workers", incarnation=incarnation, workers=workers)
                self._written = now
        except CONNECTION_LOST:
            return  # until it is noted again: with each renewal of the lease
        finally:
            self._writing = False
