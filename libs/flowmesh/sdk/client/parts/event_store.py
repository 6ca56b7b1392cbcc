"""Calls about the event store: streams of events, groups of consumers, projections."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Any

import grpc

from flowmesh.api.eventstore.v1 import event_group_service_pb2 as group_pb
from flowmesh.api.eventstore.v1 import event_group_service_pb2_grpc as group_rpc
from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import event_store_service_pb2_grpc as rpc
from flowmesh.api.eventstore.v1 import projection_service_pb2 as projection_pb
from flowmesh.api.eventstore.v1 import projection_service_pb2_grpc as projection_rpc
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.contract.json_value import Json
from flowmesh.records import value_from, values_from
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.transport.reconnect import Reconnect
from flowmesh.sdk.values import event_streams as values
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.event_streams import (
    Appended,
    Delivery,
    EventGroup,
    EventPage,
    Expected,
    NewEvent,
    ParkedEvent,
    ProjectionInfo,
    Snapshot,
    StoredEvent,
    StreamInfo,
)
from flowmesh.sdk.values.payloads import encode
from flowmesh.views import END_TYPES


class EventStoreCalls:
    """The streams of the client's namespace.

    The history of an execution is the stream `execution/<id>`, and the change log of a definition
    the stream `definition/<name>`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.EventStoreServiceStub(connection.caller.channel)

    async def append(self, stream: str, *events: NewEvent, expected: Expected = "any") -> Appended:
        """Append events, all or none; they are stored once this returns.

        Raises WrongState with VERSION_CONFLICT if the stream is at another version than expected.
        """
        request = pb.AppendEventsRequest(
            stream=stream,
            events=[values.new_event(each, self._connection.new_id()) for each in events],
        )
        values.expect(request, expected)
        response = await self._connection.call(self._stub.AppendEvents, request)
        return value_from(Appended, response)

    async def read(
        self, stream: str, *, version: int = 0, backwards: bool = False, count: int = 0
    ) -> AsyncIterator[StoredEvent]:
        """Iterate over a stream from a version on; `count` bounds the number of events."""
        left = count or 2**63
        request = pb.ReadStreamRequest(stream=stream, from_version=version, backwards=backwards)
        while left:
            request.max = min(left, limits.PAGE_SIZE)
            response = await self._connection.call(self._stub.ReadStream, request)
            for event in response.events:
                yield value_from(StoredEvent, event)
            left -= len(response.events)
            if not response.next_version:
                return
            request.from_version = response.next_version

    async def read_all(
        self,
        *,
        after: int = 0,
        stream: str = "",
        category: str = "",
        types: Sequence[str] = (),
        count: int = 0,
    ) -> EventPage:
        """Return a page of the events of all streams after a position."""
        request = pb.ReadEventsRequest(
            filter=values.event_filter(stream=stream, category=category, types=types),
            after=after,
            max=count,
        )
        response = await self._connection.call(self._stub.ReadEvents, request)
        return value_from(EventPage, response)

    async def load(self, stream: str) -> tuple[Snapshot | None, tuple[StoredEvent, ...]]:
        """Return the snapshot of a stream, and all events after it."""
        request = pb.LoadStreamRequest(stream=stream)
        response = await self._connection.call(self._stub.LoadStream, request)
        events = [*values_from(StoredEvent, response.events)]
        if response.next_version:
            events += [each async for each in self.read(stream, version=response.next_version)]
        found = value_from(Snapshot, response.snapshot) if response.HasField("snapshot") else None
        return found, tuple(events)

    async def put_snapshot(self, stream: str, version: int, state: Json) -> bool:
        """Store a snapshot; return False if one of the same or a later version is stored."""
        request = pb.PutSnapshotRequest(
            stream=stream, snapshot=stored_event_pb2.Snapshot(version=version, state=encode(state))
        )
        response = await self._connection.call(self._stub.PutSnapshot, request)
        return response.stored

    async def stream(self, stream: str) -> StreamInfo:
        """Return a stream. Raises NotFound."""
        request = pb.GetStreamRequest(stream=stream)
        response = await self._connection.call(self._stub.GetStream, request)
        return value_from(StreamInfo, response.info)

    async def streams(
        self, *, category: str = "", page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[StreamInfo]:
        """Iterate over the streams by name."""
        request = pb.ListStreamsRequest(category=category, page_size=page_size)
        async for info in self._connection.pages(self._stub.ListStreams, request, "streams"):
            yield value_from(StreamInfo, info)

    async def delete(self, stream: str, *, version: int | None = None) -> int:
        """Delete the events of a stream for good; its name cannot be used again."""
        request = pb.DeleteStreamRequest(stream=stream, version=version)
        response = await self._connection.call(self._stub.DeleteStream, request)
        return response.deleted_events

    async def set_retention(self, stream: str, *, max_events: int = 0, max_age: float = 0) -> None:
        """Bound a stream by number and by age in seconds; 0 is unlimited."""
        retention = stored_event_pb2.StreamRetention(
            max_events=max_events, max_age_ms=round(max_age * 1_000)
        )
        request = pb.SetStreamRetentionRequest(stream=stream, retention=retention)
        await self._connection.call(self._stub.SetStreamRetention, request)

    async def subscribe(
        self,
        *,
        stream: str = "",
        category: str = "",
        types: Iterable[str] = (),
        after: int = 0,
        live: bool = False,
    ) -> AsyncIterator[StoredEvent]:
        """Iterate over the stored events after a position, then over those appended later.

        Across reconnects without gap or repeat. For a virtual stream, `after` is a version, and the
        iteration ends with the execution.
        """
        request = pb.SubscribeEventsRequest(
            namespace=self._connection.namespace,
            filter=values.event_filter(stream=stream, category=category, types=types),
            after=after,
            live=live,
        )
        reconnect = Reconnect(self._connection.caller, asyncio.get_running_loop().time)
        while True:
            frames: Any = None
            silent, last = True, ""
            try:
                await reconnect.opening()
                frames = self._stub.SubscribeEvents(request)
                async for frame in frames:
                    reconnect.connected()
                    silent = False
                    for event in frame.events:
                        last = event.type
                        yield value_from(StoredEvent, event)
                    request.after, request.live = frame.after, False
                if "/" in stream and (silent or last in END_TYPES):
                    return  # the last event of the execution is known
            except grpc.aio.AioRpcError as error:
                await reconnect.broken(error)
            finally:
                if frames is not None:
                    frames.cancel()
            reconnect.ended()
            if reconnect.hopeless:
                raise reconnect.error()
            await reconnect.pause()


class EventGroupCalls:
    """Groups of the client's namespace: each event is delivered to one member of a group."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = group_rpc.EventGroupServiceStub(connection.caller.channel)

    async def put(
        self,
        group: str,
        *,
        stream: str = "",
        category: str = "",
        types: Iterable[str] = (),
        start_after: int = 0,
        lease: float = 0,
        max_attempts: int = 0,
        retry_delay: float | None = None,
    ) -> bool:
        """Create a group, or change its settings; return False if it existed.

        Times are in seconds: `lease` (30) bounds a delivery, `retry_delay` (1) precedes the next
        attempt. After `max_attempts` (5) an event is parked.
        """
        message = group_pb.EventGroup(
            event_group=group,
            filter=values.event_filter(stream=stream, category=category, types=types),
            start_after=start_after,
            lease_ms=round(lease * 1_000),
            max_attempts=max_attempts,
            retry_delay_ms=None if retry_delay is None else round(retry_delay * 1_000),
        )
        request = group_pb.PutEventGroupRequest(group=message)
        response = await self._connection.call(self._stub.PutEventGroup, request)
        return response.created

    async def list(self) -> tuple[EventGroup, ...]:
        """Return the groups by name."""
        request = group_pb.ListEventGroupsRequest()
        response = await self._connection.call(self._stub.ListEventGroups, request)
        return values_from(EventGroup, response.groups)

    async def delete(self, group: str) -> None:
        """Delete a group. Raises NotFound."""
        request = group_pb.DeleteEventGroupRequest(event_group=group)
        await self._connection.call(self._stub.DeleteEventGroup, request)

    async def receive(self, group: str, count: int = 1, *, wait: float = 0) -> tuple[Delivery, ...]:
        """Return up to `count` events, waiting at most `wait` seconds for the first.

        Settle each by `ack` or `nack` before its lease ends.
        """
        request = group_pb.ReceiveEventsRequest(
            event_group=group, max=count, wait_ms=round(wait * 1_000)
        )
        response = await self._connection.call(
            self._stub.ReceiveEvents, request, timeout_s=wait + limits.CALL_TIMEOUT_S
        )
        return tuple(value_from(Delivery, each, group=group) for each in response.deliveries)

    async def ack(self, *deliveries: Delivery) -> tuple[int, ...]:
        """Acknowledge deliveries; return the positions of those settled or repeated meanwhile."""
        return await self._settle(deliveries, None)

    async def nack(
        self, *deliveries: Delivery, error: str = "", park: bool = False
    ) -> tuple[int, ...]:
        """Return deliveries for another attempt, or park them."""
        return await self._settle(deliveries, group_pb.EventFailure(error=error, park=park))

    async def parked(self, group: str, *, after: int = 0) -> tuple[ParkedEvent, ...]:
        """Return the parked events of a group after a position."""
        request = group_pb.ListParkedEventsRequest(event_group=group, after=after, max=500)
        response = await self._connection.call(self._stub.ListParkedEvents, request)
        return values_from(ParkedEvent, response.events)

    async def replay_parked(self, group: str, positions: Collection[int] = ()) -> int:
        """Deliver parked events again, all without positions; return their number."""
        request = group_pb.ReplayParkedEventsRequest(event_group=group, positions=positions)
        response = await self._connection.call(self._stub.ReplayParkedEvents, request)
        return response.replayed

    async def _settle(
        self, deliveries: tuple[Delivery, ...], failure: group_pb.EventFailure | None
    ) -> tuple[int, ...]:
        stale: list[int] = []
        for group in dict.fromkeys(each.group for each in deliveries):
            settlements = [
                group_pb.EventSettlement(
                    position=each.event.position, attempt=each.attempt, failure=failure
                )
                for each in deliveries
                if each.group == group
            ]
            request = group_pb.SettleEventsRequest(event_group=group, settlements=settlements)
            response = await self._connection.call(self._stub.SettleEvents, request)
            stale += response.stale
        return tuple(stale)


class ProjectionCalls:
    """Projections of the client's namespace; `flowmesh.sdk.Projector` runs one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = projection_rpc.ProjectionServiceStub(connection.caller.channel)

    async def put(
        self, name: str, *, stream: str = "", category: str = "", types: Iterable[str] = ()
    ) -> ProjectionInfo:
        """Create a projection of the selected events, or return the existing one."""
        projection = projection_pb.Projection(
            projection=name,
            filter=values.event_filter(stream=stream, category=category, types=types),
        )
        request = projection_pb.PutProjectionRequest(projection=projection)
        response = await self._connection.call(self._stub.PutProjection, request)
        return value_from(ProjectionInfo, response.projection)

    async def get(self, name: str) -> ProjectionInfo:
        """Return a projection. Raises NotFound."""
        request = projection_pb.GetProjectionRequest(projection=name)
        response = await self._connection.call(self._stub.GetProjection, request)
        return value_from(ProjectionInfo, response.projection)

    async def list(self) -> tuple[ProjectionInfo, ...]:
        """Return the projections by name."""
        request = projection_pb.ListProjectionsRequest()
        response = await self._connection.call(self._stub.ListProjections, request)
        return values_from(ProjectionInfo, response.projections)

    async def commit(
        self,
        name: str,
        *,
        generation: int,
        from_checkpoint: int,
        to_checkpoint: int,
        states: Mapping[str, Json],
        deleted: Collection[str] = (),
    ) -> None:
        """Store states and the checkpoint together.

        Raises WrongState with PROJECTION_MOVED if the checkpoint is no longer `from_checkpoint`.
        """
        written = [
            projection_pb.ProjectionState(key=key, state=encode(state))
            for key, state in states.items()
        ]
        request = projection_pb.CommitProjectionRequest(
            projection=name,
            generation=generation,
            from_checkpoint=from_checkpoint,
            to_checkpoint=to_checkpoint,
            states=[*written, *(projection_pb.ProjectionState(key=key) for key in deleted)],
        )
        await self._connection.call(self._stub.CommitProjection, request)

    async def states(
        self, name: str, keys: Collection[str] = (), *, generation: int = 0
    ) -> dict[str, Json]:
        """Return states by key, or all."""
        request = projection_pb.ReadProjectionRequest(
            projection=name, keys=keys, generation=generation, page_size=limits.PAGE_SIZE
        )
        found = [
            each
            async for each in self._connection.pages(self._stub.ReadProjection, request, "states")
        ]
        return values.states_of(found)

    async def state(self, name: str, key: str) -> Json:
        """Return the state of a key; None without one."""
        return (await self.states(name, (key,))).get(key)

    async def begin_rebuild(self, name: str) -> ProjectionInfo:
        """Begin a rebuild: an empty shadow."""
        request = projection_pb.RebuildProjectionRequest(projection=name)
        response = await self._connection.call(self._stub.RebuildProjection, request)
        return value_from(ProjectionInfo, response.projection)

    async def swap(self, name: str, generation: int) -> ProjectionInfo:
        """Replace the states by a shadow that has caught up."""
        request = projection_pb.SwapProjectionRequest(projection=name, generation=generation)
        response = await self._connection.call(self._stub.SwapProjection, request)
        return value_from(ProjectionInfo, response.projection)

    async def delete(self, name: str) -> None:
        """Delete a projection with its states. Raises NotFound."""
        request = projection_pb.DeleteProjectionRequest(projection=name)
        await self._connection.call(self._stub.DeleteProjection, request)
