"""Executions in memory: a bounded cache of the states this process owns, rebuilt from rows."""

import asyncio
import sys
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from flowmesh.access.encryption import NO_KEYS, DataKeys, history_place, snapshot_place
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import State, apply, dispose, replay, restore_held
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.storage.batch import Row
from flowmesh.orchestrator.storage.finished import FinishedStates
from flowmesh.orchestrator.storage.snapshots import restore
from flowmesh.orchestrator.storage.stores.execution_store import (
    CachedSnapshots,
    ExecutionStore,
    StoredExecution,
    no_snapshots,
)
from flowmesh.plan import Plan

STATE_BYTES_MAX = 256 << 20
"""Estimated bytes of cached states; beyond it the least recently used ones are evicted."""

ENDED_MAX = 1_000
"""Ended executions that stay cached for readers right after their end."""

LOAD_BATCH = 200
_BASE_BYTES = 3_500
_FACTOR = 3


class Entry:
    """A state with its columns as last written.

    `size` is an estimate in bytes: of the last snapshot, of `snapshot_bytes`, and of the events
    since.
    """

    __slots__ = ("row", "size", "snapshot_bytes", "snapshot_sequence", "state")

    def __init__(self, state: State, row: Row | None, size: int = _BASE_BYTES) -> None:
        self.state = state
        self.row = row
        self.size = size
        self.snapshot_sequence = 0
        self.snapshot_bytes: int | None = None


def _events(rows: Iterable[bytes]) -> Iterator[history_event_pb2.HistoryEvent]:
    """Decode one row at a time: a long history is never in memory as a whole."""
    for row in rows:
        yield from history_event_pb2.HistoryEvents.FromString(row).events


def _dispose(entry: Entry | None, unshared: int) -> int:
    """Dispose of an entry without other references; return the references to it and its state.

    Without this the garbage collector has to find it, which delays everything else.
    """
    if entry is None:
        return 0
    references = sys.getrefcount(entry) + sys.getrefcount(entry.state)
    if references == unshared:
        dispose(entry.state)
    return references


_UNSHARED = _dispose(Entry(State("", Plan(plan_pb2.Plan(), [], None)), None), 0)
"""References to an entry and its state that nothing else refers to."""


class Found(dict[str, Entry]):
    """Executions by id. `broken` are those whose rows cannot be decoded into a state."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()


class States:
    """The cache of states."""

    def __init__(
        self,
        *,
        store: ExecutionStore,
        plans: PlanCache,
        epochs: Mapping[int, int],
        log: Any,
        keys: DataKeys = NO_KEYS,
        finished: FinishedStates | None = None,
    ) -> None:
        self._store = store
        self._plans = plans
        self._epochs = epochs
        self._log = log
        self._keys = keys
        self._finished = finished
        self._finished_kept: CachedSnapshots = (
            finished.kept if finished is not None else no_snapshots
        )
        # The executions that were committed during each running read of rows.
        self._reads: dict[object, set[str]] = {}
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._ended: deque[str] = deque()
        self._size = 0
        self.discarded = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Estimated bytes of all cached states."""
        return self._size

    def get(self, execution_id: str) -> Entry | None:
        return self._entries.get(execution_id)

    def put(self, entry: Entry, grown_bytes: int) -> None:
        """Cache an entry that was just committed, in place of a former one of its execution."""
        for changed in self._reads.values():
            changed.add(entry.state.execution_id)
        self._keep(entry, grown_bytes)

    def _keep(self, entry: Entry, grown_bytes: int) -> None:
        execution_id = entry.state.execution_id
        known = self._entries.get(execution_id)
        if known is not entry:
            self.evict(execution_id)
            self._entries[execution_id] = entry
            self._size += entry.size
        else:
            self._entries.move_to_end(execution_id)
        size = entry.size + _FACTOR * grown_bytes
        if entry.snapshot_bytes is not None:
            size, entry.snapshot_bytes = _BASE_BYTES + _FACTOR * entry.snapshot_bytes, None
        self._size += size - entry.size
        entry.size = size
        while self._size > STATE_BYTES_MAX and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            self._size -= oldest.size

    def ended(self, execution_id: str) -> None:
        """Mark an execution as ended: it stays cached for a while, then it is evicted first."""
        self._ended.append(execution_id)
        if len(self._ended) > ENDED_MAX:
            _dispose(self.evict(self._ended.popleft()), _UNSHARED)

    def evict(self, execution_id: str) -> Entry | None:
        """Evict an execution; return its entry."""
        entry = self._entries.pop(execution_id, None)
        if entry is not None:
            self._size -= entry.size
        return entry

    def discard(self, execution_id: str) -> None:
        """Evict an execution whose decision was not committed: only its rows are valid."""
        self.discarded += 1
        self.evict(execution_id)

    def deleted(self, execution_id: str) -> None:
        """Evict a deleted execution; running reads of its rows are repeated."""
        for changed in self._reads.values():
            changed.add(execution_id)
        self.evict(execution_id)

    def evict_partitions(self, partitions: Iterable[int]) -> None:
        gone = set(partitions)
        for execution_id in [i for i in self._entries if partition_of(i) in gone]:
            self.evict(execution_id)

    def evict_namespaces(self, namespaces: Set[str]) -> None:
        """Evict the executions of namespaces whose keys were destroyed."""
        entries = self._entries.items()
        for execution_id in [i for i, e in entries if e.state.plan.namespace in namespaces]:
            self.evict(execution_id)

    async def fetch(self, execution_ids: Iterable[str]) -> Found:
        """Return executions from memory or from rows; cache those of owned partitions.

        An execution that was committed while its rows were read is read again, as is one whose
        partition was lost and regained. One whose partition has another owner by then is left out,
        so that the cache is never older than the rows.
        """
        found = Found()
        wanted = list(execution_ids)
        while wanted:
            epochs = dict(self._epochs)
            changed: set[str] = set()
            read = object()
            self._reads[read] = changed
            try:
                loaded = await self.load([i for i in wanted if i not in self._entries])
            finally:
                del self._reads[read]
            found.broken |= loaded.broken
            again = []
            for execution_id in wanted:
                known = self._entries.get(execution_id)
                if known is not None:
                    found[execution_id] = known
                    continue
                partition = partition_of(execution_id)
                if partition is None or partition not in self._epochs:
                    continue
                if execution_id in changed or self._epochs[partition] != epochs.get(partition):
                    again.append(execution_id)
                elif execution_id in loaded:
                    found[execution_id] = loaded[execution_id]
                    self._keep(loaded[execution_id], 0)
            wanted = again
        return found

    async def load(self, execution_ids: Sequence[str]) -> Found:
        """Rebuild executions from rows without caching them. Unknown ids are left out."""
        await self._keys.known.wait()
        found = Found()
        for start in range(0, len(execution_ids), LOAD_BATCH):
            ids = execution_ids[start : start + LOAD_BATCH]
            undecodable = await self._add(found, ids, self._finished_kept)
            if undecodable:
                await self._add(found, undecodable, no_snapshots)
        return found

    async def _add(self, found: Found, ids: Sequence[str], kept: CachedSnapshots) -> list[str]:
        """Rebuild executions; return those whose cached snapshot cannot be decoded."""
        undecodable: list[str] = []
        ended: list[State] = []
        plans = dict(self._plans.by_digest)
        for stored in await self._store.load(ids, plans, kept):
            try:
                entry = self._rebuild(stored, plans)
            except Exception:  # noqa: BLE001 (reported to every reader of it)
                # An execution that cannot be decoded must not keep others from being read.
                if stored.snapshot_cached:
                    undecodable.append(stored.execution_id)
                    continue
                self._log.exception("execution_unreadable", execution_id=stored.execution_id)
                found.broken.add(stored.execution_id)
                continue
            found[stored.execution_id] = entry
            if entry.state.ended and not stored.snapshot_cached:
                ended.append(entry.state)
            await asyncio.sleep(0)
        if ended and self._finished is not None:
            await self._finished.keep(ended)
        return undecodable

    def _rebuild(self, stored: StoredExecution, plans: Mapping[str, Plan]) -> Entry:
        plan = plans.get(stored.plan_digest)
        if plan is None:
            plan = self._plans.remember(plan_pb2.Plan.FromString(stored.plan_body))
        keys, place = self._keys, history_place(stored.execution_id)
        events = _events(keys.open(each, place) for each in stored.events)
        if stored.snapshot is None:
            state = replay(stored.execution_id, plan, events)
        else:
            body = keys.open(stored.snapshot, snapshot_place(stored.execution_id))
            state = restore(stored.execution_id, plan, body)
            for event in events:
                apply(state, event)
            restore_held(state)
        stored_bytes = len(stored.snapshot or b"") + sum(map(len, stored.events))
        size = _BASE_BYTES + _FACTOR * stored_bytes
        entry = Entry(state, Row(state, state.started_at_us, None), size)
        entry.snapshot_sequence = state.sequence if stored.snapshot else 0
        return entry
