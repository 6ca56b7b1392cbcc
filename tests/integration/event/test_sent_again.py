"""What comes in the stream a second time is not sent a second time to whoever resumes."""

from typing import Any

from flowmesh.api.history.v1 import history_service_pb2

from .conftest import Events
from .orchestrator import completed, ended, scheduled, started
from .test_watch_events import begin, keys, take


async def made_anew(events: Events) -> None:
    """The stream is lost and made again."""
    await events.stream.bus.jetstream.delete_stream(events.stream.name)
    await events.stream.ensure()


async def resumed(events: Events, cursor: str, count: int) -> list[Any]:
    stream = events.watch_events(cursor=cursor)
    assert await begin(stream) == cursor
    return await take(stream, count)


async def test_what_the_lost_stream_held_is_not_sent_again(events: Events) -> None:
    """Its publisher comes behind another one's, whose events gave the cursor to resume from."""
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


async def test_who_resumes_and_resumes_again_gets_nothing_twice(events: Events) -> None:
    """Cursors of what was replayed, and of what came live after it, know as much."""
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


async def test_who_begins_on_a_stream_made_anew_gets_nothing_of_before(events: Events) -> None:
    """The first cursor says how far everybody was."""
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


async def test_what_an_outbox_gave_is_not_sent_again_out_of_the_stream(events: Events) -> None:
    """Whichever event of it a subscriber resumes behind, also in the middle of a commit."""
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
        # In the order of the stream, which is not that of the commits where a publisher was late.
        assert sorted(got) == everything[known:]
    assert sorted(keys(await resumed(events, start, 6))) == everything
