"""Receive and settle in single calls, for clients without a stream.

A receipt is the acknowledgment subject of the delivery with its end, signed: another instance can
settle it, and a client cannot make one up.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

import orjson

from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.broker import limits
from flowmesh.broker.consuming.deliveries import Delivery, Place, Settler
from flowmesh.broker.consuming.groups import Readers
from flowmesh.broker.consuming.sessions import delivery_message, nacked
from flowmesh.broker.store import StoredQueue
from flowmesh.broker.storing.jetstream import StreamMissing
from flowmesh.broker.streams import QueueStreams
from flowmesh.broker.topology import Topologies
from flowmesh.errors import FlowmeshError, Invalid, Violation, WrongState
from flowmesh.runtime import Clock

RECEIPT_CHARACTERS_MAX: Final = 1_024
_MAC_BYTES: Final = 16


class Receiving:
    """Receives messages of a queue and settles them by receipt."""

    def __init__(
        self,
        *,
        topologies: Topologies,
        streams: QueueStreams,
        readers: Readers,
        settler: Settler,
        clock: Clock,
        key: bytes,
    ) -> None:
        self._topologies = topologies
        self._streams = streams
        self._readers = readers
        self._settler = settler
        self._clock = clock
        self._key = key

    async def receive(self, namespace: str, request: pb.ReceiveRequest) -> list[pb.Delivery]:
        _check_range("max", request.max, limits.RECEIVE_MAX)
        _check_range("wait_ms", request.wait_ms, limits.RECEIVE_WAIT_MS_MAX)
        queue = await self._topologies.queue(
            namespace, request.queue, version=request.topology_version
        )
        start = request.start if request.HasField("start") else None
        want, wait_s = request.max or 1, request.wait_ms / 1_000
        try:
            found = await self._next(queue, request.group, start, want, wait_s)
        except StreamMissing:
            await self._readers.restore(queue, request.group)
            found = await self._next(queue, request.group, start, want, wait_s)
        return [delivery_message(each, receipt=self._receipt(each)) for each in found]

    async def settle(self, namespace: str, request: pb.SettleRequest) -> Sequence[pb.SettleOutcome]:
        """Apply the settlements; return the outcome of each, in order."""
        _check_range("settlements", len(request.settlements), limits.RECEIVE_MAX)
        queue = await self._topologies.queue(namespace, request.queue)
        (await self._topologies.of(namespace)).check_served(namespace)
        work = (self._settle(queue, each) for each in request.settlements)
        return await asyncio.gather(*work)

    async def _next(
        self,
        queue: StoredQueue,
        group: str,
        start: pb.Position | None,
        want: int,
        wait_s: float,
    ) -> list[Delivery]:
        async with self._readers.peek(queue, group, start) as reader:
            return await reader.next(want, wait_s)

    async def _settle(self, queue: StoredQueue, given: pb.Settlement) -> pb.SettleOutcome:
        outcome = pb.SettleOutcome()
        try:
            delivery = await self._delivery(queue, given.receipt)
            match given.WhichOneof("action"):
                case "ack":
                    await self._settler.ack(delivery)
                case "nack":
                    await nacked(self._settler, delivery, given.nack)
                case "extend":
                    await self._settler.extend(delivery)
                    outcome.receipt = self._receipt(delivery)
                case _:
                    raise _invalid("action", "a settlement acknowledges, rejects or extends")
        except FlowmeshError as error:
            outcome.reason, outcome.error = error.reason, error.message
        return outcome

    def _receipt(self, delivery: Delivery) -> str:
        body = orjson.dumps([delivery.reply, delivery.visible_until_us])
        mac = self._mac(delivery.queue, body)
        return base64.urlsafe_b64encode(mac + body).decode().rstrip("=")

    async def _delivery(self, queue: StoredQueue, receipt: str) -> Delivery:
        """Return the delivery of a receipt. Raises WrongState if it is stale."""
        reply, until_us = self._opened(queue, receipt)
        if until_us <= self._clock.now_us():
            raise _stale("its visibility timeout has passed")
        place = Place.of(reply)
        found = await self._streams.page(queue, place.sequence, 1)
        if not found or found[0].sequence != place.sequence:
            raise _stale("it was settled before")
        return Delivery(queue, reply, found[0].message, place, until_us, found[0].earlier)

    def _opened(self, queue: StoredQueue, receipt: str) -> tuple[str, int]:
        if len(receipt) <= RECEIPT_CHARACTERS_MAX:
            try:
                data = base64.urlsafe_b64decode(receipt + "=" * (-len(receipt) % 4))
            except (binascii.Error, ValueError):
                data = b""
            mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
            if body and hmac.compare_digest(mac, self._mac(queue, body)):
                reply, until_us = orjson.loads(body)
                return str(reply), int(until_us)
        raise _stale("it is not a receipt of this queue")

    def _mac(self, queue: StoredQueue, body: bytes) -> bytes:
        data = queue.id.encode() + b"\0" + body
        return hmac.digest(self._key, data, hashlib.sha256)[:_MAC_BYTES]


def _stale(why: str) -> WrongState:
    return WrongState("STALE_DELIVERY", f"the receipt does not settle a message: {why}")


def _check_range(field: str, value: int, most: int) -> None:
    if value > most:
        raise _invalid(field, f"must be at most {most:,}, not {value:,}")


def _invalid(field: str, what: str) -> Invalid:
    violation = Violation(field, what, "REQUEST_INVALID")
    return Invalid("REQUEST_INVALID", f"{field}: {what}.", violations=(violation,))
