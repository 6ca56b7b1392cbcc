"""Streams as they are read, followed, bounded and deleted."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.api.eventstore.v1.event_move_service_pb2 import ImportEventsRequest
from flowmesh.errors import Invalid, NotFound, WrongState
from flowmesh.eventstore import appending, limits
from flowmesh.eventstore.loops import StreamRetentionLoop
from tests.integration.eventstore.made import NAMESPACE, Parts

TYPES = [f"T{number}" for number in range(1, 6)]


async def test_a_stream_is_read_from_both_ends_by_pages(parts: Parts) -> None:
    """Each page names the version of the next one."""
    assert await parts.append("a-1", *TYPES) == 5
    for backwards, first, expected in (
        (False, 0, [(TYPES[:3], 4), (TYPES[3:], 0)]),
        (True, 0, [(TYPES[:1:-1], 2), (TYPES[1::-1], 0)]),
        (True, 3, [(TYPES[2::-1], 0)]),
    ):
        pages: list[tuple[list[str], int]] = []
        version = first
        while not pages or version:
            request = pb.ReadStreamRequest(
                stream="a-1", from_version=version, max=3, backwards=backwards
            )
            page = await parts.streams.read(NAMESPACE, request)
            version = page.next_version
            pages.append(([each.type for each in page.events], version))
        assert pages == expected
    with pytest.raises(NotFound):
        await parts.types("a-2")


async def test_a_page_ends_before_it_has_too_many_bytes(parts: Parts) -> None:
    """The events of all streams are read on from where it ended."""
    half = b'"' + b"x" * (limits.EVENT_BYTES_MAX - 2) + b'"'
    for number in range(6):
        await parts.append(f"big-{number}", "Made", data=half)
    first = await parts.streams.read_all(NAMESPACE, pb.ReadEventsRequest())
    assert (len(first.events), first.end) == (3, False)
    rest = await parts.streams.read_all(NAMESPACE, pb.ReadEventsRequest(after=first.next_after))
    assert [each.position for each in (*first.events, *rest.events)] == [1, 2, 3, 4, 5, 6]
    assert (rest.next_after, rest.end) == (6, True)


async def test_a_selection_reaches_past_what_it_leaves_out(parts: Parts) -> None:
    """By stream, category and type; of a stream that does not exist there is nothing."""
    await parts.append("a-1", "Made", "Sold")
    await parts.append("b-1", "Made")
    for chosen, positions in (
        ({"stream": "a-1"}, [1, 2]),
        ({"stream": "c-1"}, []),
        ({"category": "b"}, [3]),
        ({"types": ["Made"]}, [1, 3]),
    ):
        request = pb.ReadEventsRequest(filter=stored_event_pb2.EventFilter(**chosen))
        page = await parts.streams.read_all(NAMESPACE, request)
        assert [each.position for each in page.events] == positions
        assert (page.next_after, page.end) == (3, True)
    page = await parts.streams.read_all(NAMESPACE, pb.ReadEventsRequest(after=1, max=1))
    assert ([each.position for each in page.events], page.next_after, page.end) == ([2], 2, False)


async def test_a_snapshot_stands_for_the_events_up_to_it(parts: Parts) -> None:
    """The newest one is kept, of a version that the stream has."""
    await parts.append("a-1", *TYPES)

    async def put(version: int, stream: str = "a-1") -> bool:
        snapshot = stored_event_pb2.Snapshot(version=version, state=b"{}")
        request = pb.PutSnapshotRequest(stream=stream, snapshot=snapshot)
        return await parts.streams.put_snapshot(NAMESPACE, request)

    async def loaded() -> tuple[int, list[str]]:
        found = await parts.streams.load(NAMESPACE, pb.LoadStreamRequest(stream="a-1"))
        return found.snapshot.version, [each.type for each in found.events]

    assert await loaded() == (0, TYPES)
    assert [await put(3), await put(2)] == [True, False]
    assert await loaded() == (3, TYPES[3:])
    assert await put(5)
    assert await loaded() == (5, [])
    with pytest.raises(WrongState, match="at version 5"):
        await put(6)
    with pytest.raises(NotFound):
        await put(1, "a-2")
    assert (await parts.streams.info(NAMESPACE, "a-1")).snapshot_version == 5
    with pytest.raises(NotFound):
        await parts.streams.info(NAMESPACE, "a-2")


async def test_streams_are_listed_by_pages(parts: Parts) -> None:
    """Those of a category, or all."""
    for stream in ("b-1", "a-1", "a-2", "a-3"):
        await parts.append(stream, "Made")

    async def pages(category: str, size: int) -> list[list[str]]:
        found: list[list[str]] = []
        token = ""
        while not found or token:
            page = await parts.streams.list(
                NAMESPACE,
                pb.ListStreamsRequest(category=category, page_size=size, page_token=token),
            )
            found.append([each.stream for each in page.streams])
            token = page.next_page_token
        return found

    assert await pages("a", 2) == [["a-1", "a-2"], ["a-3"]]
    assert await pages("", 2) == [["a-1", "a-2"], ["a-3", "b-1"]]
    assert await pages("", 4) == [["a-1", "a-2", "a-3", "b-1"]]


async def test_a_subscriber_gets_stored_events_then_those_that_are_appended(parts: Parts) -> None:
    """One message says that it has caught up; then it waits for an announcement."""
    await parts.append("a-1", "Made")
    frames: AsyncIterator[pb.SubscribeEventsResponse]
    for live, first in ((False, ["Made"]), (True, [])):
        frames = parts.subscribed(live=live)
        async with asyncio.timeout(10):
            frame = await anext(frames)
            assert ([each.type for each in frame.events], frame.caught_up) == (first, True)
            following = asyncio.ensure_future(anext(frames))
            await asyncio.sleep(0)
            assert not following.done()
            at = await parts.append("a-1", "Sold" if live else "Made")
            frame = await following
        assert [(each.position, each.version) for each in frame.events] == [(at, at)]
        assert (frame.after, frame.caught_up) == (at, True)
    with pytest.raises(Invalid):
        await anext(parts.subscribed(after=-1))


async def test_a_subscriber_of_a_selection_is_told_where_it_is(parts: Parts) -> None:
    """Also if nothing of it is stored."""
    await parts.append("a-1", "Made")
    chosen = stored_event_pb2.EventFilter(category="b")
    async with asyncio.timeout(10):
        frame = await anext(parts.subscribed(filter=chosen))
    assert (list(frame.events), frame.after, frame.caught_up) == ([], 1, True)


async def test_events_beyond_the_bounds_of_a_stream_are_deleted(parts: Parts) -> None:
    """At once when a bound is set, and later by a loop; by number and by age."""
    await parts.append("a-1", *TYPES)
    retention = stored_event_pb2.StreamRetention(max_events=3)
    await parts.streams.set_retention(
        NAMESPACE, pb.SetStreamRetentionRequest(stream="a-1", retention=retention)
    )
    assert await parts.types("a-1") == TYPES[2:]
    loop = StreamRetentionLoop(store=parts.store, streams=parts.streams)
    assert await loop.run_once() == 0
    await parts.append("a-1", "T6", "T7")
    await parts.append("a-2", *TYPES)
    assert await loop.run_once() == 2
    assert await parts.types("a-1") == ["T5", "T6", "T7"]
    assert await parts.types("a-2") == TYPES
    old = stored_event_pb2.StreamRetention(max_age_ms=10)
    await parts.streams.set_retention(
        NAMESPACE, pb.SetStreamRetentionRequest(stream="a-2", retention=old)
    )
    parts.clock.us += 10_000
    await parts.append("a-2", "T6")
    assert await loop.run_once() == 0
    parts.clock.us += 1
    assert await loop.run_once() == 5
    assert await parts.types("a-2") == ["T6"]


async def test_a_deleted_stream_is_closed_for_good(parts: Parts) -> None:
    """At the version that is named, if one is."""
    await parts.append("a-1", *TYPES)
    with pytest.raises(WrongState, match="expected version 4"):
        await parts.streams.delete(NAMESPACE, pb.DeleteStreamRequest(stream="a-1", version=4))
    request = pb.DeleteStreamRequest(stream="a-1", version=5)
    assert await parts.streams.delete(NAMESPACE, request) == 5
    with pytest.raises(WrongState) as refused:
        await parts.append("a-1", "Made")
    assert refused.value.reason == "STREAM_DELETED"
    assert await parts.append("a-2", "Made") == 6


async def test_appends_of_a_moment_are_committed_together(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own answer; a canceled one leaves the others, and no lane stays behind."""
    calls = [asyncio.ensure_future(parts.append(f"a-{n}", "Made")) for n in range(20)]
    await asyncio.sleep(0)
    calls.pop(7).cancel()
    positions = await asyncio.gather(*calls)
    assert len(set(positions)) == 19
    assert parts.appender._lanes[NAMESPACE].waiting == []
    monkeypatch.setattr(appending, "NAMESPACES_MAX", 2)
    for namespace in ("n1", "n2", "n3"):
        event = stored_event_pb2.NewEvent(type="Made")
        request = pb.AppendEventsRequest(stream="a-1", events=[event])
        assert (await parts.appender.append(namespace, request)).position == 1
    assert list(parts.appender._lanes) == ["n2", "n3"]


async def test_positions_go_on_in_the_next_partition(parts: Parts) -> None:
    """Also after a head that a moved project has brought, which no event here reached."""
    size = limits.PARTITION_EVENTS
    for namespace, head in (("moved", 3 * size - 2), ("other", size - 2)):
        await parts.moves.take_events(namespace, ImportEventsRequest(head=head))
        made = [stored_event_pb2.NewEvent(type="Made") for _ in range(3)]
        request = pb.AppendEventsRequest(stream="a-1", events=made)
        appended = await parts.appender.append(namespace, request)
        assert (appended.first_version, appended.position) == (1, head + 3)
        page = await parts.streams.read(namespace, pb.ReadStreamRequest(stream="a-1"))
        assert [each.position for each in page.events] == [head + 1, head + 2, head + 3]
