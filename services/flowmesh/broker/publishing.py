"""Publishing: the queues of each message, then one storage per queue, all before the response."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import orjson

from flowmesh.api.broker.v1 import message_pb2, topology_pb2
from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2 import RenewPayloadsRequest
from flowmesh.broker import limits
from flowmesh.broker.counters import BrokerMetrics
from flowmesh.broker.dead_letters import DeadLetters
from flowmesh.broker.messages import check_message, invalid
from flowmesh.broker.routing.headers import typed
from flowmesh.broker.routing.misses import Misses
from flowmesh.broker.store import StoredQueue, TopologyStore
from flowmesh.broker.storing.delays import Delays
from flowmesh.broker.storing.jetstream import Stored, StreamMissing
from flowmesh.broker.streams import QueueStreams, exchange_missing, queue_missing
from flowmesh.broker.topology import Topologies, Topology
from flowmesh.errors import FlowmeshError, NotFound, Overloaded, TooLarge, WrongState
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Clock

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import PayloadServiceAsyncStub

DEFAULT_CONTENT: Final = "application/json"
# Storages of one call that run at a time.
CONCURRENT_MAX: Final = 512
DEFAULT_EXCHANGE: Final = ""


class MessagePublisher:
    """Publishes batches of messages of clients."""

    def __init__(
        self,
        *,
        topologies: Topologies,
        streams: QueueStreams,
        dead_letters: DeadLetters,
        metrics: BrokerMetrics,
        misses: Misses,
        delays: Delays,
        on_delayed: Callable[[], Awaitable[None]],
        payloads: "PayloadServiceAsyncStub",
        store: TopologyStore,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._topologies = topologies
        self._streams = streams
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._misses = misses
        self._delays = delays
        self._on_delayed = on_delayed
        self._payloads = payloads
        self._topology_store = store
        self._clock = clock
        self._new_id = new_id

    async def publish(
        self, namespace: str, request: pb.PublishRequest
    ) -> Sequence[pb.PublishOutcome]:
        """Store the messages of a request; return the outcome of each, in order."""
        messages = request.messages
        size = sum(len(message.body) for message in messages)
        if len(messages) > limits.BATCH_MESSAGES_MAX or size > limits.BATCH_BYTES_MAX:
            text = (
                f"the batch has {len(messages):,} messages and {size:,} bytes; at most"
                f" {limits.BATCH_MESSAGES_MAX} and {limits.BATCH_BYTES_MAX:,} are allowed"
            )
            raise TooLarge("PAYLOAD_TOO_LARGE", text)
        topology = await self._topologies.of(namespace, version=request.topology_version)
        exchange = request.exchange
        if exchange != DEFAULT_EXCHANGE and exchange not in topology.routes:
            topology = await self._topologies.current(namespace)
            if exchange not in topology.routes:
                raise exchange_missing(exchange)
        gate = asyncio.Semaphore(CONCURRENT_MAX)
        missing = await self._renew_referenced_bodies(namespace, messages)
        batch = _Batch(namespace, exchange, topology, request.mandatory, gate, missing)
        # In order: two messages of a batch for one queue are stored as they were given.
        return await asyncio.gather(*(self._outcome(batch, message) for message in messages))

    async def _outcome(self, batch: "_Batch", given: message_pb2.Message) -> pb.PublishOutcome:
        outcome = pb.PublishOutcome(message_id=given.message_id or self._new_id())
        try:
            message = self._completed(batch, given, outcome.message_id)
            queues = await self._queues(batch, message)
            if message.delay_ms:
                return await self._delayed(batch, message, queues, outcome)
            stored: Sequence[Stored | BaseException]
            if len(queues) == 1:
                # The usual case, without another task of the event loop.
                stored = [await self._store(batch, queues[0], message)]
            else:
                stored = await asyncio.gather(
                    *(self._store(batch, queue, message) for queue in queues),
                    return_exceptions=True,
                )
        except FlowmeshError as error:
            outcome.reason, outcome.error = error.reason, error.message
            return outcome
        failpoint("broker.stored")
        return _summed(outcome, stored)

    def _completed(
        self, batch: "_Batch", given: message_pb2.Message, message_id: str
    ) -> message_pb2.Message:
        check_message(given)
        if given.reference.digest in batch.missing:
            text = f"payload {given.reference.digest[:64]!r} is not stored; put it again"
            raise WrongState("PAYLOAD_MISSING", text)
        message = message_pb2.Message()
        message.CopyFrom(given)
        message.message_id = message_id
        message.content_type = given.content_type or DEFAULT_CONTENT
        message.exchange = batch.exchange
        message.published_at_us = self._clock.now_us()
        message.ClearField("death")
        message.ClearField("encrypted")
        return message

    async def _renew_referenced_bodies(
        self, namespace: str, messages: Sequence[message_pb2.Message]
    ) -> frozenset[str]:
        """Renew referenced payloads for 24 h; return the digests that are missing."""
        digests = {each.reference.digest for each in messages if each.HasField("reference")}
        if not digests:
            return frozenset()
        request = RenewPayloadsRequest(namespace=namespace, digests=sorted(digests))
        return frozenset((await self._payloads.RenewPayloads(request)).missing)

    async def _delayed(
        self,
        batch: "_Batch",
        message: message_pb2.Message,
        queues: list[StoredQueue],
        outcome: pb.PublishOutcome,
    ) -> pb.PublishOutcome:
        """Store a message until its delay has passed. Raises Overloaded."""
        outcome.queues = len(queues)
        if not queues:
            return outcome
        if message.HasField("reference"):
            digest, ahead_ms = message.reference.digest, message.delay_ms
            for queue in queues:
                await self._topology_store.note_reference(queue, digest, ahead_ms=ahead_ms)
        message.encrypted = any(queue.config.encrypt for queue in queues)
        at_us = self._clock.now_us() + message.delay_ms * 1_000
        stored = await self._delays.put(batch.namespace, batch.exchange, message, at_us)
        outcome.duplicate = stored.duplicate
        await self._on_delayed()
        return outcome

    async def _queues(self, batch: "_Batch", message: message_pb2.Message) -> list[StoredQueue]:
        """Return the queues of a message. Raises FlowmeshError if one does not accept it."""
        key = message.routing_key
        if batch.exchange == DEFAULT_EXCHANGE:
            found = await self._named(batch, key)
        else:
            names = batch.topology.routes.queues(batch.exchange, key, typed(message.headers))
            known = batch.topology.queues
            found = [known[name] for name in names if name in known]
        failpoint("broker.routed")
        if not found:
            self._metrics.unroutable.inc()
            self._misses.add(batch.namespace, batch.exchange, key)
            if batch.mandatory:
                text = f"no binding of exchange {batch.exchange!r} matches {key!r}"
                raise NotFound("UNROUTABLE", text)
        for queue in found:
            self._check_schema(batch.topology, queue, message)
        return found

    async def _named(self, batch: "_Batch", name: str) -> list[StoredQueue]:
        """Return the queue of a routing key of the default exchange."""
        try:
            return [await self._topologies.queue(batch.namespace, name)]
        except FlowmeshError:
            if batch.mandatory:
                raise
            return []

    def _check_schema(
        self, topology: Topology, queue: StoredQueue, message: message_pb2.Message
    ) -> None:
        schema = topology.schemas.get(queue.name)
        if message.HasField("reference") and (schema is not None or queue.config.encrypt):
            what = "encrypts its bodies" if queue.config.encrypt else "has a schema"
            text = f"queue {queue.name!r} {what}, which takes bodies of at most 256 KiB"
            raise invalid("reference", text)
        if schema is None:
            return
        try:
            value = orjson.loads(message.body)
        except orjson.JSONDecodeError as error:
            raise invalid("body", f"queue {queue.name!r} takes JSON: {error}") from error
        if problems := schema.problems(value):
            first = problems[0]
            place = f"body{first.path}"
            raise invalid(place, f"does not fit the schema of queue {queue.name!r}: {first}")

    async def _store(
        self, batch: "_Batch", queue: StoredQueue, message: message_pb2.Message
    ) -> Stored:
        msg_id = f"m:{message.message_id}"
        async with batch.gate:
            try:
                stored = await self._put(queue, message, msg_id)
            except Overloaded:
                self._metrics.of(queue).rejected_full += 1
                if queue.config.overflow != topology_pb2.OVERFLOW_DEAD_LETTER:
                    raise
                return await self._dead_letters.overflowed(queue, message)
        if not stored.duplicate:
            self._metrics.published(queue)
        return stored

    async def _put(self, queue: StoredQueue, message: message_pb2.Message, msg_id: str) -> Stored:
        try:
            return await self._streams.put(queue, message, msg_id=msg_id)
        except StreamMissing:
            topology = await self._topologies.current(queue.namespace)
            known = topology.queues.get(queue.name)
            if known is None or known.id != queue.id:
                raise queue_missing(queue.name) from None
            await self._streams.ensure(queue)
            return await self._streams.put(queue, message, msg_id=msg_id)


class _Batch:
    """The common parts of the messages of a request."""

    def __init__(
        self,
        namespace: str,
        exchange: str,
        topology: Topology,
        mandatory: bool,
        gate: asyncio.Semaphore,
        missing: frozenset[str],
    ) -> None:
        self.namespace = namespace
        self.exchange = exchange
        self.topology = topology
        self.mandatory = mandatory
        self.gate = gate
        # Digests of bodies that are not stored.
        self.missing = missing


def _summed(
    outcome: pb.PublishOutcome, stored: Sequence[Stored | BaseException]
) -> pb.PublishOutcome:
    """Add the results of the queues to an outcome; the first refusal is that of the message."""
    kept = [each for each in stored if isinstance(each, Stored)]
    outcome.queues = len(kept)
    outcome.duplicate = bool(kept) and all(each.duplicate for each in kept)
    for each in stored:
        if isinstance(each, FlowmeshError):
            outcome.reason, outcome.error = each.reason, each.message
            break
        if isinstance(each, BaseException):
            raise each
    return outcome
