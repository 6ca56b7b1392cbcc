"""Executions that are analyzed: their plans and committed events, read from the rows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from flowmesh.access.principal import current
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import Recorded
from flowmesh.orchestrator.dispatch.commit_lock import CommitLock
from flowmesh.orchestrator.model.errors import execution_not_found
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.redacted_events import without_values
from flowmesh.orchestrator.storage.stores.execution_store import (
    ExecutionRow,
    ExecutionStore,
    may_have_more,
)
from flowmesh.plan import Plan
from flowmesh.views.masking import holds_sensitive, masked_message

EVENTS_MAX = 100_000
EVENTS_BYTES_MAX = 64 << 20
"""Events of one execution that a report uses, and their bytes; a longer history is truncated."""

BYTES_ON_LOOP = 16 << 10
"""Larger pages are decoded in a thread: the event loop commits."""


@dataclass(slots=True)
class Subject:
    """An execution with its first events.

    `truncated` is set if there are more events than a report uses, `erased` once its values are
    erased: no event has values then.
    """

    execution_id: str
    plan: Plan
    recorded: Recorded = field(default_factory=lambda: Recorded(b""))
    truncated: bool = False
    erased: bool = False

    @property
    def events(self) -> list[history_event_pb2.HistoryEvent]:
        """Decode the events."""
        return self.recorded.messages()


class Subjects:
    """Reads committed events; any instance reads any execution."""

    def __init__(
        self,
        *,
        store: ExecutionStore,
        plans: PlanCache,
        lock: CommitLock,
        archiving: Archiving,
    ) -> None:
        self._store = store
        self._plans = plans
        self._lock = lock
        self._archiving = archiving

    async def find(self, namespace: str, execution_id: str) -> ExecutionRow | None:
        """Return the row of an execution once its decisions are committed; None without row."""
        await self._lock.settled(execution_id)
        if partition_of(execution_id) is None:
            return None
        return await self._store.find(namespace, execution_id)

    async def plan(self, row: ExecutionRow) -> Plan:
        """Return the plan of an execution."""
        plans = self._plans
        await plans.fetch([row.plan_digest], self._store)
        return plans.by_digest[row.plan_digest]

    async def pages(self, row: ExecutionRow, after: int = 0) -> AsyncIterator[Recorded]:
        """Yield the events behind `after` in pages."""
        more = True
        while more:
            rows = await self._store.history_after(row.id, row.start_day, after)
            stored = b"".join(rows)
            if len(stored) < BYTES_ON_LOOP:
                page = Recorded(stored, after)
            else:
                page = await asyncio.to_thread(Recorded, stored, after)
            if not len(page):
                return
            after = page.last_sequence
            more = may_have_more(rows)
            yield page

    async def read(self, namespace: str, execution_id: str) -> Subject:
        """Return an execution with its events, up to a bound."""
        row = await self.find(namespace, execution_id)
        if row is None:
            return await self.archived(namespace, execution_id)
        subject = Subject(execution_id, await self.plan(row))
        await self.read_on(subject, row)
        return subject

    async def shown(self, namespace: str, execution_id: str) -> Subject:
        """Return an execution for a report, which reveals no sensitive value to a caller."""
        subject = await self.read(namespace, execution_id)
        if current() is not None:
            await asyncio.to_thread(_mask, subject)
        return subject

    async def archived(self, namespace: str, execution_id: str) -> Subject:
        """Return an execution that is in the archive only."""
        found = None
        if partition_of(execution_id) is not None:
            found = await self._archiving.replayable(namespace, execution_id)
        if found is None:
            raise execution_not_found(execution_id)
        plan, events = found
        return Subject(execution_id, plan, Recorded.of(events))

    async def read_on(self, subject: Subject, row: ExecutionRow) -> None:
        """Add the events committed since; none once the subject is truncated."""
        if subject.truncated:
            return
        async for page in self.pages(row, subject.recorded.last_sequence):
            subject.recorded = subject.recorded.and_then(page) if len(subject.recorded) else page
            if not subject.erased and _is_erased(page):
                # The rows may have the values for a moment longer, and earlier pages contain them.
                subject.erased = True
                subject.recorded = Recorded.of(map(without_values, subject.recorded.messages()))
            if len(subject.recorded) > EVENTS_MAX or subject.recorded.size > EVENTS_BYTES_MAX:
                subject.truncated = True
                return


def _mask(subject: Subject) -> None:
    events = subject.events
    if any(map(holds_sensitive, events)):
        subject.recorded = Recorded.of(map(masked_message, events))


def _is_erased(events: Recorded) -> bool:
    """Return whether the execution is erased: only search attributes change after that."""
    for place in range(len(events) - 1, -1, -1):
        kind = events.event(place).WhichOneof("event")
        if kind != "search_attributes_set":
            return kind == "payloads_erased"
    return False
