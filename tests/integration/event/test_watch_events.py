"""The events of a namespace, live and from a cursor."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.errors import FlowmeshError

from .conftest import PATIENCE_S, Events
from .orchestrator import completed, ended, scheduled, started


async def begin(stream: AsyncIterator[Any]) -> str:
    async with asyncio.timeout(PATIENCE_S):
        first = await anext(stream)
    assert first.subscribed
    assert not first.HasField("event")
    return str(first.cursor)


async def take(stream: AsyncIterator[Any], count: int) -> list[Any]:
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(stream) for _ in range(count)]


def keys(responses: list[Any]) -> list[tuple[str, int]]:
    return [(r.event.execution_id, r.event.event.sequence) for r in responses]


async def refusal(stream: AsyncIterator[Any]) -> str:
    with pytest.raises(FlowmeshError) as refused:
        await take(stream, 1)
    return refused.value.reason


async def test_a_subscriber_sees_all_executions_of_its_namespace(events: Events) -> None:
    """From now on, and of no other namespace."""
    owner = events.owner(1)
    earlier = events.watch_events()
    await begin(earlier)
    await owner.commit("before", started())
    await take(earlier, 1)
    stream = events.watch_events()
    await begin(stream)
    await owner.commit("hidden", started(), namespace="other")
    await owner.commit("exec-1", started(), scheduled("a"))
    await owner.commit("exec-2", started())

    got = keys(await take(stream, 3))
    assert got == [("exec-1", 1), ("exec-1", 2), ("exec-2", 1)]


async def test_filters_let_only_matches_pass(events: Events) -> None:
    """Workflow, execution and type each narrow the stream."""
    owner = events.owner(1)
    by_workflow = events.watch_events(workflow_id="invoices")
    by_execution = events.watch_events(execution_id="exec-2")
    by_type = events.watch_events(types=["WorkflowCompleted"])
    flows = events.watch_events(types=["SignalFlow"])
    for stream in (by_workflow, by_execution, by_type, flows):
        await begin(stream)
    await owner.commit("exec-1", started("invoices"), workflow_id="invoices")
    await owner.commit("exec-2", started(), scheduled("c"), ended())

    assert keys(await take(by_workflow, 1)) == [("exec-1", 1)]
    assert keys(await take(by_execution, 3)) == [("exec-2", 1), ("exec-2", 2), ("exec-2", 3)]
    assert keys(await take(by_type, 1)) == [("exec-2", 3)]
    edges = [r.event.signal_flow.from_node for r in await take(flows, 2)]
    assert edges == ["a", "b"]


async def test_a_cursor_resumes_in_the_middle_of_a_commit(events: Events) -> None:
    """The cursor of each event resumes exactly after it, up to live events."""
    owner = events.owner(1)
    stream = events.watch_events()
    start = await begin(stream)
    await owner.commit("exec-1", started(), scheduled("a"), completed("a"))
    await owner.commit("exec-2", started(), ended())
    responses = await take(stream, 5)
    everything = keys(responses)

    for known, cursor in enumerate([start, *(response.cursor for response in responses)]):
        resumed = events.watch_events(cursor=cursor)
        assert await begin(resumed) == cursor
        assert keys(await take(resumed, 5 - known)) == everything[known:]
        if known == 3:
            live = resumed
    await owner.commit("exec-3", started())
    assert keys(await take(live, 1)) == [("exec-3", 1)]


async def test_a_cursor_resumes_under_load(events: Events) -> None:
    """The switch from the stream to live events neither loses nor repeats events."""
    owner = events.owner(1)
    stream = events.watch_events()
    start = await begin(stream)
    total = 300

    async def commit_all() -> None:
        for number in range(total):
            await owner.commit(f"exec-{number}", started())

    committing = asyncio.create_task(commit_all())
    resumed = [events.watch_events(cursor=start) for _ in range(5)]
    for each in resumed:
        await begin(each)
        got = keys(await take(each, total))
        assert got == [(f"exec-{number}", 1) for number in range(total)]
    await committing


@pytest.mark.parametrize("cursor", ["x", "é", "MS4y", "!!!!", "A" * 5000])
async def test_a_foreign_cursor_is_invalid(events: Events, cursor: str) -> None:
    """It is rejected before anything is sent."""
    assert await refusal(events.watch_events(cursor=cursor)) == "CURSOR_INVALID"


async def test_a_cursor_whose_next_events_are_deleted_has_expired(events: Events) -> None:
    """The stream no longer holds the next events, or was recreated."""
    owner = events.owner(1)
    stream = events.watch_events()
    start = await begin(stream)
    await owner.commit("exec-1", started())
    (response,) = await take(stream, 1)
    jetstream, name = events.stream.bus.jetstream, events.stream.name
    await jetstream.purge_stream(name)
    assert await refusal(events.watch_events(cursor=start)) == "CURSOR_EXPIRED"
    await jetstream.delete_stream(name)
    await events.stream.ensure()

    assert await refusal(events.watch_events(cursor=response.cursor)) == "CURSOR_EXPIRED"


async def test_a_recreated_stream_continues_for_a_resumed_subscriber(events: Events) -> None:
    """Its messages count from one again, below the cursor of a subscriber."""
    owner = events.owner(1)
    stream = events.watch_events()
    await begin(stream)
    for number in range(5):
        await owner.commit(f"exec-{number}", started())
    cursor = (await take(stream, 5))[-1].cursor
    resumed = events.watch_events(cursor=cursor)
    await begin(resumed)
    await owner.commit("exec-5", started())
    assert keys(await take(resumed, 1)) == [("exec-5", 1)]
    await events.stream.bus.jetstream.delete_stream(events.stream.name)
    await events.stream.ensure()
    await owner.commit("exec-6", started())
    (told,) = await take(resumed, 1)
    assert keys([told]) == [("exec-6", 1)]
    again = events.watch_events(cursor=told.cursor)
    await begin(again)
    await owner.commit("exec-7", started())

    assert keys(await take(again, 1)) == [("exec-7", 1)]
