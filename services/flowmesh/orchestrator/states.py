"""Executions in memory: the states this process owns, bounded, rebuilt from rows when cold."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import State, apply, replay, restore_held
from flowmesh.orchestrator.batch import Row
from flowmesh.orchestrator.ids import partition_of
from flowmesh.orchestrator.plans import PlanCache
from flowmesh.orchestrator.snapshots import restore
from flowmesh.orchestrator.store import OrchestratorStore, StoredExecution

STATE_BYTES_MAX = 256 << 20
"""Estimated bytes of states kept; beyond it the least recently used ones are dropped."""

ENDED_MAX = 1_000
"""Ended executions kept for those who look at them right after."""

LOAD_BATCH = 200
_BASE_BYTES = 2_000
_EVENT_FACTOR = 3


class Entry:
    """A state with the columns last written of it. `size` is an estimate in bytes."""

    __slots__ = ("row", "size", "snapshot_sequence", "state")

    def __init__(self, state: State, row: Row | None, size: int = _BASE_BYTES) -> None:
        self.state = state
        self.row = row
        self.size = size
        self.snapshot_sequence = 0


class States:
    """The cache of states, and how a cold one is rebuilt."""

    def __init__(self, *, store: OrchestratorStore, plans: PlanCache) -> None:
        self._store = store
        self._plans = plans
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._ended: deque[str] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, execution_id: str) -> Entry | None:
        return self._entries.get(execution_id)

    def put(self, entry: Entry, grown_bytes: int) -> None:
        """Keeps an entry as the most recently used one."""
        execution_id = entry.state.execution_id
        if execution_id in self._entries:
            self._entries.move_to_end(execution_id)
        else:
            self._entries[execution_id] = entry
            self._size += entry.size
        entry.size += grown_bytes * _EVENT_FACTOR
        self._size += grown_bytes * _EVENT_FACTOR
        while self._size > STATE_BYTES_MAX and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            self._size -= oldest.size

    def ended(self, execution_id: str) -> None:
        """Nothing more happens to it: it stays a while for those who look, then goes first."""
        self._ended.append(execution_id)
        if len(self._ended) > ENDED_MAX:
            self.evict(self._ended.popleft())

    def evict(self, execution_id: str) -> None:
        entry = self._entries.pop(execution_id, None)
        if entry is not None:
            self._size -= entry.size

    def evict_partitions(self, partitions: Iterable[int]) -> None:
        gone = set(partitions)
        for execution_id in [i for i in self._entries if partition_of(i) in gone]:
            self.evict(execution_id)

    async def load(self, execution_ids: Sequence[str]) -> dict[str, Entry]:
        """Rebuilds executions from rows, without keeping them. Unknown ids are left out."""
        found: dict[str, Entry] = {}
        for start in range(0, len(execution_ids), LOAD_BATCH):
            ids = execution_ids[start : start + LOAD_BATCH]
            for stored in await self._store.load(ids, self._plans.by_digest):
                found[stored.execution_id] = self._rebuild(stored)
                await asyncio.sleep(0)
        return found

    def _rebuild(self, stored: StoredExecution) -> Entry:
        plan = self._plans.by_digest.get(stored.plan_digest)
        if plan is None:
            plan = self._plans.remember(plan_pb2.Plan.FromString(stored.plan_body))
        events = (
            event
            for row in stored.events
            for event in history_event_pb2.HistoryEvents.FromString(row).events
        )
        if stored.snapshot is None:
            state = replay(stored.execution_id, plan, events)
        else:
            state = restore(stored.execution_id, plan, stored.snapshot)
            for event in events:
                apply(state, event)
            restore_held(state)
        size = _BASE_BYTES + _EVENT_FACTOR * sum(map(len, stored.events))
        entry = Entry(state, Row(state, state.started_at_us, None), size)
        entry.snapshot_sequence = state.sequence if stored.snapshot else 0
        return entry
