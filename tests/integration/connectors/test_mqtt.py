"""MQTT as both ends of bridges, at a broker of this test: sessions, refusals, disconnections."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from flowmesh.connectors import mqtt
from flowmesh.connectors.mqtt import RETAINED, Sink, Source
from flowmesh.connectors.records import (
    Batch,
    ConnectorError,
    Context,
    Record,
    RecordsRefused,
)
from flowmesh.testing.polling import done
from tests.features.broker.test_mqtt_bridge import PASSWORD, USER, device, mqtt_broker, sent

WAIT_S = 10.0


@pytest.fixture(scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    """The port of a broker."""
    async with mqtt_broker(tmp_path_factory.mktemp("mqtt") / "nats") as found:
        yield found


def url(port: int, user: str = USER) -> dict[str, Any]:
    return {"url": f"mqtt://{user}:{PASSWORD}@127.0.0.1:{port}"}


def context(name: str) -> Context:
    return Context(name, cast("Any", None))


async def read(source: Source) -> tuple[Any, Batch]:
    """Return an open reader, and its first batch."""
    reader = source.read("")
    async with asyncio.timeout(WAIT_S):
        return reader, await anext(reader)


async def test_a_message_is_read_again_until_it_is_acknowledged(port: int) -> None:
    """Its topic is the key; what was retained says so."""
    async with device(port) as (made, _):
        await sent(made, "one/a.b", b'{"on": 1}', retain=True)
        source = Source({**url(port), "filter": "one/#"}, context("again"))
        reader, batch = await read(source)
        assert batch.records == (
            Record(b'{"on": 1}', "one.a%2Eb", content_type="application/json",
                   headers={RETAINED: True}),
        )  # fmt: skip
        await source.stored(batch)
        await sent(made, "one/c", b"\xff")
        async with asyncio.timeout(WAIT_S):
            second = await anext(reader)
        assert [each.content_type for each in second.records] == ["application/octet-stream"]
        await reader.aclose()
        await source.close()
        # It was not acknowledged: the session has it for the next connection.
        bodies: list[bytes] = []
        reader, batch = await read(source)
        async with asyncio.timeout(WAIT_S):
            while b"\xff" not in bodies:
                bodies += [each.body for each in batch.records]
                await source.stored(batch)
                batch = batch if b"\xff" in bodies else await anext(reader)
        await reader.aclose()
        await source.close()
        await source.stored(batch)


async def test_records_are_published_in_order(port: int) -> None:
    """To the topics of their keys or to one; a key that is no topic is refused alone."""
    async with device(port) as (made, received):
        made.subscribe("two/#", 1)
        await sent(made, "two/begin", b"0")
        await done("subscribed", lambda: received, within_s=WAIT_S)
        sink = Sink({**url(port), "retain": True}, context("out"))
        assert await sink.position() == ""
        batch = Batch((Record(b"1", "two.a"), Record(b"2", "two.+"), Record(b"3", "two.b")))
        with pytest.raises(RecordsRefused, match="is no topic") as refused:
            await sink.write(batch)
        assert list(refused.value.refused) == [1]
        await sink.close()
        fixed = Sink({**url(port), "topic": "two/fixed", "client": "mine"}, context("out"))
        await fixed.write(Batch((Record(b"4", "ignored"),)))
        await fixed.close()
        await done("received", lambda: len(received) == 4, within_s=WAIT_S)
    assert [(each.topic, each.payload) for each in received] == [
        ("two/begin", b"0"),
        ("two/a", b"1"),
        ("two/b", b"3"),
        ("two/fixed", b"4"),
    ]


async def test_a_user_that_the_broker_refuses_ends_the_bridge(port: int) -> None:
    """It would be refused the next time, too; a broker that is away may be back."""
    sink = Sink(url(port, "stranger"), context("refused"))
    with pytest.raises(ConnectorError, match=r"the MQTT broker 127\.0\.0\.1 refuses"):
        await sink.write(Batch((Record(b"1", "a"),)))
    await sink.close()
    away = Sink(url(1), context("away"))
    with pytest.raises(OSError, match="refused"):
        await away.write(Batch((Record(b"1", "a"),)))
    await away.close()


async def test_a_second_connection_of_a_session_ends_the_first(port: int) -> None:
    """Pending reads and writes fail, and the bridge connects again."""
    options = {**url(port), "filter": "three/#", "client": "same"}
    ends = [Source(options, context("s")) for _ in range(2)]
    async with device(port) as (made, _):
        await sent(made, "three/a", b"1", retain=True)
    # What it has read shows that it is subscribed.
    reader, batch = await read(ends[0])
    await ends[0].stored(batch)
    waiting = asyncio.ensure_future(anext(reader))
    other = ends[1].read("")
    second = asyncio.ensure_future(anext(other))
    with pytest.raises(ConnectionError, match="has disconnected"):
        await asyncio.wait_for(waiting, WAIT_S)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    for each in ends:
        await each.close()
    with pytest.raises(ConnectionError, match="is closed"):
        await ends[0]._session.publish([])


def test_a_session_over_tls_has_a_port_of_its_own() -> None:
    """A topic of the options is checked before anything runs."""
    sink = Sink({"url": "mqtts://broker.example", "topic": "a"}, context("b"))
    assert (sink._session._port, sink._session._tls) == (mqtt.PORTS["mqtts"], True)
    with pytest.raises(ValueError, match="wildcard"):
        Sink({"url": "mqtts://broker.example", "topic": "a/#"}, context("b"))
