"""The services of the event store over gRPC: messages to calls, and back."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from flowmesh.api.eventstore.v1 import (
    event_group_service_pb2 as group_pb,
)
from flowmesh.api.eventstore.v1 import (
    event_group_service_pb2_grpc,
    event_move_service_pb2_grpc,
    event_store_service_pb2_grpc,
    projection_service_pb2_grpc,
)
from flowmesh.api.eventstore.v1 import event_move_service_pb2 as move_pb
from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import (
    projection_service_pb2 as projection_pb,
)
from flowmesh.eventstore.appending import Appender
from flowmesh.eventstore.following import Following
from flowmesh.eventstore.groups import Groups
from flowmesh.eventstore.moving import EventMoves
from flowmesh.eventstore.projections import Projections
from flowmesh.eventstore.reading import Streams
from flowmesh.rpc import namespace_of, valid_id

Context = Any


class EventStoreServer(event_store_service_pb2_grpc.EventStoreServiceServicer):
    """Streams of events."""

    def __init__(self, *, appender: Appender, streams: Streams, following: Following) -> None:
        self._appender = appender
        self._streams = streams
        self._following = following

    async def AppendEvents(
        self, request: pb.AppendEventsRequest, context: Context
    ) -> pb.AppendEventsResponse:
        return await self._appender.append(namespace_of(request), request)

    async def ReadStream(
        self, request: pb.ReadStreamRequest, context: Context
    ) -> pb.ReadStreamResponse:
        return await self._streams.read(namespace_of(request), request)

    async def ReadEvents(
        self, request: pb.ReadEventsRequest, context: Context
    ) -> pb.ReadEventsResponse:
        return await self._streams.read_all(namespace_of(request), request)

    async def LoadStream(
        self, request: pb.LoadStreamRequest, context: Context
    ) -> pb.LoadStreamResponse:
        return await self._streams.load(namespace_of(request), request)

    async def PutSnapshot(
        self, request: pb.PutSnapshotRequest, context: Context
    ) -> pb.PutSnapshotResponse:
        stored = await self._streams.put_snapshot(namespace_of(request), request)
        return pb.PutSnapshotResponse(stored=stored)

    async def GetStream(
        self, request: pb.GetStreamRequest, context: Context
    ) -> pb.GetStreamResponse:
        info = await self._streams.info(namespace_of(request), request.stream)
        return pb.GetStreamResponse(info=info)

    async def ListStreams(
        self, request: pb.ListStreamsRequest, context: Context
    ) -> pb.ListStreamsResponse:
        return await self._streams.list(namespace_of(request), request)

    async def DeleteStream(
        self, request: pb.DeleteStreamRequest, context: Context
    ) -> pb.DeleteStreamResponse:
        deleted = await self._streams.delete(namespace_of(request), request)
        return pb.DeleteStreamResponse(deleted_events=deleted)

    async def SetStreamRetention(
        self, request: pb.SetStreamRetentionRequest, context: Context
    ) -> pb.SetStreamRetentionResponse:
        await self._streams.set_retention(namespace_of(request), request)
        return pb.SetStreamRetentionResponse()

    async def SubscribeEvents(
        self, request: pb.SubscribeEventsRequest, context: Context
    ) -> AsyncIterator[pb.SubscribeEventsResponse]:
        frames = self._following.events(namespace_of(request), request)
        async with aclosing(frames):
            async for frame in frames:
                yield frame


class EventMoveServer(event_move_service_pb2_grpc.EventMoveServiceServicer):
    """The event store of a project that moves to another cell."""

    def __init__(self, *, moves: EventMoves) -> None:
        self._moves = moves

    async def ImportEvents(
        self, request: move_pb.ImportEventsRequest, context: Context
    ) -> move_pb.ImportEventsResponse:
        head = await self._moves.take_events(namespace_of(request), request)
        return move_pb.ImportEventsResponse(head=head)

    async def ExportStreams(
        self, request: move_pb.ExportStreamsRequest, context: Context
    ) -> move_pb.ExportStreamsResponse:
        after = valid_id(request.after, "after") if request.after else ""
        found = await self._moves.streams(namespace_of(request), after)
        return move_pb.ExportStreamsResponse(streams=found)

    async def ImportStreams(
        self, request: move_pb.ImportStreamsRequest, context: Context
    ) -> move_pb.ImportStreamsResponse:
        await self._moves.take_streams(namespace_of(request), request.streams)
        return move_pb.ImportStreamsResponse()

    async def ExportDeliveries(
        self, request: move_pb.ExportDeliveriesRequest, context: Context
    ) -> move_pb.ExportDeliveriesResponse:
        namespace = namespace_of(request)
        found = await self._moves.deliveries(namespace, request.event_group, request.after)
        return move_pb.ExportDeliveriesResponse(deliveries=found)

    async def ImportDeliveries(
        self, request: move_pb.ImportDeliveriesRequest, context: Context
    ) -> move_pb.ImportDeliveriesResponse:
        namespace = namespace_of(request)
        await self._moves.take_deliveries(namespace, request.event_group, request.deliveries)
        return move_pb.ImportDeliveriesResponse()


class EventGroupServer(event_group_service_pb2_grpc.EventGroupServiceServicer):
    """Groups of consumers."""

    def __init__(self, *, groups: Groups) -> None:
        self._groups = groups

    async def PutEventGroup(
        self, request: group_pb.PutEventGroupRequest, context: Context
    ) -> group_pb.PutEventGroupResponse:
        return await self._groups.put(namespace_of(request), request.group)

    async def ListEventGroups(
        self, request: group_pb.ListEventGroupsRequest, context: Context
    ) -> group_pb.ListEventGroupsResponse:
        found = await self._groups.all(namespace_of(request))
        return group_pb.ListEventGroupsResponse(groups=found)

    async def DeleteEventGroup(
        self, request: group_pb.DeleteEventGroupRequest, context: Context
    ) -> group_pb.DeleteEventGroupResponse:
        await self._groups.delete(namespace_of(request), request.event_group)
        return group_pb.DeleteEventGroupResponse()

    async def ReceiveEvents(
        self, request: group_pb.ReceiveEventsRequest, context: Context
    ) -> group_pb.ReceiveEventsResponse:
        found = await self._groups.receive(namespace_of(request), request)
        return group_pb.ReceiveEventsResponse(deliveries=found)

    async def SettleEvents(
        self, request: group_pb.SettleEventsRequest, context: Context
    ) -> group_pb.SettleEventsResponse:
        stale = await self._groups.settle(namespace_of(request), request)
        return group_pb.SettleEventsResponse(stale=stale)

    async def ListParkedEvents(
        self, request: group_pb.ListParkedEventsRequest, context: Context
    ) -> group_pb.ListParkedEventsResponse:
        found = await self._groups.parked(namespace_of(request), request)
        return group_pb.ListParkedEventsResponse(events=found)

    async def ReplayParkedEvents(
        self, request: group_pb.ReplayParkedEventsRequest, context: Context
    ) -> group_pb.ReplayParkedEventsResponse:
        replayed = await self._groups.replay(namespace_of(request), request)
        return group_pb.ReplayParkedEventsResponse(replayed=replayed)


class ProjectionServer(projection_service_pb2_grpc.ProjectionServiceServicer):
    """Projections of events."""

    def __init__(self, *, projections: Projections) -> None:
        self._projections = projections

    async def PutProjection(
        self, request: projection_pb.PutProjectionRequest, context: Context
    ) -> projection_pb.PutProjectionResponse:
        return await self._projections.put(namespace_of(request), request.projection)

    async def GetProjection(
        self, request: projection_pb.GetProjectionRequest, context: Context
    ) -> projection_pb.GetProjectionResponse:
        found = await self._projections.get(namespace_of(request), request.projection)
        return projection_pb.GetProjectionResponse(projection=found)

    async def ListProjections(
        self, request: projection_pb.ListProjectionsRequest, context: Context
    ) -> projection_pb.ListProjectionsResponse:
        found = await self._projections.all(namespace_of(request))
        return projection_pb.ListProjectionsResponse(projections=found)

    async def CommitProjection(
        self, request: projection_pb.CommitProjectionRequest, context: Context
    ) -> projection_pb.CommitProjectionResponse:
        await self._projections.commit(namespace_of(request), request)
        return projection_pb.CommitProjectionResponse()

    async def ReadProjection(
        self, request: projection_pb.ReadProjectionRequest, context: Context
    ) -> projection_pb.ReadProjectionResponse:
        return await self._projections.read(namespace_of(request), request)

    async def RebuildProjection(
        self, request: projection_pb.RebuildProjectionRequest, context: Context
    ) -> projection_pb.RebuildProjectionResponse:
        found = await self._projections.rebuild(namespace_of(request), request.projection)
        return projection_pb.RebuildProjectionResponse(projection=found)

    async def SwapProjection(
        self, request: projection_pb.SwapProjectionRequest, context: Context
    ) -> projection_pb.SwapProjectionResponse:
        found = await self._projections.swap(namespace_of(request), request)
        return projection_pb.SwapProjectionResponse(projection=found)

    async def DeleteProjection(
        self, request: projection_pb.DeleteProjectionRequest, context: Context
    ) -> projection_pb.DeleteProjectionResponse:
        await self._projections.delete(namespace_of(request), request.projection)
        return projection_pb.DeleteProjectionResponse()
