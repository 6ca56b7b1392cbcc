"""Take-over of gained partitions and release of lost ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

from flowmesh.orchestrator.commit.messenger import Messengers
from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.commit.starts import Starts
from flowmesh.orchestrator.commit.timers import Timers
from flowmesh.orchestrator.commit.waiters import Waiters
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.dispatch.recovery import Recovery
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.database import CONNECTION_LOST, RETRY_S, until_answered
from flowmesh.orchestrator.storage.states import States


class PartitionTakeover:
    """Loads gained partitions in the background, and drops lost ones from memory.

    The functions in `recovered` are called in order with partitions whose tasks are known.
    """

    def __init__(
        self,
        *,
        ownership: Ownership,
        states: States,
        dispatcher: Dispatcher,
        recovery: Recovery,
        starts: Starts,
        timers: Timers,
        messenger: Messengers,
        waiters: Waiters,
        publisher: Publisher,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        log: Any,
        recovered: Sequence[Callable[[list[int]], Awaitable[None]]] = (),
    ) -> None:
        self._ownership = ownership
        self._states = states
        self._dispatcher = dispatcher
        self._recovery = recovery
        self._starts = starts
        self._timers = timers
        self._messenger = messenger
        self._waiters = waiters
        self._publisher = publisher
        self._spawn = spawn
        self._log = log
        self._recovered = recovered

    async def gained(self, partitions: dict[int, int], workers: frozenset[str] | None) -> None:
        for incarnation, position in self._ownership.inherited.items():
            self._publisher.inherit(incarnation, position)
        self._spawn(self._take_over(dict(partitions), workers))

    async def _take_over(self, partitions: dict[int, int], workers: frozenset[str] | None) -> None:
        """Load starts, timers, messages and tasks; retry while the partitions are owned."""
        while True:
            mine = self._recovery.still_ours(partitions)
            if not mine:
                return
            try:
                await self._starts.load(mine)
                await self._timers.load(mine)
                await self._recovery.finish_stranded(mine)
                await self._messenger.load(mine)
                break
            except CONNECTION_LOST as error:
                self._log.info("take_over_waits", problem=type(error).__name__)
                await asyncio.sleep(RETRY_S)
        epochs = {p: partitions[p] for p in mine}
        found = await self._recovery.recover(self._dispatcher, epochs, workers)
        self._log.info("partitions_recovered", partitions=len(mine), open_tasks=found)
        for recovered in self._recovered:
            await until_answered(partial(recovered, mine))

    def lost(self, partitions: Iterable[int]) -> None:
        gone = list(partitions)
        self._dispatcher.drop_partitions(gone)
        self._states.evict_partitions(gone)
        self._timers.drop_partitions(gone)
        self._waiters.drop_partitions(gone)
        self._starts.drop_partitions(gone)

    def resumed(self) -> None:
        self._dispatcher.adoption.resumed()
        self._dispatcher.pump()
