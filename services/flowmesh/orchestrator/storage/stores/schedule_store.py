"""Executions by what they wait for: workers, timers, or nothing that is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flowmesh.orchestrator.storage.database import Queries


class Lane(NamedTuple):
    """A queue of a namespace at one priority."""

    namespace: str
    queue: str
    priority: int


class ReadyExecution(NamedTuple):
    """An execution with tasks for workers, since `ready_since` microseconds."""

    id: str
    ready_since: int


class DueExecution(NamedTuple):
    """An execution with a timer that fires at `wake_at` microseconds."""

    id: str
    wake_at: int


class ScheduleStore:
    """Finds executions of partitions with open tasks, due timers, or neither."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def ready_lanes(self, partitions: Sequence[int]) -> list[Lane]:
        """Return the lanes in which executions have tasks for workers, the most urgent first."""
        return await self._queries.records(Lane, "ready_lanes", partitions=list(partitions))

    async def ready_executions(
        self,
        partitions: Sequence[int],
        lane: Lane,
        *,
        after: ReadyExecution,
        rows_max: int,
    ) -> list[ReadyExecution]:
        """Return the next executions of a lane, in the order in which their tasks are sent."""
        return await self._queries.records(
            ReadyExecution,
            "ready_executions",
            partitions=list(partitions),
            namespace=lane.namespace,
            queue=lane.queue,
            priority=lane.priority,
            after_since=after.ready_since,
            after_id=after.id,
            rows_max=rows_max,
        )

    async def due_executions(
        self,
        partitions: Sequence[int],
        *,
        after: int,
        after_id: str,
        until: int,
        rows_max: int,
    ) -> list[DueExecution]:
        """Return the next executions whose timers fire from `after` to `until` microseconds."""
        return await self._queries.records(
            DueExecution,
            "due_executions",
            partitions=list(partitions),
            after=after,
            after_id=after_id,
            until=until,
            rows_max=rows_max,
        )

    async def next_wake(self, partitions: Sequence[int], *, after: int) -> int | None:
        """Return the time of the first timer behind `after`, in microseconds."""
        found: int | None = await self._queries.one(
            "next_wake", partitions=list(partitions), after=after
        )
        return found

    async def stranded_executions(self, partitions: Sequence[int]) -> list[str]:
        """Return running executions with neither open tasks nor timers."""
        rows = await self._queries.rows("stranded_executions", partitions=list(partitions))
        return [row["id"] for row in rows]
