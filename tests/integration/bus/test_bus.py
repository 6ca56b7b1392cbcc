"""JetStream through the bus: stored once, read without a gap, across restarts of the server."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import DiscardPolicy

from flowmesh.bus import Bus, Message
from flowmesh.embedded import EmbeddedServers
from flowmesh.errors import Unavailable
from flowmesh.telemetry import child_traceparent, trace

STREAM = "TEST_BUS"


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[EmbeddedServers]:
    """A NATS server that this test may break."""
    async with EmbeddedServers(tmp_path / "data", only=["nats"]) as servers:
        yield servers


@pytest.fixture
async def bus(own: EmbeddedServers) -> AsyncIterator[Bus]:
    """A connected bus with an empty stream."""
    bus = Bus(own.nats)
    bus.start()
    await bus.until_connected()
    await bus.ensure_stream(STREAM, ["test.>"], 3_600, 100_000_000)
    yield bus
    await bus.close()


async def take(messages: Any, count: int) -> list[Message]:
    return [await anext(messages) for _ in range(count)]


async def publish_when_back(bus: Bus, subject: str, data: bytes) -> None:
    """Publishes as an outbox does: again until it is acknowledged."""
    while True:
        await bus.until_connected()
        try:
            await bus.publish(subject, data, msg_id=data.decode())
        except Unavailable:
            continue
        return


async def stop_answering(own: EmbeddedServers) -> None:
    """The server is there, and does nothing until SIGCONT."""
    own.kill("nats", signal.SIGSTOP)
    stopped = (os.P_PID, own.pids()["nats"], os.WSTOPPED | os.WNOWAIT)
    await asyncio.to_thread(os.waitid, *stopped)


async def test_what_is_published_is_read_in_order(bus: Bus) -> None:
    """More than several batches arrive in order with their sequence and headers."""
    for number in range(300):
        await bus.publish("test.a", str(number).encode(), headers={"kind": "number"})
    async with aclosing(bus.consume(STREAM, ["test.a"])) as messages:
        found = await take(messages, 300)
    assert [int(message.data) for message in found] == list(range(300))
    assert [message.stream_sequence for message in found] == list(range(1, 301))
    assert found[0].headers["kind"] == "number"


async def test_a_repeat_is_stored_once(bus: Bus) -> None:
    """The same message id is acknowledged as a duplicate with the first one's place."""
    first = await bus.publish("test.a", b"x", msg_id="1:1:0")
    again = await bus.publish("test.a", b"x", msg_id="1:1:0")
    assert (again.sequence, again.duplicate) == (first.sequence, True)


async def test_what_no_stream_takes_is_refused_at_once(bus: Bus) -> None:
    """A subject of no stream, and a stream that is full: neither waits for the time to be over."""
    async with asyncio.timeout(2):
        with pytest.raises(Unavailable):
            await bus.publish("nobody.listens", b"x")
    await bus.jetstream.add_stream(
        name="TEST_FULL", subjects=["full.>"], max_msgs=1, discard=DiscardPolicy.NEW
    )
    await bus.publish("full.a", b"x")
    async with asyncio.timeout(2):
        with pytest.raises(Unavailable):
            await bus.publish("full.a", b"y")


async def test_many_publishers_at_once_each_learn_of_their_own(bus: Bus) -> None:
    """Each is told the place of its message."""
    bodies = [str(number).encode() for number in range(200)]
    acks = await asyncio.gather(*(bus.publish("test.a", body) for body in bodies))
    async with aclosing(bus.consume(STREAM)) as messages:
        found = {one.stream_sequence: one.data for one in await take(messages, 200)}
    assert [found[ack.sequence] for ack in acks] == bodies


async def test_reading_starts_where_asked(bus: Bus) -> None:
    """From a sequence, or only what is new."""
    for number in range(5):
        await bus.publish("test.a", str(number).encode())
    async with aclosing(bus.consume(STREAM, start_sequence=4)) as messages:
        assert [message.data for message in await take(messages, 2)] == [b"3", b"4"]
    async with aclosing(bus.consume(STREAM, deliver_new=True)) as messages:
        first = asyncio.ensure_future(anext(messages))
        while not bus.readers:
            await bus.flush()
        await bus.publish("test.a", b"new")
        assert (await first).data == b"new"


async def test_the_last_message_of_a_subject(bus: Bus) -> None:
    """The newest is found by subject; of an unused subject there is none."""
    await bus.publish("test.a", b"1")
    await bus.publish("test.a", b"2")
    last = await bus.last_message(STREAM, "test.a")
    assert last is not None
    assert (last.data, last.stream_sequence) == (b"2", 2)
    assert await bus.last_message(STREAM, "test.b") is None


async def test_a_durable_reader_gets_again_what_it_did_not_acknowledge(bus: Bus) -> None:
    """With a durable name the server keeps the place."""
    for number in range(3):
        await bus.publish("test.a", str(number).encode())
    async with aclosing(bus.consume(STREAM, durable="keeper")) as messages:
        for message in await take(messages, 3):
            await message.ack()
    await bus.flush()
    await bus.publish("test.a", b"3")
    async with aclosing(bus.consume(STREAM, durable="keeper")) as messages:
        assert (await anext(messages)).data == b"3"


async def test_a_reader_misses_nothing_when_the_server_is_killed(
    own: EmbeddedServers, bus: Bus
) -> None:
    """Stored messages survive, the reader goes on where it was."""
    async with aclosing(bus.consume(STREAM)) as messages:
        await bus.publish("test.a", b"before")
        assert (await anext(messages)).data == b"before"
        own.kill("nats")
        await own.until_ready("nats")
        await publish_when_back(bus, "test.a", b"after")
        found = await anext(messages)
    assert (found.data, found.stream_sequence) == (b"after", 2)


async def test_a_reader_of_a_stream_made_anew_starts_at_its_first_message(bus: Bus) -> None:
    """A lost store does not make a reader wait for sequences that never come."""
    async with aclosing(bus.consume(STREAM)) as messages:
        for number in range(3):
            await bus.publish("test.a", str(number).encode())
        await take(messages, 3)
        await bus.jetstream.delete_stream(STREAM)
        await bus.ensure_stream(STREAM, ["test.>"], 3_600, 100_000_000)
        await bus.publish("test.a", b"first again")
        found = await anext(messages)
    assert (found.data, found.stream_sequence) == (b"first again", 1)


async def test_publishing_while_the_server_is_away_fails_at_once(
    own: EmbeddedServers, bus: Bus
) -> None:
    """Nobody waits for a server that is not there; the process goes on."""
    await own.stop("nats")
    while bus.connected:
        await asyncio.wait_for(bus.client.flush(), 1)
    with pytest.raises(Unavailable):
        await bus.publish("test.a", b"x")
    await own.start("nats")
    await publish_when_back(bus, "test.a", b"x")


async def test_what_was_asked_of_a_killed_server_fails_at_once(
    own: EmbeddedServers, bus: Bus
) -> None:
    """A request whose answer cannot come any more is given up with the connection."""
    await stop_answering(own)
    asked = asyncio.create_task(bus.publish("test.a", b"in flight"))
    assert not (await asyncio.wait((asked,), timeout=0.2))[0]
    own.kill("nats")
    async with asyncio.timeout(2):
        with pytest.raises(Unavailable):
            await asked


async def test_the_bus_still_receives_after_a_caller_gives_up(
    own: EmbeddedServers, bus: Bus
) -> None:
    """A server that was slow to answer is heard again as soon as it answers."""
    heard = asyncio.Queue[bytes]()

    async def handle(message: Message) -> None:
        await heard.put(message.data)

    await bus.subscribe_core("core.x", handle)
    await bus.flush()
    await stop_answering(own)
    for waiting in (bus.flush(), bus.publish("test.a", b"x"), bus.jetstream.stream_info(STREAM)):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 0.1)
    own.kill("nats", signal.SIGCONT)
    async with asyncio.timeout(5):
        await bus.publish_core("core.x", b"x")
        assert await heard.get() == b"x"
        await bus.flush()
    assert bus.generation == 1


async def test_a_bus_without_a_server_does_not_hold_up_the_start(unused_tcp_port: int) -> None:
    """Start returns at once; what needs the server says that it is away."""
    bus = Bus(f"nats://127.0.0.1:{unused_tcp_port}")
    bus.start()
    with pytest.raises(Unavailable):
        await bus.publish("test.a", b"x")
    await bus.close()


async def test_callbacks_run_after_every_connection(own: EmbeddedServers) -> None:
    """A publisher learns of each connection, so that it can compare and catch up."""
    bus, connected = Bus(own.nats), asyncio.Queue[int]()

    async def note() -> None:
        await connected.put(bus.generation)

    bus.on_reconnect(note)
    bus.start()
    assert await connected.get() == 1
    own.kill("nats")
    assert await connected.get() == 2
    await bus.close()


async def test_messages_carry_the_trace_of_their_sender(bus: Bus) -> None:
    """Whoever handles a message can go on with its trace."""
    traceparent = child_traceparent()
    with trace(traceparent):
        await bus.publish("test.a", b"x")
    async with aclosing(bus.consume(STREAM)) as messages:
        assert (await anext(messages)).headers["traceparent"] == traceparent


async def test_core_messages_reach_listeners(bus: Bus) -> None:
    """Fire and forget: handlers get what is sent while they listen, a failing one goes on."""
    heard = asyncio.Queue[bytes]()

    async def handle(message: Message) -> None:
        await heard.put(message.data)
        if message.data == b"bad":
            raise ValueError("not this one")

    await bus.subscribe_core("core.x", handle)
    await bus.flush()
    await bus.publish_core("core.x", b"bad")
    await bus.publish_core("core.x", b"good")
    assert [await heard.get(), await heard.get()] == [b"bad", b"good"]
