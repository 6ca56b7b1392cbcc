"""Bridges to MQTT: devices at a broker, and queues and exchanges of Flowmesh."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client as Device
from paho.mqtt.client import MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from flowmesh.connectors.mqtt import key_of, topic_of
from flowmesh.connectors.plugins import created
from flowmesh.connectors.records import ConnectorError, Context
from flowmesh.embedded import binaries
from flowmesh.embedded.ports import free_port
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command

from .test_bridges import client, running
from .test_broker import PATIENCE_S, named

__all__ = ["client"]

USER, PASSWORD = "bridge", "s3cret"
READY_S = 10


@asynccontextmanager
async def mqtt_broker(folder: Path) -> AsyncIterator[int]:
    """A NATS server of its own with its MQTT listener; yields the port."""
    port = free_port()
    config = {
        "listen": f"127.0.0.1:{free_port()}",
        "server_name": "mqtt",
        "authorization": {"users": [{"user": USER, "password": PASSWORD}]},
        "jetstream": {"store_dir": str(folder / "store")},
        # Unacknowledged messages are sent again after this time.
        "mqtt": {"listen": f"127.0.0.1:{port}", "ack_wait": "1s"},
    }
    folder.mkdir()  # noqa: ASYNC240 once, at the start
    path = folder / "nats.conf"
    path.write_text(json.dumps(config))
    process = await asyncio.create_subprocess_exec(
        str(binaries.nats_server()), "-c", str(path), "-l", str(folder / "log")
    )

    async def listening() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until("the MQTT listener", listening, within_s=READY_S)
        yield port
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def device(port: int) -> AsyncIterator[tuple[Device, list[MQTTMessage]]]:
    """A connected device, and what it receives."""
    made = Device(CallbackAPIVersion.VERSION2, client_id=named("device"), protocol=MQTTv311)
    received: list[MQTTMessage] = []
    made.username_pw_set(USER, PASSWORD)
    made.on_message = lambda _, __, message: received.append(message)
    await asyncio.to_thread(made.connect, "127.0.0.1", port)
    made.loop_start()
    try:

        async def connected() -> bool:
            return bool(made.is_connected())

        await until("the device", connected, within_s=READY_S)
        yield made, received
    finally:
        made.disconnect()
        await asyncio.to_thread(made.loop_stop)


async def sent(made: Device, topic: str, body: bytes, **options: Any) -> None:
    """Publish at QoS 1; return when the broker has the message."""
    info = made.publish(topic, body, 1, **options)
    await asyncio.to_thread(info.wait_for_publish, READY_S)
    assert info.is_published()


@pytest.mark.long
@pytest.mark.feature("S3-45", "S4-03")
async def test_messages_cross_between_mqtt_and_flowmesh(
    suite: Suite, client: Client, tmp_path: Path
) -> None:
    """Topics become keys and back; what is published while the bridge is killed is not lost."""
    exchange, queue, out = named("sensors"), named("temp"), named("commands")
    await client.broker.declare_exchange(exchange, "topic")
    for each in (queue, out):
        await client.broker.declare_queue(each)
    await client.broker.bind(queue, exchange, "home.*.temp")
    async with mqtt_broker(tmp_path / "nats") as port, device(port) as (made, received):
        url = f"mqtt://{USER}:{PASSWORD}@127.0.0.1:{port}"
        file = tmp_path / "bridges.yaml"
        file.write_text(
            "bridges:\n"
            f"- {{name: {queue}, source: {{type: mqtt, url: '{url}', filter: 'home/+/temp'}},"
            f" sink: {{type: flowmesh, exchange: {exchange}}}}}\n"
            f"- {{name: {out}, source: {{type: flowmesh, queue: {out}}},"
            f" sink: {{type: mqtt, url: '{url}', retain: true}}}}\n"
        )
        made.subscribe("#", 1)

        async def numbers() -> set[Any]:
            return {each.body async for each in client.messages.browse_all(queue)}

        async with running(suite, file, {}):
            # The session of the bridge exists from its first subscription on.
            async def bridged() -> bool:
                await sent(made, "home/kitchen/temp", b"-1")
                return -1 in await numbers()

            await until("the subscription", bridged, within_s=PATIENCE_S)
            for number in range(100):
                await sent(made, "home/kitchen.1/temp", str(number).encode())
        for number in range(100, 120):
            await sent(made, "home/attic/temp", str(number).encode())
        await sent(made, "home/attic/smoke", b"1000")
        await sent(made, "home/attic/temp", b"\xff")
        await client.messages.publish({"on": True}, out)
        async with running(suite, file, {}):

            async def all_there() -> bool:
                return await numbers() == {*range(-1, 120), b"\xff"}

            await until("all messages", all_there, within_s=PATIENCE_S)

            async def commanded() -> bool:
                return [each.payload for each in received if each.topic == out] == [b'{"on":true}']

            await until("the command", commanded, within_s=PATIENCE_S)
    found = [each async for each in client.messages.browse_all(queue)]
    keys = {each.routing_key for each in found}
    assert keys == {"home.kitchen.temp", "home.kitchen%2E1.temp", "home.attic.temp"}


@pytest.mark.long
async def test_a_bridge_to_mqtt_ends_with_an_error_for_good(
    suite: Suite, client: Client, tmp_path: Path
) -> None:
    """A user that the broker refuses, and a key that is no topic; the messages stay."""
    queue, exchange = named("commands"), named("x")
    await client.broker.declare_queue(queue)
    await client.broker.declare_exchange(exchange, "fanout")
    await client.broker.bind(queue, exchange)
    file = tmp_path / "bridges.yaml"
    async with mqtt_broker(tmp_path / "nats") as port:
        for user, key, problem in (("stranger", "a.b", "refuses"), (USER, "a.+", "is no topic")):
            url = f"mqtt://{user}:{PASSWORD}@127.0.0.1:{port}"
            ends = {
                "source": {"type": "flowmesh", "queue": queue},
                "sink": {"type": "mqtt", "url": url},
            }
            file.write_text(json.dumps({"bridges": [{"name": queue, **ends}]}))
            await client.messages.publish(1, key, exchange)
            done = await command(suite, "bridge", str(file))
            assert (done.code, problem in done.err) == (1, True), done.err
    assert (await client.broker.queue(queue)).depth == 2


@pytest.mark.parametrize(
    ("topic", "key"),
    [("a/b/c", "a.b.c"), ("a.1/b", "a%2E1.b"), ("a%2E/b", "a%252E.b"), ("/a//", ".a..")],
)
def test_topics_and_keys_are_translated_without_loss(topic: str, key: str) -> None:
    """Dots and percent signs within a level are escaped."""
    assert (key_of(topic), topic_of(key)) == (key, topic)


@pytest.mark.parametrize("key", ["", "a.+", "a.#.b", "a\0", "$SYS.x", "x" * 65_536])
def test_keys_that_are_no_topics_are_refused(key: str) -> None:
    """BB10: wildcards, NUL, topics of the broker itself, and one byte above 65,535."""
    with pytest.raises(ConnectorError):
        topic_of(key)
    assert topic_of("x" * 65_535)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "http://localhost", "filter": "a"}, "mqtt://host:port"),
        ({"url": "mqtt://", "filter": "a"}, "mqtt://host:port"),
        ({"url": "mqtt://localhost", "filter": "a/#/b"}, "filter"),
        ({"url": "mqtt://localhost", "filter": "a+/b"}, "filter"),
        ({"url": "mqtt://localhost", "filter": ""}, "filter"),
        ({"url": "mqtt://localhost"}, "filter"),
    ],
)
def test_wrong_options_of_mqtt_are_refused(options: dict[str, str], problem: str) -> None:
    """The error names the option."""
    nothing: Any = None
    with pytest.raises(ConnectorError) as refused:
        created("Source", {"type": "mqtt", **options}, Context("b", nothing))
    assert problem in str(refused.value)
