"""The runs of an execution that continues as new."""

from __future__ import annotations

import asyncio

from flowmesh.engine import State
from flowmesh.engine.state.state import EXECUTION_CONTINUED
from flowmesh.errors import Unavailable
from flowmesh.orchestrator.storage.stores.execution_store import ExecutionStore, RunRow

RUNS_AT_ONCE = 1_000
"""Runs that one statement follows; a caller asks again for more."""

NEXT_RUN_PAUSE_S = 0.05
"""Pause between two reads while the next run is about to start."""


class Runs:
    """Finds later runs, and executions started by others, by their request ids."""

    def __init__(self, *, store: ExecutionStore) -> None:
        self._store = store

    async def started_under(self, namespace: str, request_id: str) -> RunRow | None:
        """Return the execution that another one started with this request id."""
        return await self._store.started_by(namespace, request_id)

    async def last(self, namespace: str, execution_id: str, until: float) -> str:
        """Return the last run of an execution; the next run starts right after the end of one.

        Raises Unavailable if there is none in time.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await self.last_now(namespace, execution_id)
            except Unavailable:
                if loop.time() >= until:
                    raise
            await asyncio.sleep(NEXT_RUN_PAUSE_S)

    async def last_now(self, namespace: str, execution_id: str) -> str:
        last = await self._store.last_run(namespace, execution_id, RUNS_AT_ONCE)
        if last is None:
            raise Unavailable("PARTITION_UNAVAILABLE", "the next run is about to start")
        return last

    async def continued_as(self, state: State) -> str:
        """Return the id of the run after this one; empty if there is none, or not yet."""
        if state.status != EXECUTION_CONTINUED:
            return ""
        row = await self.started_under(state.plan.namespace, f"{state.execution_id}/next")
        return row.id if row is not None else ""
