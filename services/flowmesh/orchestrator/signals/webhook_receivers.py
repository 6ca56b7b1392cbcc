"""Calls of the event service: nodes that wait for a webhook, and events for listeners."""

from collections.abc import Iterator
from typing import Any

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import receiver_service_pb2 as pb
from flowmesh.api.execution.v1 import receiver_service_pb2_grpc as rpc
from flowmesh.engine import NodeState, Scope
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.signals.event_listeners import EventListeners
from flowmesh.rpc import namespace_of


class ReceiverServer(rpc.ReceiverServiceServicer):
    """Translates ReceiverService messages."""

    def __init__(self, *, reader: ExecutionReader, listeners: EventListeners) -> None:
        self._reader = reader
        self._listeners = listeners

    async def ListReceivers(
        self, request: pb.ListReceiversRequest, context: Any
    ) -> pb.ListReceiversResponse:
        state = await self._reader.state(namespace_of(request), request.execution_id)
        running = not state.ended_at_us
        return pb.ListReceiversResponse(
            receivers=[
                pb.WaitingReceiver(
                    node=node.id,
                    signal=node.planned.signal,
                    receiver=node.planned.receiver,
                    waits=running and node.status == execution_pb2.NODE_STATUS_RUNNING,
                )
                for node in _receivers(state.scope)
            ]
        )

    async def DeliverEvents(
        self, request: pb.DeliverEventsRequest, context: Any
    ) -> pb.DeliverEventsResponse:
        delivered = await self._listeners.deliver(request.events)
        return pb.DeliverEventsResponse(delivered=delivered)


def _receivers(scope: Scope) -> Iterator[NodeState]:
    """Yield the scheduled nodes with a receiver."""
    for node in scope.nodes.values():
        if node.planned.receiver is not None:
            yield node
        for inner in node.scopes.values():
            yield from _receivers(inner)
