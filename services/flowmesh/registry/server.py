"""RegistryService over gRPC: messages to arguments and back."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from flowmesh.access import current
from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc
from flowmesh.errors import Forbidden
from flowmesh.registry.instances import Filter, Instances
from flowmesh.registry.topology import Topology
from flowmesh.registry.watch import Watchers
from flowmesh.rpc import check_enum_values, list_key, namespace_of
from flowmesh.rpc.endpoints import peer_host
from flowmesh.rpc.forward import caller_of
from flowmesh.runtime.membership import CORE_TYPE

Context = grpc.aio.ServicerContext[Any, Any]


class RegistryServer(registry_service_pb2_grpc.RegistryServiceServicer):
    """Translates messages to calls of the instances and back; has no logic."""

    def __init__(self, *, instances: Instances, watchers: Watchers, topology: Topology) -> None:
        self._instances = instances
        self._watchers = watchers
        self._topology = topology

    async def RegisterInstance(
        self, request: pb.RegisterInstanceRequest, context: Context
    ) -> pb.RegisterInstanceResponse:
        instance = pb.Instance()
        instance.CopyFrom(request.instance)
        instance.namespace = namespace_of(instance)
        check_enum_values([instance.status], pb.InstanceStatus, "instance.status")
        if instance.type == CORE_TYPE:
            _check_service()
        await self._check_own(instance.namespace, instance.id)
        stored = await self._instances.register(
            instance,
            interval_ms=request.heartbeat_interval_ms,
            host=peer_host(caller_of(context)),
        )
        return pb.RegisterInstanceResponse(instance=stored)

    async def Heartbeat(
        self, request: pb.HeartbeatRequest, context: Context
    ) -> pb.HeartbeatResponse:
        namespace = namespace_of(request)
        check_enum_values([request.status], pb.InstanceStatus, "status")
        await self._check_own(namespace, request.id)
        await self._instances.heartbeat(namespace, request.id, reported=request.status)
        return pb.HeartbeatResponse()

    async def DeregisterInstance(
        self, request: pb.DeregisterInstanceRequest, context: Context
    ) -> pb.DeregisterInstanceResponse:
        namespace = namespace_of(request)
        await self._check_own(namespace, request.id)
        await self._instances.deregister(namespace, request.id)
        return pb.DeregisterInstanceResponse()

    async def DrainInstance(
        self, request: pb.DrainInstanceRequest, context: Context
    ) -> pb.DrainInstanceResponse:
        namespace = namespace_of(request)
        await self._check_own(namespace, request.id)
        found = await self._instances.drain(namespace, request.id, draining=not request.undo)
        return pb.DrainInstanceResponse(instance=found)

    async def GetInstance(
        self, request: pb.GetInstanceRequest, context: Context
    ) -> pb.GetInstanceResponse:
        instance = await self._instances.get(namespace_of(request), request.id)
        return pb.GetInstanceResponse(instance=instance)

    async def ListInstances(
        self, request: pb.ListInstancesRequest, context: Context
    ) -> pb.ListInstancesResponse:
        check_enum_values(request.statuses, pb.InstanceStatus, "statuses")
        wanted = Filter(
            namespace=namespace_of(request),
            name=request.name,
            type=request.type,
            capabilities=_without_empty(*request.capabilities, request.capability),
            statuses=frozenset(request.statuses),
            metadata=dict(request.metadata),
        )
        page, token = await self._instances.page(
            wanted,
            size=request.page_size,
            token=request.page_token,
            list_name=list_key(request),
        )
        return pb.ListInstancesResponse(instances=page, next_page_token=token)

    async def WatchInstances(
        self, request: pb.WatchInstancesRequest, context: Context
    ) -> AsyncIterator[pb.WatchInstancesResponse]:
        wanted = Filter(
            namespace=namespace_of(request),
            name=request.name,
            type=request.type,
            capabilities=_without_empty(*request.capabilities, request.capability),
        )
        async with aclosing(self._watchers.watch(wanted)) as changes:
            async for snapshot, instances in changes:
                yield pb.WatchInstancesResponse(instances=instances, snapshot=snapshot)

    async def ReportCalls(
        self, request: pb.ReportCallsRequest, context: Context
    ) -> pb.ReportCallsResponse:
        dropped = await self._topology.report(namespace_of(request), request.calls)
        return pb.ReportCallsResponse(dropped=dropped)

    async def GetTopology(
        self, request: pb.GetTopologyRequest, context: Context
    ) -> pb.GetTopologyResponse:
        return await self._topology.get(namespace_of(request), request.minutes)

    async def _check_own(self, namespace: str, instance_id: str) -> None:
        """Refuse changes of an instance of the suite by a caller that is no service."""
        if current() is None:
            return
        if await self._instances.type_of(namespace, instance_id) == CORE_TYPE:
            _check_service()


def _check_service() -> None:
    """Refuse callers that are no services: others trust the instances of the suite."""
    if current() is not None:
        text = f"instances of the type `{CORE_TYPE}` are services of the suite; use another type"
        raise Forbidden("SERVICES_ONLY", text)


def _without_empty(*capabilities: str) -> tuple[str, ...]:
    return tuple(filter(None, capabilities))
