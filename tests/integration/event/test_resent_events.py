"""A resumed subscriber gets no event twice that the stream holds twice."""

from typing import Any

from flowmesh.api.history.v1 import history_service_pb2

from .conftest import Events
from .orchestrator import completed, ended, scheduled, started
from .test_watch_events import begin, keys, take


async def made_anew(events: Events) -> None:
    """Lose and recreate the stream."""
    await events.stream.bus.jetstream.delete_stream(events.stream.name)
    await events.stream.ensure()


async def resumed(events: Events, cursor: str, count: int) -> list[Any]:
    stream = events.watch_events(cursor=cursor)
    assert await begin(stream) == cursor
    return await take(stream, count)


async def test_events_of_the_lost_stream_are_not_sent_again(events: Events) -> None:
    """Its publisher repeats events after those of the cursor."""
    late, early = events.owner(1), events.owner(2)
    stream = events.watch_events()
    await begin(stream)
    sent = [await late.commit("exec-1", started()), await late.commit("exec-1", scheduled("a"))]
    assert keys(await take(stream, 2)) == [("exec-1", 1), ("exec-1", 2)]
    await made_anew(events)
    await early.commit("exec-2", started())
    (told,) = await take(stream, 1)
    for batch in sent:
        await late.publish(batch)
    await late.commit("exec-1", completed("a"))
    await take(stream, 1)

    assert keys(await resumed(events, told.cursor, 1)) == [("exec-1", 3)]


async def test_a_subscriber_that_resumes_twice_gets_nothing_twice(events: Events) -> None:
    """For cursors of replayed and of live events."""
    late, early = events.owner(1), events.owner(2)
    stream = events.watch_events()
    await begin(stream)
    sent = await late.commit("exec-1", started())
    await take(stream, 1)
    await made_anew(events)
    await early.commit("exec-2", started())
    (told,) = await take(stream, 1)
    await early.commit("exec-2", scheduled("a"))
    (replayed,) = await resumed(events, told.cursor, 1)
    again = events.watch_events(cursor=replayed.cursor)
    await begin(again)
    await early.commit("exec-2", completed("a"))
    (live,) = await take(again, 1)
    await late.publish(sent)
    await early.commit("exec-2", ended())
    await take(again, 1)

    assert keys(await resumed(events, replayed.cursor, 2)) == [("exec-2", 3), ("exec-2", 4)]
    assert keys(await resumed(events, live.cursor, 1)) == [("exec-2", 4)]


async def test_a_new_subscriber_of_a_recreated_stream_gets_no_old_events(events: Events) -> None:
    """The first cursor includes the progress of all incarnations."""
    late, early = events.owner(1), events.owner(2)
    stream = events.watch_events()
    await begin(stream)
    sent = await late.commit("exec-1", started())
    await take(stream, 1)
    await made_anew(events)
    await early.commit("exec-2", started())
    await take(stream, 1)
    start = await begin(events.watch_events())
    await late.publish(sent)
    await early.commit("exec-2", scheduled("a"))
    await take(stream, 1)

    assert keys(await resumed(events, start, 1)) == [("exec-2", 2)]


async def test_events_of_an_outbox_are_not_repeated_from_the_stream(events: Events) -> None:
    """After each event of it, also within a commit."""
    former, heir = events.owner(1), events.owner(2)
    stream = events.watch_events()
    start = await begin(stream)
    lost: list[history_service_pb2.EventBatch] = []
    lost.append(await former.commit("exec-1", started(), lose=True))
    lost.append(await former.commit("exec-1", scheduled("a"), completed("a"), lose=True))
    await heir.commit("exec-1", scheduled("b"), completed("b"), after={1: 2})
    responses = await take(stream, 5)
    assert keys(responses) == [("exec-1", sequence) for sequence in range(1, 6)]
    for batch in lost:
        await former.publish(batch)
    await heir.commit("exec-1", ended())
    responses += await take(stream, 1)
    everything = keys(responses)

    for known, response in enumerate(responses[:-1], start=1):
        got = keys(await resumed(events, response.cursor, 6 - known))
        # In the order of the stream, not of the commits, if a publisher was late.
        assert sorted(got) == everything[known:]
    assert sorted(keys(await resumed(events, start, 6))) == everything
