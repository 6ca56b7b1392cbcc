"""EventService over gRPC: messages to arguments and back."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import grpc

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.event.v1 import event_service_pb2_grpc
from flowmesh.event.live.selection import Selection
from flowmesh.event.store import ORDINAL_MAX, DeliveryStore
from flowmesh.event.subscriptions.watch_events import NamespaceWatch
from flowmesh.event.subscriptions.watch_execution import ExecutionWatch
from flowmesh.rpc import after_sequence, last_of_token, list_key, namespace_of, page_token, valid_id

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000

_STATUS: Final = {
    "pending": pb.DELIVERY_STATUS_PENDING,
    "delivered": pb.DELIVERY_STATUS_DELIVERED,
    "dead": pb.DELIVERY_STATUS_DEAD,
}


class EventServer(event_service_pb2_grpc.EventServiceServicer):
    """Turns messages into watches and lists; decides nothing."""

    def __init__(
        self, *, executions: ExecutionWatch, namespaces: NamespaceWatch, store: DeliveryStore
    ) -> None:
        self._executions = executions
        self._namespaces = namespaces
        self._store = store

    async def WatchExecution(
        self, request: pb.WatchExecutionRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> AsyncIterator[pb.WatchExecutionResponse]:
        events = self._executions.events(
            namespace_of(request),
            valid_id(request.execution_id, "execution_id"),
            after=after_sequence(request),
            selection=Selection.of(request.types, ends=True),
        )
        async with aclosing(events):
            async for event in events:
                yield pb.WatchExecutionResponse(event=event)

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        selection = Selection.of(
            request.types,
            workflow_id=request.workflow_id,
            execution_id=request.execution_id,
            ends=False,
        )
        responses = self._namespaces.events(namespace_of(request), selection, cursor=request.cursor)
        async with aclosing(responses):
            async for response in responses:
                yield response

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.ListDeliveriesResponse:
        size = min(request.page_size or PAGE_DEFAULT, PAGE_MAX)
        name = list_key(request)
        rows = await self._store.deliveries(
            namespace_of(request),
            execution_id=request.execution_id,
            before=int(last_of_token(request.page_token, name) or ORDINAL_MAX),
            page_size=size + 1,
        )
        page = rows[:size]
        token = page_token(name, str(page[-1]["ordinal"])) if len(rows) > size else ""
        return pb.ListDeliveriesResponse(
            deliveries=[_delivery(row) for row in page], next_page_token=token
        )


def _delivery(row: Any) -> pb.Delivery:
    pending = row["status"] == "pending"
    return pb.Delivery(
        delivery_id=row["id"],
        execution_id=row["execution_id"],
        kind=row["kind"],
        url=row["url"],
        status=_STATUS[row["status"]],
        attempts=row["attempts"],
        next_attempt_at_us=row["next_attempt_at_us"] if pending else 0,
        last_error=row["last_error"],
    )
