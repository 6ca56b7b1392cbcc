"""Streams of events of a project with their groups and projections, taken to another cell.

Events keep their versions, positions, ids and times. They are copied while the source serves the
project, and in the switch those that came since.
"""

from typing import Any

from flowmesh.api.eventstore.v1 import event_group_service_pb2 as groups_pb
from flowmesh.api.eventstore.v1 import event_move_service_pb2 as move_pb
from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import projection_service_pb2 as projections_pb
from flowmesh.api.eventstore.v1.event_group_service_pb2_grpc import EventGroupServiceStub
from flowmesh.api.eventstore.v1.event_move_service_pb2_grpc import EventMoveServiceStub
from flowmesh.api.eventstore.v1.event_store_service_pb2_grpc import EventStoreServiceStub
from flowmesh.api.eventstore.v1.projection_service_pb2_grpc import ProjectionServiceStub
from flowmesh.cells import COPYING, Move
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.parts import Part, Route

PAGE = 1_000

Moved = dict[str, move_pb.MovedStream]


class _EventStore:
    """The event store of a project in one cell."""

    def __init__(self, calls: CellCalls) -> None:
        self._calls = calls
        self._events = EventStoreServiceStub(calls.channel)
        self._moves = EventMoveServiceStub(calls.channel)
        self._groups = EventGroupServiceStub(calls.channel)
        self._projections = ProjectionServiceStub(calls.channel)

    async def head(self) -> int:
        """Return the last position."""
        answer = await self._calls.call(self._moves.ImportEvents, move_pb.ImportEventsRequest())
        return answer.head

    async def page(self, after: int) -> pb.ReadEventsResponse:
        request = pb.ReadEventsRequest(after=after, max=PAGE)
        return await self._calls.call(self._events.ReadEvents, request)

    async def take(self, page: pb.ReadEventsResponse) -> None:
        """Store a page of another cell."""
        request = move_pb.ImportEventsRequest(events=page.events, head=page.next_after)
        await self._calls.call(self._moves.ImportEvents, request)

    async def streams(self) -> Moved:
        """Return all streams by name, also deleted ones."""
        found: Moved = {}
        after = ""
        while True:
            request = move_pb.ExportStreamsRequest(after=after)
            page = await self._calls.call(self._moves.ExportStreams, request)
            found |= {each.info.stream: each for each in page.streams}
            if not page.streams:
                return found
            after = page.streams[-1].info.stream

    async def take_streams(self, streams: list[move_pb.MovedStream]) -> None:
        for start in range(0, len(streams), PAGE):
            request = move_pb.ImportStreamsRequest(streams=streams[start : start + PAGE])
            await self._calls.call(self._moves.ImportStreams, request)

    async def snapshots(self) -> dict[str, int]:
        """Return the versions of the snapshots by stream."""
        listed = await self._calls.listed(
            self._events.ListStreams, pb.ListStreamsRequest(), "streams"
        )
        return {each.stream: each.snapshot_version for each in listed if each.snapshot_version}

    async def snapshot(self, stream: str) -> pb.LoadStreamResponse:
        request = pb.LoadStreamRequest(stream=stream, max=1)
        return await self._calls.call(self._events.LoadStream, request)

    async def put_snapshot(self, stream: str, loaded: pb.LoadStreamResponse) -> None:
        if loaded.HasField("snapshot"):
            request = pb.PutSnapshotRequest(stream=stream, snapshot=loaded.snapshot)
            await self._calls.call(self._events.PutSnapshot, request)

    async def groups(self) -> Any:
        request = groups_pb.ListEventGroupsRequest()
        return (await self._calls.call(self._groups.ListEventGroups, request)).groups

    async def put_group(self, group: groups_pb.EventGroup) -> None:
        """Make a group with the checkpoint of this one."""
        made = groups_pb.EventGroup()
        made.CopyFrom(group)
        made.start_after = group.checkpoint
        request = groups_pb.PutEventGroupRequest(group=made)
        await self._calls.call(self._groups.PutEventGroup, request)

    async def delete_group(self, name: str) -> None:
        request = groups_pb.DeleteEventGroupRequest(event_group=name)
        await self._calls.call(self._groups.DeleteEventGroup, request)

    async def deliveries(self, group: str, after: int) -> list[move_pb.MovedDelivery]:
        request = move_pb.ExportDeliveriesRequest(event_group=group, after=after)
        answer = await self._calls.call(self._moves.ExportDeliveries, request)
        return list(answer.deliveries)

    async def take_deliveries(self, group: str, found: list[move_pb.MovedDelivery]) -> None:
        request = move_pb.ImportDeliveriesRequest(event_group=group, deliveries=found)
        await self._calls.call(self._moves.ImportDeliveries, request)

    async def projections(self) -> Any:
        request = projections_pb.ListProjectionsRequest()
        return (await self._calls.call(self._projections.ListProjections, request)).projections

    async def put_projection(self, projection: projections_pb.Projection) -> None:
        """Make a projection without states, which its projectors compute again."""
        made = projections_pb.Projection(projection=projection.projection, filter=projection.filter)
        request = projections_pb.PutProjectionRequest(projection=made)
        await self._calls.call(self._projections.PutProjection, request)

    async def delete_projection(self, name: str) -> None:
        request = projections_pb.DeleteProjectionRequest(projection=name)
        await self._calls.call(self._projections.DeleteProjection, request)


class Events(Part):
    """The event store of a project."""

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self._here, self._there = _EventStore(route.source), _EventStore(route.target)

    async def problems(self, move: Move) -> list[str]:
        """Return streams of the target that do not continue at the source."""
        if move.step != COPYING:
            return []
        here, there = await self._here.streams(), await self._there.streams()
        return [
            f"another stream {name} in cell {self._target.cell.name}"
            for name, stream in there.items()
            if name not in here or here[name].info.version < stream.info.version
        ]

    async def copy(self) -> None:
        """Copy the events that the target does not have, then the states of the streams."""
        after = await self._there.head()
        while (page := await self._here.page(after)).next_after > after:
            await self._there.take(page)
            after = page.next_after
        await self._copy_streams()

    async def switch(self, move: Move) -> None:
        """Copy the last events, and the groups and projections of the source and no others."""
        await self.copy()
        for each in await self._there.groups():
            await self._there.delete_group(each.event_group)
        for each in await self._here.groups():
            await self._there.put_group(each)
            await self._copy_deliveries(each.event_group)
        for each in await self._there.projections():
            await self._there.delete_projection(each.projection)
        for each in await self._here.projections():
            await self._there.put_projection(each)

    async def _copy_streams(self) -> None:
        here, there = await self._here.streams(), await self._there.streams()
        changed = [each for name, each in here.items() if there.get(name) != each]
        await self._there.take_streams(changed)
        present = await self._there.snapshots()
        for stream, version in (await self._here.snapshots()).items():
            if present.get(stream) != version:
                await self._there.put_snapshot(stream, await self._here.snapshot(stream))

    async def _copy_deliveries(self, group: str) -> None:
        """Copy what members have in flight, with its attempts and leases, and what is parked."""
        after = 0
        while found := await self._here.deliveries(group, after):
            await self._there.take_deliveries(group, found)
            after = found[-1].position
