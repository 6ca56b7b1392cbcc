"""Commands parked until their execution is loaded; several share one read.

If the database does not answer, callers get an error at once. Commands that no caller repeats
(results, timers, lost deliveries) wait until it answers.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from flowmesh.orchestrator.commit.inbox import BY_CALLERS, Inbox
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.errors import (
    Moved,
    execution_not_found,
    execution_unreadable,
    storage_unavailable,
)
from flowmesh.orchestrator.storage.database import CONNECTION_LOST, RETRY_S
from flowmesh.orchestrator.storage.states import Found, States

LOADS_MAX = 4
LOAD_IDS = 200


class PendingLoads:
    """Parks commands, and returns them to the inbox when their execution is in memory."""

    def __init__(
        self,
        *,
        states: States,
        epochs: Mapping[int, int],
        log: Any,
        inbox: Inbox,
    ) -> None:
        self._states = states
        self._epochs = epochs
        self._log = log
        self._inbox = inbox
        self._waiting: dict[str, list[PendingCommand]] = {}
        self._reading: set[str] = set()
        self._loads: set[asyncio.Task[None] | None] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def park(self, pending: PendingCommand) -> None:
        """Park a command until its execution is loaded."""
        waiting = self._waiting.get(pending.execution_id)
        if waiting is not None:
            waiting.append(pending)
            return
        self._waiting[pending.execution_id] = [pending]
        if len(self._loads) < LOADS_MAX:
            task = asyncio.create_task(self._load())
            self._loads.add(task)
            task.add_done_callback(self._loads.discard)

    async def _load(self) -> None:
        """Load executions of parked commands until none is left."""
        while ids := self._next_ids():
            self._reading.update(ids)
            try:
                found = await self._states.fetch(ids)
            except CONNECTION_LOST as error:
                self._log.warning("load_failed", error=type(error).__name__)
                self._refuse_callers(ids)
                await asyncio.sleep(RETRY_S)
                continue
            finally:
                self._reading.difference_update(ids)
            for execution_id in ids:
                self._read(execution_id, found)
        # Before this task ends: a command parked in this pass of the event loop starts another.
        self._loads.discard(asyncio.current_task())

    def _next_ids(self) -> list[str]:
        return [i for i in self._waiting if i not in self._reading][:LOAD_IDS]

    def _read(self, execution_id: str, found: Found) -> None:
        commands = self._waiting.pop(execution_id, [])
        if execution_id in found:
            self._inbox.put_back(commands, first=True)
            return
        for pending in commands:
            if pending.partition not in self._epochs:
                pending.answer(Moved(pending.partition))
            elif execution_id in found.broken:
                pending.answer(execution_unreadable(execution_id))
            else:
                pending.answer(execution_not_found(execution_id))

    def _refuse_callers(self, execution_ids: Iterable[str]) -> None:
        for execution_id in execution_ids:
            commands = self._waiting.pop(execution_id, [])
            kept = [pending for pending in commands if not isinstance(pending.command, BY_CALLERS)]
            if kept:
                self._waiting[execution_id] = kept
            for pending in commands:
                if isinstance(pending.command, BY_CALLERS):
                    pending.answer(storage_unavailable())
