"""Wake times of executions: near ones in a heap in memory, later ones in the rows.

The earliest wake time beyond the horizon is known, so no query runs before it is needed.
"""

import heapq
import math
from collections.abc import Callable, Iterable, Mapping

from flowmesh.engine import TimersDue
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.storage.database import CONNECTION_LOST
from flowmesh.orchestrator.storage.stores.schedule_store import ScheduleStore
from flowmesh.runtime import Loop

HORIZON_US = 60_000_000
"""Wakes up to this time ahead are kept in memory."""

SCAN_EARLY_US = 5_000_000
SCAN_ROWS_MAX = 10_000
IDLE_S = 3_600.0
RETRY_MS = 1_000.0


class Timers(Loop):
    """Wakes of the executions of owned partitions; a round fires those that are due."""

    jitter = 0.0

    def __init__(
        self,
        *,
        store: ScheduleStore,
        now_us: Callable[[], int],
        epochs: Mapping[int, int],
        submit: Callable[[PendingCommand], None],
    ) -> None:
        self._store = store
        self._now_us = now_us
        self._epochs = epochs
        self._submit = submit
        self._heap: list[tuple[int, str]] = []
        self._known: dict[str, int] = {}
        self._horizon = 0
        self._beyond: float = math.inf
        self._pause_ms = 0.0

    def set(self, execution_id: str, wake_at_us: int) -> None:
        """Wake an execution at this time; 0 means never."""
        if not wake_at_us:
            self._known.pop(execution_id, None)
        elif wake_at_us > self._horizon:
            self._known.pop(execution_id, None)
            if wake_at_us < self._beyond:
                self._beyond = wake_at_us
                self.wake()
        elif self._known.get(execution_id) != wake_at_us:
            self._known[execution_id] = wake_at_us
            heapq.heappush(self._heap, (wake_at_us, execution_id))
            if self._heap[0][0] == wake_at_us:
                self.wake()

    async def load(self, partitions: Iterable[int]) -> None:
        """Load the wakes of gained partitions up to the horizon."""
        mine = list(partitions)
        await self._scan(mine, 0, self._horizon)
        await self._look_beyond(mine)

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        gone = set(partitions)
        for execution_id in [i for i in self._known if partition_of(i) in gone]:
            del self._known[execution_id]

    async def run_once(self) -> None:
        try:
            self._pause_ms = max(await self.step() * 1_000, 1.0)
        except CONNECTION_LOST:
            self._pause_ms = RETRY_MS

    def pause_ms(self) -> float:
        return self._pause_ms

    async def step(self) -> float:
        """Fire due wakes and read the next ones. Return the seconds until the next step."""
        now_us = self._now_us()
        self._fire(now_us)
        if self._beyond - SCAN_EARLY_US <= now_us:
            await self._extend(now_us)
        due = min(self._heap[0][0] if self._heap else math.inf, self._beyond - SCAN_EARLY_US)
        return min((due - now_us) / 1e6, IDLE_S)

    def _fire(self, now_us: int) -> None:
        while self._heap and self._heap[0][0] <= now_us:
            wake_at_us, execution_id = heapq.heappop(self._heap)
            partition = partition_of(execution_id)
            if self._known.get(execution_id) != wake_at_us or partition is None:
                continue
            del self._known[execution_id]
            failpoint("orchestrator.timer_due")
            self._submit(PendingCommand(execution_id, partition, TimersDue()))

    async def _extend(self, now_us: int) -> None:
        """Advance the horizon and read the wakes up to it."""
        before, self._horizon = self._horizon, now_us + HORIZON_US
        beyond, self._beyond = self._beyond, math.inf
        try:
            mine = list(self._epochs)
            await self._scan(mine, before, self._horizon)
            await self._look_beyond(mine)
        except BaseException:
            # Incomplete: the next round begins at the same horizon.
            self._horizon, self._beyond = before, min(beyond, self._beyond)
            raise

    async def _scan(self, partitions: list[int], after: int, until: int) -> None:
        """Read wakes of an interval; newer ones that were set meanwhile stay."""
        epochs = {p: self._epochs.get(p) for p in partitions}
        after, after_id = after + 1, ""
        while after <= until:
            rows = await self._store.due_executions(
                partitions,
                after=after,
                after_id=after_id,
                until=until,
                rows_max=SCAN_ROWS_MAX,
            )
            for row in rows:
                partition = partition_of(row.id)
                ours = partition is not None and partition in self._epochs
                if ours and self._epochs.get(partition or 0) == epochs[partition or 0]:
                    self._read(row.id, row.wake_at)
            if len(rows) < SCAN_ROWS_MAX:
                return
            # Any number of executions may wake in the same microsecond.
            after, after_id = rows[-1].wake_at, rows[-1].id

    def _read(self, execution_id: str, wake_at_us: int) -> None:
        if execution_id not in self._known:
            self.set(execution_id, wake_at_us)

    async def _look_beyond(self, partitions: list[int]) -> None:
        """Read the earliest wake beyond the horizon, unless an earlier one is known."""
        found = await self._store.next_wake(partitions, after=self._horizon)
        if found is not None and found < self._beyond:
            self._beyond = found
            self.wake()
