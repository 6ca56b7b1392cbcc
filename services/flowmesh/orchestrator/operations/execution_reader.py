"""States of executions as last committed."""

from __future__ import annotations

from flowmesh.engine import State
from flowmesh.orchestrator.dispatch.commit_lock import CommitLock
from flowmesh.orchestrator.model.errors import execution_not_found, execution_unreadable
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.states import States

ENDED_SHOWN_US = 60_000_000
"""Time for which an ended execution is read from memory; no retention is shorter."""


class ExecutionReader:
    """Reads states from memory if this process owns them, else from their rows."""

    def __init__(self, *, states: States, ownership: Ownership, lock: CommitLock) -> None:
        self._states = states
        self._ownership = ownership
        self._lock = lock

    async def state(self, namespace: str, execution_id: str) -> State:
        """Return the state of an execution as last committed, from memory or from its rows.

        Memory is used only while the lease is valid: another owner may have continued since. An
        ended execution is read from memory for one minute only: any process may delete it later.
        """
        await self._lock.settled(execution_id)
        partition, ownership = partition_of(execution_id), self._ownership
        entry = None
        if partition in ownership.epochs and ownership.lease_valid:
            entry = self._states.get(execution_id)
        if entry is not None and 0 < entry.state.ended_at_us < ownership.now_us() - ENDED_SHOWN_US:
            entry = None
        if entry is None and partition is not None:
            found = await self._states.load([execution_id])
            if execution_id in found.broken:
                raise execution_unreadable(execution_id)
            entry = found.get(execution_id)
        if entry is None or entry.state.plan.namespace != namespace or not entry.state.sequence:
            raise execution_not_found(execution_id)
        return entry.state

    def runs_here(self, namespace: str, execution_id: str) -> bool:
        """Return whether an execution is owned here, in memory and running."""
        ownership = self._ownership
        entry = self._states.get(execution_id)
        if entry is None or not ownership.lease_valid:
            return False
        state = entry.state
        ours = partition_of(execution_id) in ownership.epochs and not state.ended
        return ours and bool(state.sequence) and state.plan.namespace == namespace
