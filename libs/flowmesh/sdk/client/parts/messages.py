"""Calls about messages: publish, receive, settle, browse, redrive."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime

from flowmesh import errors
from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.api.broker.v1 import message_service_pb2_grpc as rpc
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.contract.json_value import Json
from flowmesh.records import values_from
from flowmesh.sdk.client.coalescing import BATCH_BYTES, BATCH_MESSAGES, Coalescer, Key
from flowmesh.sdk.client.parts.broker import BrokerCalls
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.values import limits
from flowmesh.sdk.values import messages as values
from flowmesh.sdk.values.executions import micros_of
from flowmesh.sdk.values.messages import (
    HeaderValue,
    Message,
    Outgoing,
    PublishOutcome,
    Redriven,
    Ttl,
)

_CLASSES: Mapping[str, type[errors.FlowmeshError]] = {
    name: reason.error for name, reason in errors.REASONS.items()
}


class MessageCalls:
    """Messages of the client's namespace."""

    def __init__(self, connection: Connection, broker: BrokerCalls) -> None:
        self._connection = connection
        self._broker = broker
        self._stub = rpc.MessageServiceStub(connection.caller.channel)
        self._coalescer = Coalescer(self._send)

    async def publish(
        self,
        body: Json,
        routing_key: str = "",
        exchange: str = "",
        *,
        headers: Mapping[str, HeaderValue] | None = None,
        priority: int = 0,
        ttl: Ttl = None,
        delay: Ttl = None,
        id: str = "",
        content_type: str = "",
        correlation_id: str = "",
        reply_to: str = "",
        mandatory: bool = False,
    ) -> PublishOutcome:
        """Publish a message; it is stored in all its queues once this returns.

        Without an exchange the routing key is the name of a queue. A repeated `id` is stored once.
        With `delay`, in seconds, the queues get it later. A body above 256 KiB is stored apart.
        Raises NotFound with `mandatory` if no queue gets it, and Overloaded if one is full.
        """
        message = Outgoing(
            body=body,
            routing_key=routing_key,
            headers=headers or {},
            priority=priority,
            ttl=ttl,
            delay=delay,
            id=id,
            content_type=content_type,
            correlation_id=correlation_id,
            reply_to=reply_to,
        )
        return await self.publish_one(message, exchange, mandatory)

    async def publish_one(
        self, message: Outgoing, exchange: str = "", mandatory: bool = False
    ) -> PublishOutcome:
        """Publish a message, in a common call with others that are published meanwhile."""
        prepared = await self._prepared(message)
        outcome = await self._coalescer.publish((exchange, mandatory), prepared)
        raise_refusal(outcome)
        return outcome

    async def publish_many(
        self, messages: Iterable[Outgoing], exchange: str = "", *, mandatory: bool = False
    ) -> tuple[PublishOutcome, ...]:
        """Publish messages in batches; return the outcome of each, in order. Raises nothing for
        refused messages: their outcomes have a reason.
        """
        found: list[PublishOutcome] = []
        async for batch in self._batches(messages):
            found.extend(await self._send((exchange, mandatory), batch))
        return tuple(found)

    async def receive(
        self, queue: str, count: int = 1, *, wait: float = 0, group: str = ""
    ) -> tuple[Message, ...]:
        """Return up to `count` messages, waiting at most `wait` seconds for the first.

        Settle each by `ack`, `nack` or `reject` before its visibility timeout. A stream is read by
        a group.
        """
        request = pb.ReceiveRequest(
            queue=queue,
            group=group,
            max=count,
            wait_ms=round(wait * 1_000),
            topology_version=self._broker.version,
        )
        response = await self._connection.call(
            self._stub.Receive, request, timeout_s=wait + limits.CALL_TIMEOUT_S
        )
        return tuple([await self.received(queue, each) for each in response.deliveries])

    async def received(self, queue: str, delivery: pb.Delivery) -> Message:
        """Return a delivery as a message with its body, which may be stored apart."""
        if delivery.message.HasField("reference"):
            _, data = await self._connection.payloads.get(delivery.message.reference.digest)
            delivery.message.CopyFrom(values.inlined(delivery.message, data))
        return values.received_message(queue, delivery)

    async def fetch(self, message: Message) -> Json:
        """Return the body of a browsed message that is stored apart."""
        if not message.digest:
            return message.body
        return await self._connection.payloads.fetch(message.digest)

    async def ack(self, *messages: Message) -> None:
        """Acknowledge received messages; they are gone once this returns.

        Raises WrongState if one was settled before or timed out; the others are acknowledged.
        """
        await self._settle(
            [(each, pb.Settlement(receipt=each.receipt, ack=True)) for each in messages]
        )

    async def nack(self, *messages: Message, delay: Ttl = None, error: str = "") -> None:
        """Return messages for another attempt after the delay of the queue's policy, or `delay`."""
        nack = pb.Nack(error=error)
        if delay is not None:
            nack.delay_ms = values.milliseconds("delay", delay)
        await self._settle(
            [(each, pb.Settlement(receipt=each.receipt, nack=nack)) for each in messages]
        )

    async def reject(self, *messages: Message, error: str = "") -> None:
        """Make messages dead letters at once."""
        nack = pb.Nack(reject=True, error=error)
        await self._settle(
            [(each, pb.Settlement(receipt=each.receipt, nack=nack)) for each in messages]
        )

    async def browse(
        self, queue: str, *, sequence: int = 0, count: int = 50
    ) -> tuple[Message, ...]:
        """Return up to `count` messages from a position on, without locking them."""
        request = pb.BrowseRequest(queue=queue, sequence=sequence, max=count)
        response = await self._connection.call(self._stub.Browse, request)
        return tuple(
            values.message_value(queue, each.message, each.sequence) for each in response.messages
        )

    async def browse_all(self, queue: str) -> AsyncIterator[Message]:
        """Iterate over all stored messages, oldest first."""
        sequence = 0
        while page := await self.browse(queue, sequence=sequence, count=BATCH_MESSAGES):
            for message in page:
                yield message
            sequence = page[-1].sequence + 1

    async def redrive(
        self,
        queue: str,
        *,
        to: str = "",
        reason: str = "",
        from_queue: str = "",
        sequences: Sequence[int] = (),
        rate: int = 0,
    ) -> Redriven:
        """Move dead letters back to the queues that gave them up, or to the queue `to`."""
        request = pb.RedriveRequest(
            queue=queue,
            to_queue=to,
            reason=values.death_reason(reason),
            from_queue=from_queue,
            sequences=sequences,
            rate=rate,
        )
        moved, kept, error, remaining = 0, 0, "", True
        while remaining:
            response = await self._connection.call(self._stub.Redrive, request)
            moved, kept = moved + response.moved, kept + response.kept
            error = response.last_error or error
            remaining, request.sequence = response.remaining, response.next_sequence
        return Redriven(moved, kept, error)

    async def discard(self, queue: str, sequences: Sequence[int]) -> int:
        """Delete messages by position; return the number of those that existed."""
        request = pb.DiscardRequest(queue=queue, sequences=sequences)
        return (await self._connection.call(self._stub.Discard, request)).discarded

    async def purge(self, queue: str) -> int:
        """Delete all messages of a queue; return their number."""
        request = pb.PurgeQueueRequest(queue=queue)
        return (await self._connection.call(self._stub.PurgeQueue, request)).purged

    async def seek(
        self,
        queue: str,
        group: str,
        *,
        sequence: int = 0,
        at: datetime | None = None,
        latest: bool = False,
    ) -> None:
        """Move a group of a stream to a position or instant; by default to its beginning."""
        request = pb.SeekGroupRequest(
            queue=queue, group=group, position=position(sequence=sequence, at=at, latest=latest)
        )
        await self._connection.call(self._stub.SeekGroup, request)

    async def _prepared(self, given: Outgoing) -> message_pb2.Message:
        """Return the message to send; a large body is stored first."""
        message = values.outgoing_message(given, self._connection.new_id())
        if len(message.body) > INLINE_BYTES_MAX:
            payload = await self._connection.payloads.put(message.body, message.content_type)
            message.reference.CopyFrom(payload.reference)
            message.ClearField("body")
        return message

    async def _send(self, key: Key, batch: list[message_pb2.Message]) -> list[PublishOutcome]:
        exchange, mandatory = key
        request = pb.PublishRequest(
            exchange=exchange,
            messages=batch,
            mandatory=mandatory,
            topology_version=self._broker.version,
        )
        response = await self._connection.call(self._stub.Publish, request)
        return [*values_from(PublishOutcome, response.outcomes)]

    async def _batches(
        self, messages: Iterable[Outgoing]
    ) -> AsyncIterator[list[message_pb2.Message]]:
        """Yield the messages in batches that a call may hold; store large bodies."""
        batch: list[message_pb2.Message] = []
        size = 0
        for each in messages:
            message = await self._prepared(each)
            full = len(batch) >= BATCH_MESSAGES or size + len(message.body) > BATCH_BYTES
            if batch and full:
                yield batch
                batch, size = [], 0
            batch.append(message)
            size += len(message.body)
        if batch:
            yield batch

    async def _settle(self, given: Sequence[tuple[Message, pb.Settlement]]) -> None:
        by_queue: dict[str, list[pb.Settlement]] = {}
        for message, settlement in given:
            by_queue.setdefault(message.queue, []).append(settlement)
        refused: pb.SettleOutcome | None = None
        for queue, settlements in by_queue.items():
            for start in range(0, len(settlements), BATCH_MESSAGES):
                request = pb.SettleRequest(
                    queue=queue, settlements=settlements[start : start + BATCH_MESSAGES]
                )
                response = await self._connection.call(self._stub.Settle, request)
                refused = next((each for each in response.outcomes if each.reason), refused)
        if refused is not None:
            raise _CLASSES[refused.reason](refused.reason, refused.error)


def position(*, sequence: int = 0, at: datetime | None = None, latest: bool = False) -> pb.Position:
    """Return a position in a stream; its beginning by default."""
    if latest:
        return pb.Position(latest=True)
    if at is not None:
        return pb.Position(at_us=micros_of(at))
    return pb.Position(sequence=sequence) if sequence else pb.Position(earliest=True)


def raise_refusal(outcome: PublishOutcome) -> None:
    """Raise the error of a refused message."""
    if outcome.reason:
        raise _CLASSES.get(outcome.reason, errors.Invalid)(outcome.reason, outcome.error)
