"""The rows of ended executions, computed again from their histories.

Histories are the source of truth: every column by which an ended execution is read and found
follows from its events and its plan. The digest of the start request does not, and is kept.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import State, replay
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.model.search_values import Stored, search_rows
from flowmesh.orchestrator.storage.stores.execution_store import ExecutionStore
from flowmesh.orchestrator.storage.stores.rebuild_store import (
    HistoryPlace,
    RebuildStore,
    RebuiltRow,
    StoredRow,
)
from flowmesh.rpc import last_of_token, list_key, namespace_of, page_token

PAGE_DEFAULT = 200
PAGE_MAX = 500
Rebuilt = tuple[RebuiltRow, dict[str, Stored]]


class Rebuilding:
    """Verifies and rebuilds the rows of ended executions."""

    def __init__(
        self, *, store: RebuildStore, executions: ExecutionStore, plans: PlanCache, log: Any
    ) -> None:
        self._store = store
        self._executions = executions
        self._plans = plans
        self._log = log

    async def page(self, request: pb.RebuildExecutionsRequest) -> pb.RebuildExecutionsResponse:
        """Compare a page of histories with the stored rows; correct these unless `verify`."""
        namespace, name = namespace_of(request), list_key(request)
        size = min(request.page_size or PAGE_DEFAULT, PAGE_MAX)
        places = await self._store.places(_place(last_of_token(request.page_token, name)), size)
        rebuilt = await self._rebuilt(namespace, places)
        ids = [row.id for row, _ in rebuilt]
        rows, values = await self._store.rows(ids), await self._store.values(ids)
        response = pb.RebuildExecutionsResponse(checked=len(rebuilt))
        for row, found in rebuilt:
            stored_values, sealed = values[row.id], self._store.sealed(row, found)
            # The text of a failure is opened; values from before the encryption are plain.
            expected = {
                name: sealed[name] if stored_values.get(name) == sealed[name] else value
                for name, value in found.items()
            }
            fields = list(_differences(row, expected, rows.get(row.id), stored_values))
            if not fields:
                continue
            response.differences.add(execution_id=row.id, fields=fields)
            if not request.verify:
                await self._store.write(row, found)
        if len(places) == size:
            last = places[-1]
            response.next_page_token = page_token(name, f"{last.start_day}/{last.execution_id}")
        await self._store.note(
            namespace, checked=len(rebuilt), differences=len(response.differences)
        )
        return response

    async def _rebuilt(self, namespace: str, places: Sequence[HistoryPlace]) -> list[Rebuilt]:
        """Return the rows of the ended executions of the namespace, from their events."""
        histories = await self._store.histories(places)
        started = {}
        for execution_id, encoded in histories.items():
            first = next(_events(encoded[:1]), None)
            if first is not None and first.workflow_started.namespace == namespace:
                started[execution_id] = first.workflow_started
        await self._plans.fetch({each.plan_digest for each in started.values()}, self._executions)
        found = []
        for execution_id, start in started.items():
            plan = self._plans.by_digest.get(start.plan_digest)
            if plan is None:
                self._log.warning("plan_missing", execution_id=execution_id)
                continue
            state = replay(execution_id, plan, _events(histories[execution_id]))
            if state.ended:
                found.append((_row(state, start), search_rows(state.search, state.failure)))
        return found


def _events(encoded: Sequence[bytes]) -> Iterator[history_event_pb2.HistoryEvent]:
    for row in encoded:
        yield from history_event_pb2.HistoryEvents.FromString(row).events


def _row(state: State, start: history_event_pb2.WorkflowStarted) -> RebuiltRow:
    plan = state.plan
    return RebuiltRow(
        id=state.execution_id,
        namespace=plan.namespace,
        partition=partition_of(state.execution_id) or 0,
        workflow_id=plan.workflow_id,
        workflow_name=plan.name,
        workflow_version=plan.version,
        plan_digest=plan.digest,
        status=state.status,
        request_id=start.request_id or None,
        started_at=state.started_at_us,
        ended_at=state.ended_at_us or None,
    )


def _differences(
    row: RebuiltRow,
    values: dict[str, Stored],
    stored: StoredRow | None,
    stored_values: dict[str, Stored],
) -> Iterator[str]:
    """Yield the names of what differs."""
    if stored is None:
        yield "row"
    else:
        for name, wanted, found in zip(row._fields, row, stored.row, strict=True):
            if wanted != found:
                yield name
        if not stored.idle:
            yield "queues"
    if values != stored_values:
        yield "search"


def _place(token: str) -> HistoryPlace:
    if not token:
        return HistoryPlace(-1, "")
    day, _, execution_id = token.partition("/")
    return HistoryPlace(int(day), execution_id)
