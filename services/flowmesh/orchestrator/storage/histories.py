"""Histories of executions, read from the rows and paged by sequence."""

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.engine.state.state import EXECUTION_COMPLETED
from flowmesh.orchestrator.model.errors import execution_not_found
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.storage.stores.execution_store import ExecutionStore
from flowmesh.rpc import after_sequence, namespace_of

PAGE_DEFAULT = 1_000
PAGE_MAX = 10_000
PAGE_BYTES_MAX = 3 << 20
ROWS_AT_ONCE = 500


class Histories:
    """Reads committed events; any instance serves any execution."""

    def __init__(self, *, store: ExecutionStore) -> None:
        self._store = store

    async def page(self, request: pb.ListHistoryEventsRequest) -> pb.ListHistoryEventsResponse:
        """Return events behind a sequence, as many as fit in the page."""
        namespace = namespace_of(request)
        row = None
        if partition_of(request.execution_id) is not None:
            row = await self._store.find(namespace, request.execution_id)
        if row is None:
            raise execution_not_found(request.execution_id)
        size = min(request.page_size or PAGE_DEFAULT, PAGE_MAX)
        response = pb.ListHistoryEventsResponse()
        after, weight, more = after_sequence(request), 0, True
        while more and len(response.events) < size and weight < PAGE_BYTES_MAX:
            rows = await self._store.history_page(
                row.id, row.start_day, after=after, rows_max=ROWS_AT_ONCE
            )
            before = after
            for stored in rows:
                for event in history_event_pb2.HistoryEvents.FromString(stored.events).events:
                    if event.sequence > after and len(response.events) < size:
                        response.events.append(event)
                        after = event.sequence
                        weight += event.ByteSize()
                if len(response.events) >= size or weight >= PAGE_BYTES_MAX:
                    break
            more = after > before
        if more:
            response.next_after = after
        if response.events and row.status >= EXECUTION_COMPLETED:
            response.ended = _is_end(response.events[-1])
            if response.ended:
                response.next_after = 0
        return response


def _is_end(event: history_event_pb2.HistoryEvent) -> bool:
    kind = event.WhichOneof("event") or ""
    if kind == "payloads_erased":
        return True  # behind the end
    return kind.startswith("workflow_") and kind != "workflow_started"
