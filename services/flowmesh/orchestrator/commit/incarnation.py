"""Registration of incarnations: a process starts over when its memory and the rows may differ."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.limits.rule_loader import RuleLoader
from flowmesh.orchestrator.model.background import BackgroundTasks
from flowmesh.orchestrator.ownership.lease_keeper import LeaseKeeper
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.commit_connection import CommitConnection
from flowmesh.orchestrator.storage.database import CONNECTION_LOST, RETRY_S
from flowmesh.orchestrator.storage.stores.history_days import HistoryDays
from flowmesh.orchestrator.storage.stores.partition_store import PartitionStore


class Incarnation:
    """Registers this process with the database, and registers it anew when it must start over."""

    def __init__(
        self,
        *,
        partitions: PartitionStore,
        history_days: HistoryDays,
        ownership: Ownership,
        keeper: LeaseKeeper,
        line: CommitConnection,
        publisher: Publisher,
        rules: RuleLoader,
        background: BackgroundTasks,
        barrier: Callable[[], Awaitable[None]],
        log: Any,
    ) -> None:
        self._partitions = partitions
        self._history_days = history_days
        self._ownership = ownership
        self._keeper = keeper
        self._line = line
        self._publisher = publisher
        self._rules = rules
        self._background = background
        self._barrier = barrier
        self._log = log
        # Number of ends since the last complete begin.
        self._ends = 0

    async def begin(self) -> None:
        """Register an incarnation; the first renewal of its lease claims partitions."""
        await self._history_days.ensure()
        await self._rules.load()
        incarnation = await self._keeper.register()
        # Before the commit line: its commits are published from position 0 on.
        self._publisher.begin(incarnation, 0)
        await self._line.begin(incarnation)
        tenure = await self._keeper.renew()
        if tenure is not None and not tenure.renewed:
            self.over()

    async def end(self) -> None:
        """Hand all partitions over and close the commit line, after accepted commands."""
        await self._keeper.drain()
        self._background.cancel_all()
        await self._line.close()

    def over(self) -> None:
        """Start over as a new incarnation: the database was restored, or memory may be wrong."""
        self._log.warning("incarnation_over", incarnation=self._ownership.incarnation)
        self._keeper.forget_all()
        self._ends += 1
        if self._ends == 1:
            self._background.spawn(self._begin_again())

    async def _begin_again(self) -> None:
        """Begin a new incarnation, and another one if that is over before it has begun."""
        while self._ends:
            ends = self._ends
            try:
                await self._barrier()
                await self._partitions.end_lease(self._ownership.incarnation)
                await self.begin()
                self._ends -= ends
            except CONNECTION_LOST as error:
                self._log.info("begin_waits", problem=type(error).__name__)
                await asyncio.sleep(RETRY_S)

    def lease_expired(self) -> None:
        """Log that dispatch has stopped until the lease is renewed."""
        self._log.warning("lease_expired", incarnation=self._ownership.incarnation)
