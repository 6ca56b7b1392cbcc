"""The lock that a commit holds, and ways to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions


class CommitLock:
    """Held by the committer from the first decision of a batch until its effects are sent."""

    def __init__(self, uncommitted: UncommittedExecutions) -> None:
        self._uncommitted = uncommitted
        self.lock = asyncio.Lock()

    async def barrier(self) -> None:
        """Wait until the commit in flight is done."""
        async with self.lock:
            return

    async def exclusively(self, function: Callable[[], Awaitable[None]]) -> None:
        """Run a function while nothing is decided or committed."""
        async with self.lock:
            await function()

    async def settled(self, execution_id: str) -> None:
        """Wait until every decision about an execution is committed or discarded."""
        while execution_id in self._uncommitted:
            await self.barrier()
