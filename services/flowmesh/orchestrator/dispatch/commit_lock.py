"""The lock that a commit holds, and ways to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions


async def _nothing() -> None:
    """Do nothing: the wait itself is all that is asked for."""


class CommitLock:
    """Held by the committer from the first decision of a batch until its effects are sent."""

    def __init__(self, uncommitted: UncommittedExecutions) -> None:
        self._uncommitted = uncommitted
        self.lock = asyncio.Lock()
        # Number of functions that wait for the end of a commit.
        self.awaited = 0

    async def barrier(self) -> None:
        """Wait until the commit in flight is done."""
        await self.exclusively(_nothing)

    async def exclusively(self, function: Callable[[], Awaitable[None]]) -> None:
        """Run a function while nothing is decided or committed."""
        self.awaited += 1
        try:
            await self.lock.acquire()
        finally:
            self.awaited -= 1
        try:
            await function()
        finally:
            self.lock.release()

    async def settled(self, execution_id: str) -> None:
        """Wait until every decision about an execution is committed or discarded."""
        while execution_id in self._uncommitted:
            await self.barrier()
