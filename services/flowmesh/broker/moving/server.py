"""QueueMoveService over gRPC: messages to calls of the broker, and back."""

from typing import Any

from flowmesh.api.broker.v1 import queue_move_service_pb2 as pb
from flowmesh.api.broker.v1 import queue_move_service_pb2_grpc
from flowmesh.broker.changes import TopologyChanges
from flowmesh.broker.moving.exporting import Exports
from flowmesh.broker.moving.importing import Imports
from flowmesh.broker.store import TopologyStore
from flowmesh.rpc import namespace_of, valid_id

Context = Any


class QueueMoveServer(queue_move_service_pb2_grpc.QueueMoveServiceServicer):
    """Turns messages into calls; decides nothing."""

    def __init__(
        self,
        *,
        changes: TopologyChanges,
        exports: Exports,
        imports: Imports,
        store: TopologyStore,
    ) -> None:
        self._changes = changes
        self._exports = exports
        self._imports = imports
        self._store = store

    async def SuspendQueues(
        self, request: pb.SuspendQueuesRequest, context: Context
    ) -> pb.SuspendQueuesResponse:
        namespace = namespace_of(request)
        changed = await self._changes.suspend(namespace, suspended=request.suspended)
        await self._store.note_operation(namespace, "", suspended=request.suspended)
        return pb.SuspendQueuesResponse(changed=changed)

    async def ExportMessages(
        self, request: pb.ExportMessagesRequest, context: Context
    ) -> pb.ExportMessagesResponse:
        namespace, queue = namespace_of(request), _queue(request.queue)
        response = await self._exports.page(namespace, queue, request.sequence)
        await self._store.note_operation(namespace, queue, exported=len(response.messages))
        return response

    async def ImportMessages(
        self, request: pb.ImportMessagesRequest, context: Context
    ) -> pb.ImportMessagesResponse:
        namespace, queue = namespace_of(request), _queue(request.queue)
        origin = valid_id(request.origin, "origin")
        stored, last = await self._imports.take(
            namespace, queue, origin, request.messages, request.last_sequence
        )
        await self._store.note_operation(namespace, queue, imported=stored)
        return pb.ImportMessagesResponse(stored=stored, sequence=last)

    async def RemoveMessages(
        self, request: pb.RemoveMessagesRequest, context: Context
    ) -> pb.RemoveMessagesResponse:
        namespace, queue = namespace_of(request), _queue(request.queue)
        removed = await self._exports.remove(namespace, queue, request.sequence)
        await self._store.note_operation(namespace, queue, removed=removed)
        return pb.RemoveMessagesResponse(removed=removed)


def _queue(name: str) -> str:
    """Return the checked name of a queue; empty is that of the delayed messages."""
    return valid_id(name, "queue") if name else ""
