"""Past states of executions, for readers who step through a history.

The last histories stay in memory with the state shown last and copies of earlier states. A history
that is longer than a report allows is replayed from its rows each time, page by page.
"""

import asyncio
import contextlib
from collections import OrderedDict

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.api.history.v1 import insight_service_pb2 as pb
from flowmesh.engine import Recorded, State, dispose, restore_held
from flowmesh.errors import Invalid
from flowmesh.insight.parts import encode
from flowmesh.insight.replay import HistoryReplayer, report_of
from flowmesh.orchestrator.insight.subjects import Subject, Subjects
from flowmesh.orchestrator.model.errors import execution_not_found
from flowmesh.orchestrator.storage.stores.execution_store import ExecutionRow
from flowmesh.rpc import namespace_of

KEPT_MAX = 4
KEPT_BYTES_MAX = 64 << 20
"""Cached histories, and their bytes as stored."""


class HistoryReplays:
    """Returns past states; one request at a time."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects
        self._kept: OrderedDict[str, tuple[Subject, HistoryReplayer]] = OrderedDict()
        self._lock = asyncio.Lock()

    async def state_at(self, request: pb.GetStateAtRequest) -> bytes:
        """Report the state after an event, or at a time."""
        if request.sequence and request.at_us:
            raise Invalid("REQUEST_INVALID", "give a sequence or a time, not both")
        if request.sequence < 0 or request.at_us < 0:
            raise Invalid("REQUEST_INVALID", "a sequence and a time are not below 0")
        namespace, execution_id = namespace_of(request), request.execution_id
        row = await self._subjects.find(namespace, execution_id)
        async with self._lock:
            if row is None:
                subject = await self._subjects.archived(namespace, execution_id)
                replayer = HistoryReplayer(execution_id, subject.plan, subject.recorded)
                with contextlib.closing(replayer):
                    return await _shown(replayer, request)
            subject, replayer = await self._up_to_date(namespace, row)
            try:
                if subject.truncated:
                    return await self._replayed(subject, row, request)
                return await _shown(replayer, request)
            finally:
                # Dispose of others after the response is sent.
                asyncio.get_running_loop().call_soon(self._keep_few)

    async def _up_to_date(
        self, namespace: str, row: ExecutionRow
    ) -> tuple[Subject, HistoryReplayer]:
        """Return a cached history with the events committed since."""
        execution_id = row.id
        known = self._kept.pop(execution_id, None)
        if known is None:
            subject = Subject(execution_id, await self._subjects.plan(row))
            known = subject, HistoryReplayer(execution_id, subject.plan, subject.recorded)
        subject, _ = known
        erased = subject.erased
        if subject.plan.namespace != namespace:
            raise execution_not_found(execution_id)
        await self._subjects.read_on(subject, row)
        if subject.erased and not erased:
            known[1].close()  # its states have the values still
            known = subject, HistoryReplayer(execution_id, subject.plan, subject.recorded)
        if subject.truncated:
            subject.recorded = Recorded(b"")
        known[1].events = subject.recorded
        self._kept[execution_id] = known
        return known

    def _keep_few(self) -> None:
        while len(self._kept) > 1 and self._too_many():
            _, (_, replayer) = self._kept.popitem(last=False)
            replayer.close()

    def _too_many(self) -> bool:
        size = sum(subject.recorded.size for subject, _ in self._kept.values())
        return len(self._kept) > KEPT_MAX or size > KEPT_BYTES_MAX

    async def _replayed(
        self, subject: Subject, row: ExecutionRow, request: pb.GetStateAtRequest
    ) -> bytes:
        """Replay the rows up to the event, a page at a time."""
        state = State(subject.execution_id, subject.plan)
        shown: history_event_pb2.HistoryEvent | None = None
        last = 0
        async for page in self._subjects.pages(row):
            before, last = last, page.last_sequence
            wanted = page.count_until(request.at_us) if request.at_us else len(page)
            if request.sequence:
                wanted = min(wanted, request.sequence - before)
            if wanted > 0:
                shown = page.event(wanted - 1)
                await asyncio.to_thread(page.replay, state, 0, wanted)
        if shown is None:
            raise _before()
        at = shown

        def encoded() -> bytes:
            restore_held(state)
            report = encode(report_of(state, at, last))
            dispose(state)
            return report

        return await asyncio.to_thread(encoded)


async def _shown(replayer: HistoryReplayer, request: pb.GetStateAtRequest) -> bytes:
    """Encode the report in a thread."""
    last = len(replayer.events)
    sequence = min(request.sequence or last, last)
    if request.at_us:
        sequence = replayer.sequence_at(request.at_us)
    if not sequence:
        raise _before()
    return await asyncio.to_thread(lambda: encode(replayer.at(sequence)))


def _before() -> Invalid:
    return Invalid("REQUEST_INVALID", "the execution began later than that")
