"""Reads of streams and of all events, with snapshots."""

from typing import Any

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.errors import WrongState
from flowmesh.eventstore import limits
from flowmesh.eventstore.checks import (
    check_json,
    check_range,
    checked_filter,
    invalid,
    page_size,
    stream_missing,
    virtual_of,
    written_stream,
)
from flowmesh.eventstore.decisions import chosen_page, version_conflict
from flowmesh.eventstore.store import StreamStore
from flowmesh.eventstore.virtual import VirtualStreams
from flowmesh.rpc import last_of_token, list_key, page_token, valid_id
from flowmesh.runtime import Clock


class Streams:
    """Reads and changes of streams, but for appends."""

    def __init__(self, *, store: StreamStore, virtual: VirtualStreams, clock: Clock) -> None:
        self._store = store
        self._virtual = virtual
        self._clock = clock

    async def read(self, namespace: str, request: pb.ReadStreamRequest) -> pb.ReadStreamResponse:
        """Return a page of a stream. Raises NotFound, Invalid or WrongState."""
        check_range(request.from_version, "from_version", 0, limits.LAST_VERSION)
        count = page_size(request.max)
        if found := virtual_of(request.stream):
            if request.backwards:
                raise WrongState("STREAM_VIRTUAL", "a virtual stream is read forwards only")
            events, following = await self._virtual.read(
                namespace, *found, request.from_version, count
            )
            return pb.ReadStreamResponse(events=events, next_version=following)
        return await self._page(namespace, request, count)

    async def _page(
        self, namespace: str, request: pb.ReadStreamRequest, count: int
    ) -> pb.ReadStreamResponse:
        info = await self._store.info(namespace, valid_id(request.stream, "stream"))
        if info is None:
            raise stream_missing(request.stream)
        first = request.from_version or (limits.LAST_VERSION if request.backwards else 1)
        places = await self._store.page(
            namespace, info, first, count + 1, backwards=request.backwards
        )
        page = chosen_page(places, count)
        events = await self._store.events(namespace, [each.position for each in page])
        if request.backwards:
            events.reverse()
        further = places[len(page)].version if len(places) > len(page) else 0
        return pb.ReadStreamResponse(events=events, next_version=further)

    async def read_all(
        self, namespace: str, request: pb.ReadEventsRequest
    ) -> pb.ReadEventsResponse:
        """Return a page of the events of all streams after a position."""
        chosen = checked_filter(request.filter)
        check_range(request.after, "after", 0, limits.LAST_VERSION)
        return await self.events_after(namespace, chosen, request.after, page_size(request.max))

    async def events_after(
        self, namespace: str, chosen: stored_event_pb2.EventFilter, after: int, count: int
    ) -> pb.ReadEventsResponse:
        scanned = await self._store.scan(namespace, chosen, after)
        page = chosen_page(scanned.places, count)
        whole = len(page) == len(scanned.places)
        reached = scanned.reached if whole else page[-1].position
        return pb.ReadEventsResponse(
            events=await self._store.events(namespace, [each.position for each in page]),
            next_after=reached,
            end=whole and scanned.end,
        )

    async def load(self, namespace: str, request: pb.LoadStreamRequest) -> pb.LoadStreamResponse:
        """Return the snapshot of a stream, and the events after it."""
        stream = written_stream(request.stream)
        snapshot = await self._store.snapshot(namespace, stream)
        after = snapshot.version if snapshot is not None else 0
        page = await self._page(
            namespace,
            pb.ReadStreamRequest(stream=stream, from_version=after + 1),
            page_size(request.max, limits.PAGE_MAX),
        )
        return pb.LoadStreamResponse(
            snapshot=snapshot, events=page.events, next_version=page.next_version
        )

    async def put_snapshot(self, namespace: str, request: pb.PutSnapshotRequest) -> bool:
        """Store a snapshot; return False if a later one is stored."""
        stream, snapshot = written_stream(request.stream), request.snapshot
        check_range(snapshot.version, "snapshot.version", 1, limits.LAST_VERSION)
        if not snapshot.state:
            raise invalid("snapshot.state", "must be JSON")
        check_json(snapshot.state, "snapshot.state", limits.SNAPSHOT_BYTES_MAX)
        info = await self._store.info(namespace, stream)
        if info is None:
            raise stream_missing(stream)
        if snapshot.version > info["version"]:
            raise WrongState(
                "SNAPSHOT_AHEAD",
                f"{stream}: the snapshot has version {snapshot.version}, and the stream is at"
                f" version {info['version']}",
            )
        return await self._store.put_snapshot(namespace, stream, snapshot, self._clock.now_us())

    async def info(self, namespace: str, name: str) -> stored_event_pb2.StreamInfo:
        stream = written_stream(name)
        row = await self._store.info(namespace, stream)
        if row is None:
            raise stream_missing(stream)
        return _info(row)

    async def list(self, namespace: str, request: pb.ListStreamsRequest) -> pb.ListStreamsResponse:
        if request.category:
            valid_id(request.category, "category")
        size = page_size(request.page_size)
        name = list_key(request)
        rows = await self._store.streams(
            namespace, request.category, last_of_token(request.page_token, name), size + 1
        )
        token = page_token(name, rows[size - 1]["stream"]) if len(rows) > size else ""
        return pb.ListStreamsResponse(
            streams=[_info(row) for row in rows[:size]], next_page_token=token
        )

    async def delete(self, namespace: str, request: pb.DeleteStreamRequest) -> int:
        """Delete the events of a stream for good; return their number."""
        stream = written_stream(request.stream)
        async with self._store.changing(namespace, stream) as change:
            if change is None:
                raise stream_missing(stream)
            current = change.row["version"]
            if request.HasField("version") and request.version != current:
                raise version_conflict(stream, f"version {request.version}", current)
            return await change.bury(self._clock.now_us())

    async def set_retention(self, namespace: str, request: pb.SetStreamRetentionRequest) -> None:
        stream, retention = written_stream(request.stream), request.retention
        check_range(retention.max_events, "retention.max_events", 0, limits.RETENTION_EVENTS_MAX)
        check_range(retention.max_age_ms, "retention.max_age_ms", 0, limits.RETENTION_AGE_MS_MAX)
        async with self._store.changing(namespace, stream) as change:
            if change is None:
                raise stream_missing(stream)
            await change.set_retention(retention)
        await self.trim(namespace, stream)

    async def trim(self, namespace: str, stream: str) -> int:
        """Delete the events beyond the bounds of a stream; return their number."""
        async with self._store.changing(namespace, stream) as change:
            if change is None:
                return 0
            first = await change.first_kept(self._clock.now_us())
            if first <= change.row["first_version"]:
                return 0
            return await change.trim(first)


def _info(row: Any) -> stored_event_pb2.StreamInfo:
    return stored_event_pb2.StreamInfo(
        stream=row["stream"],
        version=row["version"],
        first_version=row["first_version"],
        snapshot_version=row["snapshot_version"],
        created_at_us=row["created_at"],
        changed_at_us=row["changed_at"],
        retention=stored_event_pb2.StreamRetention(
            max_events=row["max_events"], max_age_ms=row["max_age_ms"]
        ),
    )
