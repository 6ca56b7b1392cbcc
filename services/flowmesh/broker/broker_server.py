"""BrokerService over gRPC: messages to declarations and states, and back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from flowmesh.api.broker.v1 import broker_service_pb2 as pb
from flowmesh.api.broker.v1 import broker_service_pb2_grpc
from flowmesh.broker import limits
from flowmesh.broker.changes import TopologyChanges
from flowmesh.broker.contents import Contents
from flowmesh.broker.declarations import (
    declared_binding,
    declared_exchange,
    declared_queue,
)
from flowmesh.broker.diagnosis import Diagnosis
from flowmesh.broker.topology import Topologies
from flowmesh.broker.watching import Watching
from flowmesh.rpc import last_of_token, list_key, namespace_of, page_token, valid_id

Context = Any


class BrokerServer(broker_service_pb2_grpc.BrokerServiceServicer):
    """Turns messages into changes and queries; decides nothing."""

    def __init__(
        self,
        *,
        changes: TopologyChanges,
        topologies: Topologies,
        contents: Contents,
        diagnosis: Diagnosis,
        watching: Watching,
    ) -> None:
        self._changes = changes
        self._topologies = topologies
        self._contents = contents
        self._diagnosis = diagnosis
        self._watching = watching

    async def DeclareExchange(
        self, request: pb.DeclareExchangeRequest, context: Context
    ) -> pb.DeclareExchangeResponse:
        exchange = declared_exchange(request.exchange)
        created, version = await self._changes.declare_exchange(namespace_of(request), exchange)
        return pb.DeclareExchangeResponse(
            exchange=exchange, created=created, topology_version=version
        )

    async def DeleteExchange(
        self, request: pb.DeleteExchangeRequest, context: Context
    ) -> pb.DeleteExchangeResponse:
        name = valid_id(request.exchange, "exchange")
        version = await self._changes.delete_exchange(namespace_of(request), name)
        return pb.DeleteExchangeResponse(topology_version=version)

    async def DeclareQueue(
        self, request: pb.DeclareQueueRequest, context: Context
    ) -> pb.DeclareQueueResponse:
        queue = await asyncio.to_thread(declared_queue, request.queue)
        created, version = await self._changes.declare_queue(namespace_of(request), queue)
        return pb.DeclareQueueResponse(queue=queue, created=created, topology_version=version)

    async def DeleteQueue(
        self, request: pb.DeleteQueueRequest, context: Context
    ) -> pb.DeleteQueueResponse:
        version = await self._changes.delete_queue(
            namespace_of(request), valid_id(request.queue, "queue"), if_empty=request.if_empty
        )
        return pb.DeleteQueueResponse(topology_version=version)

    async def Bind(self, request: pb.BindRequest, context: Context) -> pb.BindResponse:
        binding = declared_binding(request.binding)
        created, version = await self._changes.bind(namespace_of(request), binding)
        return pb.BindResponse(created=created, topology_version=version)

    async def Unbind(self, request: pb.UnbindRequest, context: Context) -> pb.UnbindResponse:
        binding = declared_binding(request.binding)
        removed, version = await self._changes.unbind(namespace_of(request), binding)
        return pb.UnbindResponse(removed=removed, topology_version=version)

    async def ListExchanges(
        self, request: pb.ListExchangesRequest, context: Context
    ) -> pb.ListExchangesResponse:
        topology = await self._topologies.of(namespace_of(request))
        return pb.ListExchangesResponse(exchanges=topology.routes.exchanges)

    async def ListQueues(
        self, request: pb.ListQueuesRequest, context: Context
    ) -> pb.ListQueuesResponse:
        topology = await self._topologies.of(namespace_of(request))
        size = min(request.page_size or limits.PAGE_DEFAULT, limits.PAGE_MAX)
        name = list_key(request)
        last = last_of_token(request.page_token, name)
        found = [queue for key, queue in sorted(topology.queues.items()) if key > last]
        page = found[:size]
        states = await asyncio.gather(*(self._contents.state(queue) for queue in page))
        token = page_token(name, page[-1].name) if len(found) > size else ""
        return pb.ListQueuesResponse(queues=states, next_page_token=token)

    async def ListBindings(
        self, request: pb.ListBindingsRequest, context: Context
    ) -> pb.ListBindingsResponse:
        if request.exchange:
            valid_id(request.exchange, "exchange")
        if request.queue:
            valid_id(request.queue, "queue")
        topology = await self._topologies.of(namespace_of(request))
        found = [
            binding
            for binding in topology.routes.bindings()
            if (not request.exchange or request.exchange in (binding.source, binding.exchange))
            and (not request.queue or binding.queue == request.queue)
        ]
        return pb.ListBindingsResponse(bindings=found)

    async def GetQueue(self, request: pb.GetQueueRequest, context: Context) -> pb.GetQueueResponse:
        queue = await self._topologies.queue(
            namespace_of(request), valid_id(request.queue, "queue")
        )
        return pb.GetQueueResponse(state=await self._contents.state_with_dead_letters(queue))

    async def WatchQueues(
        self, request: pb.WatchQueuesRequest, context: Context
    ) -> AsyncIterator[pb.WatchQueuesResponse]:
        names = [valid_id(each, "queues") for each in request.queues]
        async with aclosing(self._watching.watch(namespace_of(request), names)) as responses:
            async for response in responses:
                yield response

    async def DiagnoseQueue(
        self, request: pb.DiagnoseQueueRequest, context: Context
    ) -> pb.DiagnoseQueueResponse:
        return await self._diagnosis.of(namespace_of(request), valid_id(request.queue, "queue"))
