"""Topics of an MQTT 3.1.1 broker as source and sink, at QoS 1 in a session that is kept.

A level of a topic is a word of a routing key: `home/kitchen/temp` is `home.kitchen.temp`. A dot
within a level is `%2E` in the key, and a percent sign `%25`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import orjson
from paho.mqtt.client import Client, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from flowmesh.connectors.options import options_of
from flowmesh.connectors.records import Batch, ConnectorError, Context, Record, RecordsRefused

BATCH: Final = 100
WITHIN_S: Final = 0.05
ANSWER_S: Final = 10.0
KEEP_ALIVE_S: Final = 30
QOS: Final = 1
RETAINED: Final = "mqtt-retained"
PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
TOPIC_BYTES_MAX: Final = 65_535
SERVER_UNAVAILABLE: Final = 136


class Source:
    """Subscribes to a filter; acknowledges what the sink holds."""

    def __init__(self, given: Mapping[str, Any], context: Context) -> None:
        options = options_of(given, url=..., filter=..., client="", ca="")
        if not _is_filter(options["filter"]):
            raise ValueError(f"the option 'filter' is no filter of topics: {options['filter']!r}")
        self._filter = options["filter"]
        self._session = _Session(options, f"flowmesh-{context.bridge}-in")
        self._held: list[MQTTMessage] = []

    async def read(self, position: str) -> AsyncGenerator[Batch, None]:
        await self._session.close()
        await self._session.open()
        await self._session.subscribe(self._filter)
        while True:
            self._held = await self._session.next_batch()
            yield Batch(tuple(_record(each) for each in self._held))

    async def stored(self, batch: Batch) -> None:
        self._session.ack(self._held)

    async def close(self) -> None:
        await self._session.close()


class Sink:
    """Publishes each record to the topic of its key, or to one topic."""

    def __init__(self, given: Mapping[str, Any], context: Context) -> None:
        options = options_of(given, url=..., topic="", retain=False, client="", ca="")
        self._topic, self._retain = options["topic"], options["retain"]
        if self._topic:
            _checked(self._topic)
        self._session = _Session(options, f"flowmesh-{context.bridge}-out")

    async def position(self) -> str:
        return ""

    async def write(self, batch: Batch) -> None:
        sent, refused = [], {}
        for at, record in enumerate(batch.records):
            try:
                topic = self._topic or topic_of(record.key)
            except ConnectorError as error:
                refused[at] = str(error)
            else:
                sent.append((topic, record.body, self._retain))
        if not self._session.is_open:
            await self._session.close()
            await self._session.open()
        await self._session.publish(sent)
        if refused:
            raise RecordsRefused(refused)

    async def close(self) -> None:
        await self._session.close()


class _Session:
    """One connection at a time; its callbacks run in a thread of the library."""

    def __init__(self, options: Mapping[str, Any], client_id: str) -> None:
        url = urlsplit(options["url"])
        if url.scheme not in PORTS or not url.hostname:
            raise ValueError("the option 'url' must be mqtt://host:port or mqtts://host:port")
        self._host, self._port = url.hostname, url.port or PORTS[url.scheme]
        self._credentials = (unquote(url.username or ""), unquote(url.password or ""))
        self._tls, self._ca = url.scheme == "mqtts", options["ca"]
        self._id = options["client"] or client_id
        self._client: Client | None = None
        # Bounded by the broker, which waits for acknowledgments.
        self._arrived: asyncio.Queue[MQTTMessage | Exception] = asyncio.Queue()
        # Responses that are waited for: of the connection, subscriptions and publishes.
        self._waiting: dict[object, asyncio.Future[Any]] = {}
        self._lost = True

    @property
    def is_open(self) -> bool:
        return not self._lost

    async def open(self) -> None:
        """Connect. Raises ConnectorError if the broker refuses, OSError if it is away."""
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._id,
            clean_session=False,
            protocol=MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._arrived, self._waiting, self._lost = asyncio.Queue(), {}, False
        self._client = client
        self._attach(client)
        if self._credentials != ("", ""):
            client.username_pw_set(*self._credentials)
        if self._tls:
            client.tls_set(ca_certs=self._ca or None)
        connected = self._expected("connect")
        await asyncio.to_thread(client.connect, self._host, self._port, KEEP_ALIVE_S)
        client.loop_start()
        reason = await self._answer(connected)
        if reason == SERVER_UNAVAILABLE:
            raise ConnectionError(f"the MQTT broker {self._host} is not available")
        if reason.is_failure:
            raise ConnectorError(f"the MQTT broker {self._host} refuses: {reason}")

    def _attach(self, client: Client) -> None:
        loop = asyncio.get_running_loop()

        def later(call: Callable[..., None], *arguments: object) -> None:
            # The loop is closed when a process ends.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(call, client, *arguments)

        client.on_connect = lambda _, __, ___, reason, ____: later(
            self._answered, "connect", reason
        )
        client.on_subscribe = lambda _, __, mid, reasons, ___: later(
            self._answered, ("subscribe", mid), reasons[0]
        )
        client.on_publish = lambda _, __, mid, reason, ___: later(
            self._answered, ("publish", mid), reason
        )
        client.on_message = lambda _, __, message: later(self._take, message)
        client.on_disconnect = lambda _, __, ___, reason, ____: later(self._drop, reason)

    async def subscribe(self, filter: str) -> None:
        client = self._opened()
        _, mid = client.subscribe(filter, QOS)
        reason = await self._answer(self._expected(("subscribe", mid)))
        if reason.is_failure:
            raise ConnectorError(f"the MQTT broker {self._host} refuses {filter!r}: {reason}")

    async def publish(self, messages: list[tuple[str, bytes, bool]]) -> None:
        """Publish in order; return when the broker has all."""
        client = self._opened()
        answers = []
        for topic, body, retain in messages:
            sent = client.publish(topic, body, QOS, retain)
            answers.append(self._expected(("publish", sent.mid)))
        for reason in await asyncio.gather(*(self._answer(each) for each in answers)):
            if reason.is_failure:
                raise ConnectorError(f"the MQTT broker {self._host} refuses a message: {reason}")

    async def next_batch(self) -> list[MQTTMessage]:
        """Return a full batch, or what arrives shortly after the first message."""
        found = [_message(await self._arrived.get())]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WITHIN_S):
                while len(found) < BATCH:
                    found.append(_message(await self._arrived.get()))
        return found

    def ack(self, messages: list[MQTTMessage]) -> None:
        """Acknowledge messages; after a disconnection the broker sends them again."""
        if self._client is not None and self.is_open:
            for each in messages:
                self._client.ack(each.mid, each.qos)

    async def close(self) -> None:
        client, self._client, self._lost = self._client, None, True
        if client is not None:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    def _opened(self) -> Client:
        if self._client is None:
            raise ConnectionError("the connection to the MQTT broker is closed")
        return self._client

    def _expected(self, what: object) -> asyncio.Future[Any]:
        # Callbacks reach the event loop only after the caller waits.
        return self._waiting.setdefault(what, asyncio.get_running_loop().create_future())

    async def _answer(self, expected: asyncio.Future[Any]) -> Any:
        return await asyncio.wait_for(expected, ANSWER_S)

    def _answered(self, client: Client, what: object, reason: object) -> None:
        waiting = self._waiting.pop(what, None)
        if client is self._client and waiting is not None and not waiting.done():
            waiting.set_result(reason)

    def _take(self, client: Client, message: MQTTMessage) -> None:
        if client is self._client:
            self._arrived.put_nowait(message)

    def _drop(self, client: Client, reason: object) -> None:
        """End what waits; the bridge connects again."""
        if client is not self._client:
            return
        self._lost = True
        error = ConnectionError(f"the MQTT broker {self._host} has disconnected: {reason}")
        self._arrived.put_nowait(error)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
        self._waiting.clear()


def key_of(topic: str) -> str:
    """Return the routing key of a topic."""
    return topic.replace("%", "%25").replace(".", "%2E").replace("/", ".")


def topic_of(key: str) -> str:
    """Return the topic of a routing key. Raises ConnectorError if there is none."""
    topic = key.replace(".", "/").replace("%2E", ".").replace("%25", "%")
    try:
        return _checked(topic)
    except ValueError as error:
        raise ConnectorError(f"the key {key!r} is no topic: {error}") from error


def _checked(topic: str) -> str:
    """Return a topic that messages can be published to. Raises ValueError."""
    if not topic or len(topic.encode()) > TOPIC_BYTES_MAX:
        raise ValueError(f"a topic has 1 to {TOPIC_BYTES_MAX:,} bytes")
    if any(each in topic for each in "+#\0"):
        raise ValueError(f"the topic {topic!r} has a wildcard or a NUL character")
    if topic.startswith("$"):
        raise ValueError(f"topics that begin with $, as {topic!r}, belong to the broker")
    return topic


def _is_filter(text: str) -> bool:
    """Return whether a filter of topics is well-formed."""
    levels = text.split("/")
    wild = [each for each in levels if "+" in each or "#" in each]
    return bool(text) and all(each in ("+", "#") for each in wild) and "#" not in levels[:-1]


def _message(found: MQTTMessage | Exception) -> MQTTMessage:
    if isinstance(found, Exception):
        raise found
    return found


def _record(message: MQTTMessage) -> Record:
    headers = {RETAINED: True} if message.retain else {}
    try:
        orjson.loads(message.payload)
    except orjson.JSONDecodeError:
        kind = "application/octet-stream"
    else:
        kind = "application/json"
    return Record(bytes(message.payload), key_of(message.topic), content_type=kind, headers=headers)
