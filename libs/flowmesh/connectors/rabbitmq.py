"""Queues and exchanges of RabbitMQ as source and sink."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractRobustConnection

from flowmesh.connectors.options import options_of
from flowmesh.connectors.records import Batch, Context, Record, RecordsRefused

BATCH: Final = 100
WITHIN_S: Final = 0.05
HEADERS_OF_RABBITMQ: Final = ("x-death", "x-first-death", "x-last-death")
_PLAIN: Final = (str, int, float, bool, bytes)


class Source:
    """Consumes a queue; acknowledges what the sink holds."""

    def __init__(self, given: Mapping[str, Any], context: Context) -> None:
        options = options_of(given, url=..., queue=...)
        self._url, self._queue = options["url"], options["queue"]
        self._connection: AbstractRobustConnection | None = None
        self._held: list[AbstractIncomingMessage] = []

    async def read(self, position: str) -> AsyncGenerator[Batch, None]:
        await self.close()
        self._connection = await aio_pika.connect_robust(self._url)
        channel = await self._connection.channel()
        await channel.set_qos(prefetch_count=2 * BATCH)
        queue = await channel.get_queue(self._queue, ensure=True)
        arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        await queue.consume(arrived.put)
        while True:
            self._held = await _collected(arrived)
            yield Batch(tuple(_record(each) for each in self._held))

    async def stored(self, batch: Batch) -> None:
        for message in self._held:
            await message.ack()

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


class Sink:
    """Publishes to an exchange, with confirms."""

    def __init__(self, given: Mapping[str, Any], context: Context) -> None:
        options = options_of(given, url=..., exchange="", key="")
        self._url, self._exchange = options["url"], options["exchange"]
        self._key = options["key"]
        self._connection: AbstractRobustConnection | None = None
        self._channel: AbstractChannel | None = None

    async def position(self) -> str:
        return ""

    async def write(self, batch: Batch) -> None:
        if self._channel is None:
            self._connection = await aio_pika.connect_robust(self._url)
            self._channel = await self._connection.channel(on_return_raises=True)
        exchange = self._channel.default_exchange
        if self._exchange:
            exchange = await self._channel.get_exchange(self._exchange, ensure=True)
        answers = await asyncio.gather(
            *(exchange.publish(_message(each), self._key or each.key) for each in batch.records),
            return_exceptions=True,
        )
        refused = {}
        for at, answer in enumerate(answers):
            if isinstance(answer, aio_pika.exceptions.DeliveryError):
                text = f"exchange {self._exchange!r} of RabbitMQ leads to no queue: {answer}"
                refused[at] = text
            elif isinstance(answer, BaseException):
                raise answer
        if refused:
            raise RecordsRefused(refused)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


async def _collected(
    arrived: "asyncio.Queue[AbstractIncomingMessage]",
) -> list[AbstractIncomingMessage]:
    """Return a full batch, or what arrives shortly after the first message."""
    found = [await arrived.get()]
    try:
        async with asyncio.timeout(WITHIN_S):
            while len(found) < BATCH:
                found.append(await arrived.get())
    except TimeoutError:
        pass
    return found


def _record(message: AbstractIncomingMessage) -> Record:
    headers = {
        name: value
        for name, value in message.headers.items()
        if name not in HEADERS_OF_RABBITMQ and isinstance(value, _PLAIN)
    }
    return Record(
        message.body,
        message.routing_key or "",
        message.message_id or "",
        message.content_type or "application/octet-stream",
        headers,
    )


def _message(record: Record) -> aio_pika.Message:
    return aio_pika.Message(
        record.body,
        headers=dict(record.headers),
        message_id=record.id or None,
        content_type=record.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
