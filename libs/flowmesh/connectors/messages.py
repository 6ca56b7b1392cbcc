"""Queues and exchanges of Flowmesh as source and sink."""

import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from flowmesh.connectors.options import options_of
from flowmesh.connectors.records import Batch, Context, Record, RecordsRefused
from flowmesh.errors import REASONS, Overloaded, Unavailable, WrongState
from flowmesh.sdk.values.messages import Message, Outgoing

BATCH: Final = 100
WAIT_S: Final = 5.0
_ID: Final = re.compile("[A-Za-z0-9._:-]{1,128}")


class Source:
    """Consumes a queue, or a group of a stream; acknowledges what the sink holds."""

    def __init__(self, given: Mapping[str, Any], context: Context) -> None:
        options = options_of(given, queue=..., group="")
        self._queue, self._group = options["queue"], options["group"]
        self._client = context.client
        self._held: tuple[Message, ...] = ()

    async def read(self, position: str) -> AsyncGenerator[Batch, None]:
        while True:
            self._held = await self._client.messages.receive(
                self._queue, BATCH, wait=WAIT_S, group=self._group
            )
            if self._held:
                yield Batch(tuple(_record(each) for each in self._held))

    async def stored(self, batch: Batch) -> None:
        try:
            await self._client.messages.ack(*self._held)
        except WrongState as error:
            # Late: what is delivered again has the same ids.
            if error.reason != "STALE_DELIVERY":
                raise

    async def close(self) -> None:
        """Leave the client open, which others use."""


class Sink:
    """Publishes to an exchange, or to the queue that the key names; stores the position."""

    def __init__(self, given: Mapping[str, Any], context: Context) -> None:
        options = options_of(given, exchange="", key="")
        self._exchange, self._key = options["exchange"], options["key"]
        self._client = context.client
        self._positions = f"connector.{context.bridge}"
        self._declared = False

    async def position(self) -> str:
        await self._declare()
        found = await self._client.messages.browse(self._positions, count=1)
        return str(found[0].body) if found else ""

    async def write(self, batch: Batch) -> None:
        sent = [
            Outgoing(
                each.body,
                self._key or each.key,
                each.headers,
                id=_message_id(each.id),
                content_type=each.content_type,
            )
            for each in batch.records
        ]
        await self._publish(sent)
        if batch.position:
            await self._declare()
            await self._client.messages.publish(batch.position, self._positions)

    async def close(self) -> None:
        """Leave the client open, which others use."""

    async def _publish(self, sent: list[Outgoing]) -> None:
        if not sent:
            return
        outcomes = await self._client.messages.publish_many(sent, self._exchange, mandatory=True)
        refused = {at: each for at, each in enumerate(outcomes) if each.reason}
        for each in refused.values():
            error = REASONS[each.reason].error
            if issubclass(error, Overloaded | Unavailable):
                raise error(each.reason, each.error, retry_after_ms=500)
        if refused:
            raise RecordsRefused(
                {
                    at: f"record {each.id!r} is refused: {each.reason}: {each.error}"
                    for at, each in refused.items()
                }
            )

    async def _declare(self) -> None:
        if not self._declared:
            await self._client.broker.declare_queue(self._positions, stream=True, max_size=1)
            self._declared = True


def _message_id(given: str) -> str:
    """Return the id of a record as that of a message, which has fewer characters."""
    if not given or _ID.fullmatch(given):
        return given
    return hashlib.sha256(given.encode()).hexdigest()


def _record(message: Message) -> Record:
    return Record(
        message.data, message.routing_key, message.id, message.content_type, message.headers
    )
