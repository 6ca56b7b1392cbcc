"""MessageService over gRPC: messages to calls of the broker, and back."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from flowmesh.api.broker.v1 import message_pb2, message_service_pb2_grpc
from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.broker.consuming.groups import Readers
from flowmesh.broker.consuming.receiving import Receiving
from flowmesh.broker.consuming.sessions import Sessions
from flowmesh.broker.contents import Contents
from flowmesh.broker.publishing import MessagePublisher
from flowmesh.broker.store import TopologyStore
from flowmesh.broker.topology import Topologies
from flowmesh.rpc import check_enum_values, namespace_of, valid_id

Context = Any


class MessageServer(message_service_pb2_grpc.MessageServiceServicer):
    """Turns messages into calls; decides nothing."""

    def __init__(
        self,
        *,
        publisher: MessagePublisher,
        sessions: Sessions,
        receiving: Receiving,
        readers: Readers,
        contents: Contents,
        topologies: Topologies,
        store: TopologyStore,
    ) -> None:
        self._publisher = publisher
        self._sessions = sessions
        self._receiving = receiving
        self._readers = readers
        self._contents = contents
        self._topologies = topologies
        self._store = store

    async def Publish(self, request: pb.PublishRequest, context: Context) -> pb.PublishResponse:
        reasons = [each.death.reason for each in request.messages if each.HasField("death")]
        check_enum_values(reasons, message_pb2.DeathReason, "messages.death.reason")
        if request.exchange:
            valid_id(request.exchange, "exchange")
        outcomes = await self._publisher.publish(namespace_of(request), request)
        return pb.PublishResponse(outcomes=outcomes)

    async def Consume(
        self, request_iterator: AsyncIterator[pb.ConsumeRequest], context: Context
    ) -> AsyncIterator[pb.ConsumeResponse]:
        async with aclosing(self._sessions.consume(request_iterator)) as responses:
            async for response in responses:
                yield response

    async def Receive(self, request: pb.ReceiveRequest, context: Context) -> pb.ReceiveResponse:
        valid_id(request.queue, "queue")
        found = await self._receiving.receive(namespace_of(request), request)
        return pb.ReceiveResponse(deliveries=found)

    async def Settle(self, request: pb.SettleRequest, context: Context) -> pb.SettleResponse:
        valid_id(request.queue, "queue")
        outcomes = await self._receiving.settle(namespace_of(request), request)
        return pb.SettleResponse(outcomes=outcomes)

    async def Browse(self, request: pb.BrowseRequest, context: Context) -> pb.BrowseResponse:
        valid_id(request.queue, "queue")
        return await self._contents.browse(namespace_of(request), request)

    async def Redrive(self, request: pb.RedriveRequest, context: Context) -> pb.RedriveResponse:
        check_enum_values([request.reason], message_pb2.DeathReason, "reason")
        valid_id(request.queue, "queue")
        namespace = namespace_of(request)
        response = await self._contents.redrive(namespace, request)
        await self._store.note_operation(namespace, request.queue, moved=response.moved)
        return response

    async def Discard(self, request: pb.DiscardRequest, context: Context) -> pb.DiscardResponse:
        valid_id(request.queue, "queue")
        namespace = namespace_of(request)
        discarded = await self._contents.discard(namespace, request)
        await self._store.note_operation(namespace, request.queue, discarded=discarded)
        return pb.DiscardResponse(discarded=discarded)

    async def PurgeQueue(
        self, request: pb.PurgeQueueRequest, context: Context
    ) -> pb.PurgeQueueResponse:
        namespace, name = namespace_of(request), valid_id(request.queue, "queue")
        purged = await self._contents.purge(namespace, name)
        await self._store.note_operation(namespace, name, purged=purged)
        return pb.PurgeQueueResponse(purged=purged)

    async def SeekGroup(
        self, request: pb.SeekGroupRequest, context: Context
    ) -> pb.SeekGroupResponse:
        namespace, name = namespace_of(request), valid_id(request.queue, "queue")
        queue = await self._topologies.queue(namespace, name)
        await self._readers.seek(queue, request.group, request.position)
        await self._store.note_operation(namespace, name, group=request.group)
        return pb.SeekGroupResponse()
