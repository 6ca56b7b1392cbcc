"""The events of an execution: in order, without gap or repeat, despite losses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.embedded import EmbeddedServers
from flowmesh.errors import FlowmeshError

from .conftest import PATIENCE_S, Events
from .orchestrator import completed, ended, scheduled, started


async def rest(stream: AsyncIterator[Any]) -> list[int]:
    async with asyncio.timeout(PATIENCE_S):
        return [response.event.event.sequence async for response in stream]


async def take(stream: AsyncIterator[Any], count: int) -> list[int]:
    async with asyncio.timeout(PATIENCE_S):
        return [(await anext(stream)).event.event.sequence for _ in range(count)]


async def test_a_subscriber_gets_past_and_live_events(events: Events) -> None:
    """From the first event to the last, then the stream ends."""
    owner = events.owner(1)
    await owner.commit("exec-1", started(), *(scheduled(f"n{i}") for i in range(9)))
    stream = events.watch_execution("exec-1")
    assert await take(stream, 10) == list(range(1, 11))
    await owner.commit("exec-2", started())
    await owner.commit("exec-1", completed("n1"))
    assert await take(stream, 1) == [11]
    await owner.commit("exec-1", completed("n2"), ended())

    assert await rest(stream) == [12, 13]


async def test_an_event_carries_names_and_its_body(events: Events) -> None:
    """Namespace, execution and workflow are included, live and from history."""
    owner = events.owner(1)
    await owner.commit("exec-1", started("invoices"), namespace="team", workflow_id="invoices")
    stream = events.watch_execution("exec-1", namespace="team")
    await owner.commit("exec-1", ended("7"), namespace="team", workflow_id="invoices")
    async with asyncio.timeout(PATIENCE_S):
        first, last = [response.event async for response in stream]

    for event in (first, last):
        assert (event.namespace, event.execution_id) == ("team", "exec-1")
        assert event.workflow_id == "invoices"
    assert last.event.workflow_completed.output.data == b"7"


async def test_a_subscriber_resumes_after_its_last_event(events: Events) -> None:
    """Only later events; after the last event of an ended execution, none."""
    owner = events.owner(1)
    await owner.commit("exec-1", started(), scheduled("a"), completed("a"), ended())

    assert await rest(events.watch_execution("exec-1", after=2)) == [3, 4]
    assert await rest(events.watch_execution("exec-1", after=4)) == []
    assert await rest(events.watch_execution("exec-1", after=99)) == []


async def test_types_narrow_the_stream_to_them_and_the_end(events: Events) -> None:
    """The last event is always sent."""
    owner = events.owner(1)
    await owner.commit("exec-1", started(), scheduled("a"), completed("a"), ended())

    assert await rest(events.watch_execution("exec-1", types=["TaskCompleted"])) == [3, 4]
    assert await rest(events.watch_execution("exec-1", types=["Unheard"])) == [4]


async def test_signal_flow_is_sent_per_dependency_if_requested(events: Events) -> None:
    """Derived from the schedule of a node, with its sequence, for each incoming edge."""
    owner = events.owner(1)
    await owner.commit("exec-1", started(), scheduled("a"), scheduled("c"), ended())
    async with asyncio.timeout(PATIENCE_S):
        stream = events.watch_execution("exec-1", types=["SignalFlow"])
        got = [response.event async for response in stream]

    flows = [(e.signal_flow.from_node, e.signal_flow.to_node, e.event.sequence) for e in got[:-1]]
    assert flows == [("a", "c", 3), ("b", "c", 3)]
    assert got[-1].event.HasField("workflow_completed")


async def test_an_unknown_execution_is_not_found(events: Events) -> None:
    """Also with a sequence to resume from."""
    for after in (0, 5):
        with pytest.raises(FlowmeshError) as refused:
            await rest(events.watch_execution("nobody", after=after))
        assert refused.value.reason == "EXECUTION_NOT_FOUND"


async def test_a_message_that_nats_lost_is_read_from_the_outbox(events: Events) -> None:
    """The next commit of the incarnation reveals the gap, and nothing is missing."""
    owner = events.owner(1)
    await owner.commit("exec-1", started())
    stream = events.watch_execution("exec-1")
    await take(stream, 1)
    await owner.commit("exec-1", scheduled("a"), lose=True)
    await owner.commit("exec-1", completed("a"), lose=True)
    await owner.commit("exec-2", started())
    assert await take(stream, 2) == [2, 3]
    assert events.book.outbox_reads > 0
    await owner.commit("exec-1", ended())

    assert await rest(stream) == [4]


async def test_repeated_and_malformed_messages_change_nothing(events: Events) -> None:
    """A publisher may repeat after a reconnect; malformed messages are counted."""
    owner = events.owner(1)
    first = await owner.commit("exec-1", started())
    stream = events.watch_execution("exec-1")
    await take(stream, 1)
    await owner.publish(first)
    await owner.publish_bytes(b"\xff\xff")
    second = await owner.commit("exec-1", scheduled("a"))
    await owner.publish(second)
    await owner.commit("exec-1", ended())

    assert await rest(stream) == [2, 3]
    assert events.metric("flowmesh_event_messages_total", outcome="malformed") == 1


async def test_a_new_owner_waits_for_the_former_ones_events(events: Events) -> None:
    """After a take-over the order is total, although the former owner's message was last."""
    former, owner = events.owner(1), events.owner(2)
    await former.commit("exec-1", started())
    stream = events.watch_execution("exec-1")
    await take(stream, 1)
    late = await former.commit("exec-1", scheduled("a"), lose=True)
    await owner.commit("exec-1", completed("a"), ended(), after={1: 2})
    await former.publish(late)

    assert await rest(stream) == [2, 3, 4]


@pytest.mark.long
async def test_a_recreated_stream_does_not_stop_subscribers(events: Events) -> None:
    """A lost NATS store is recreated, and events in between are delivered."""
    owner = events.owner(1)
    await owner.commit("exec-1", started())
    stream = events.watch_execution("exec-1")
    await take(stream, 1)
    await events.stream.bus.jetstream.delete_stream(events.stream.name)
    await owner.commit("exec-1", scheduled("a"), lose=True)
    await events.stream.ensure()
    await owner.commit("exec-1", ended())

    assert await rest(stream) == [2, 3]


async def test_a_subscriber_that_does_not_read_slows_only_itself(events: Events) -> None:
    """Its stream ends with SLOW_CONSUMER; another one gets all events."""
    owner = events.owner(1)
    await owner.commit("exec-1", started())
    slow, quick = events.watch_execution("exec-1"), events.watch_execution("exec-1")
    assert await take(slow, 1) == await take(quick, 1) == [1]
    large = '"' + "x" * 200_000 + '"'
    for number in range(60):
        await owner.commit("exec-1", completed(f"n{number}", large))
        assert await take(quick, 1) == [number + 2]
    with pytest.raises(FlowmeshError) as refused:
        await rest(slow)

    assert refused.value.reason == "SLOW_CONSUMER"
    await owner.commit("exec-1", ended())
    assert await rest(quick) == [62]
    assert events.metric("flowmesh_event_slow_subscribers_total") == 1


async def test_a_killed_nats_server_loses_no_event(
    events: Events, servers: EmbeddedServers
) -> None:
    """Commits during the outage are read from the outbox, and the stream continues."""
    owner = events.owner(1)
    await owner.commit("exec-1", started())
    stream = events.watch_execution("exec-1")
    await take(stream, 1)
    servers.kill("nats")
    await owner.commit("exec-1", scheduled("a"), lose=True)
    await servers.until_ready("nats")
    await owner.until_connected()
    await owner.commit("exec-1", ended())

    assert await rest(stream) == [2, 3]
