"""The JetStream stream of each queue: creation, storage of messages, and its state.

Every queue has a stream of its own, so that the server enforces its bounds exactly. A priority is
the last word of the subject, and has a consumer of its own.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker import limits
from flowmesh.broker.store import StoredQueue, TopologyStore
from flowmesh.broker.storing.cipher import BodyCipher
from flowmesh.broker.storing.jetstream import (
    MESSAGE_ID,
    JetStream,
    Reply,
    Stored,
    StreamFull,
    StreamMissing,
)
from flowmesh.errors import NotFound, Overloaded

NANOSECONDS: Final = 1_000_000_000
TTL: Final = "Nats-TTL"
# Deliveries of a message in the cell from which it has come.
EARLIER: Final = "Flowmesh-Earlier"
# The server delivers again this long after the visibility timeout, so that a settlement before the
# timeout is never late.
GRACE_MS: Final = 250
UNSETTLED_MAX: Final = 50_000
GROUP_INACTIVE_S: Final = 30 * 24 * 3_600
FULL_RETRY_MS: Final = 500


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A stored message, read without a consumer."""

    sequence: int
    at_us: int
    message: message_pb2.Message
    # The identity under which it was stored once.
    msg_id: str
    earlier: int


class QueueStreams:
    """Requests to the message bus about the streams of queues."""

    def __init__(
        self,
        *,
        jetstream: JetStream,
        store: TopologyStore,
        cipher: BodyCipher,
        prefix: str,
        replicas: int,
    ) -> None:
        self._jetstream = jetstream
        self._store = store
        self._cipher = cipher
        self.prefix = f"{prefix.upper()}_QUEUE_"
        self._subjects = f"{prefix}.queue"
        self._replicas = replicas

    def stream(self, queue: StoredQueue) -> str:
        return f"{self.prefix}{queue.id}"

    def subject(self, queue: StoredQueue, priority: int) -> str:
        return f"{self._subjects}.{queue.id}.{priority}"

    def consumers(self, queue: StoredQueue, group: str = "") -> list[str]:
        """Return the consumers of a queue, the highest priority first; or that of a group."""
        if queue.is_stream:
            return [group_consumer(group)]
        return [f"p{level}" for level in range(queue.config.max_priority, -1, -1)]

    async def ensure(self, queue: StoredQueue) -> None:
        """Create the stream and its consumers unless they exist."""
        config = queue.config
        await self._jetstream.api(f"STREAM.CREATE.{self.stream(queue)}", self._stream_config(queue))
        if queue.is_stream:
            return
        for level in range(config.max_priority + 1):
            await self._add_consumer(queue, f"p{level}", filter_subject=self.subject(queue, level))

    async def ensure_group(
        self, queue: StoredQueue, group: str, start: dict[str, Any], *, metadata: str
    ) -> None:
        """Create the consumer of a group at a position unless it exists."""
        name = group_consumer(group)
        try:
            await self._jetstream.api(f"CONSUMER.INFO.{self.stream(queue)}.{name}", None)
        except StreamMissing:
            await self.ensure(queue)
            await self._add_consumer(
                queue,
                name,
                inactive_threshold=GROUP_INACTIVE_S * NANOSECONDS,
                metadata={"group": metadata},
                **start,
            )

    async def remove_group(self, queue: StoredQueue, group: str) -> None:
        try:
            path = f"CONSUMER.DELETE.{self.stream(queue)}.{group_consumer(group)}"
            await self._jetstream.api(path, None)
        except StreamMissing:
            return

    async def put(
        self, queue: StoredQueue, message: message_pb2.Message, *, msg_id: str, earlier: int = 0
    ) -> Stored:
        """Store a message; the same `msg_id` is stored once.

        `earlier` is the number of its deliveries in another cell. Raises Overloaded if the queue is
        full, StreamMissing without a stream.
        """
        headers = {MESSAGE_ID: msg_id}
        if earlier:
            headers[EARLIER] = str(earlier)
        ttl_ms = ttl_of(queue, message)
        if ttl_ms and not queue.config.on_expiry:
            # The server knows whole seconds; the consumer checks the exact instant.
            headers[TTL] = f"{-(-ttl_ms // 1_000)}s"
        priority = min(message.priority, queue.config.max_priority)
        if message.HasField("reference"):
            await self._store.note_reference(queue, message.reference.digest)
        message = await self._cipher.stored(
            queue.namespace, message, encrypt=queue.config.encrypt or message.encrypted
        )
        subject = self.subject(queue, priority)
        try:
            return await self._jetstream.put(subject, message.SerializeToString(), headers)
        except StreamFull as error:
            raise _full(queue) from error

    async def until_openable(self) -> None:
        """Return when the keys of encrypted projects are known."""
        await self._cipher.until_known()

    def opened(self, queue: StoredQueue, data: bytes) -> message_pb2.Message:
        """Parse a stored message. Raises WrongState if its body was sealed with another key."""
        return self._cipher.opened(queue.namespace, data)

    async def page(self, queue: StoredQueue, sequence: int, count: int) -> list[StoredMessage]:
        """Return messages from a sequence on, in order, without locking them."""
        subjects = f"{self._subjects}.{queue.id}.*"
        await self.until_openable()
        page = await self._jetstream.page(self.stream(queue), subjects, sequence, count)
        return [
            StoredMessage(
                int(headers["Nats-Sequence"]),
                micros(headers["Nats-Time-Stamp"]),
                self.opened(queue, data),
                headers.get(MESSAGE_ID, ""),
                earlier_of(headers),
            )
            for data, headers in page
        ]

    async def messages(
        self, queue: StoredQueue, sequence: int, count: int
    ) -> AsyncIterator[StoredMessage]:
        """Yield at most `count` messages from a sequence on, page by page."""
        while count > 0:
            page = await self.page(queue, sequence, min(count, limits.BROWSE_MAX))
            for stored in page:
                yield stored
            if not page:
                return
            count -= len(page)
            sequence = page[-1].sequence + 1

    async def last(self, queue: StoredQueue) -> int:
        """Return the last position, also if its message is gone."""
        return int((await self.info(queue))["state"]["last_seq"])

    async def skip(self, queue: StoredQueue) -> Stored:
        """Leave a gap at the next position of a stream that has no readers yet."""
        # The server removes the message if this process dies before it does.
        stored = await self._jetstream.put(self.subject(queue, 0), b"", {TTL: "1s"})
        await self.remove(queue, stored.sequence)
        return stored

    async def remove(self, queue: StoredQueue, sequence: int) -> bool:
        """Delete one message; return False if it does not exist."""
        body = {"seq": sequence, "no_erase": True}
        try:
            await self._jetstream.api(f"STREAM.MSG.DELETE.{self.stream(queue)}", body)
        except StreamMissing:
            return False
        return True

    async def purge(self, queue: StoredQueue, *, below: int = 0) -> int:
        """Delete all messages, or those below a sequence; return their number."""
        body = {"seq": below} if below else {}
        reply = await self._jetstream.api(f"STREAM.PURGE.{self.stream(queue)}", body)
        return int(reply["purged"])

    async def delete(self, stream: str) -> None:
        try:
            await self._jetstream.api(f"STREAM.DELETE.{stream}", None)
        except StreamMissing:
            return

    async def info(self, queue: StoredQueue) -> Reply:
        """Return the state of the stream, with the number of messages by subject."""
        return await self._jetstream.api(
            f"STREAM.INFO.{self.stream(queue)}", {"subjects_filter": ">"}
        )

    async def consumer_states(self, queue: StoredQueue) -> Sequence[Reply]:
        path = f"CONSUMER.LIST.{self.stream(queue)}"
        return [each async for each in self._listed(path, "consumers")]

    async def all_streams(self) -> AsyncIterator[Reply]:
        """Yield the states of the streams of all queues."""
        subjects = f"{self._subjects}.>"
        async for each in self._listed("STREAM.LIST", "streams", subject=subjects):
            yield each

    async def _listed(self, path: str, items: str, **body: str) -> AsyncIterator[Reply]:
        """Yield the items of all pages of a list."""
        offset = 0
        while True:
            reply = await self._jetstream.api(path, {"offset": offset, **body})
            page = reply.get(items) or ()
            for each in page:
                yield each
            offset += len(page)
            if not page or offset >= reply.get("total", 0):
                return

    def _stream_config(self, queue: StoredQueue) -> Reply:
        config = queue.config
        drops = config.overflow == pb.OVERFLOW_DROP_OLDEST
        return {
            "name": self.stream(queue),
            "subjects": [f"{self._subjects}.{queue.id}.*"],
            "retention": "limits" if queue.is_stream else "workqueue",
            "storage": "memory" if config.transient else "file",
            "max_msgs": config.max_size,
            "max_bytes": config.max_bytes,
            "discard": "old" if drops else "new",
            "duplicate_window": limits.DUPLICATES_S * NANOSECONDS,
            "allow_direct": True,
            "allow_msg_ttl": True,
            "num_replicas": self._replicas,
        }

    async def _add_consumer(self, queue: StoredQueue, name: str, **options: Any) -> None:
        stream = self.stream(queue)
        wait_ms = queue.config.visibility_timeout_ms + GRACE_MS
        config = {
            "durable_name": name,
            "name": name,
            "ack_policy": "explicit",
            "ack_wait": wait_ms * 1_000_000,
            "max_deliver": -1,
            "max_ack_pending": UNSETTLED_MAX,
            "deliver_policy": "all",
            "replay_policy": "instant",
            **options,
        }
        body = {"stream_name": stream, "config": config}
        await self._jetstream.api(f"CONSUMER.DURABLE.CREATE.{stream}.{name}", body)


def group_consumer(group: str) -> str:
    """Return the name of the consumer of a group, whose own name may contain dots."""
    return f"g{hashlib.sha256(group.encode()).hexdigest()[:24]}"


def earlier_of(headers: Mapping[str, str] | None) -> int:
    """Return the number of deliveries of a message in another cell."""
    return int((headers or {}).get(EARLIER, 0))


def ttl_of(queue: StoredQueue, message: message_pb2.Message) -> int:
    """Return the time to live of a message in a queue in ms; 0 is unlimited."""
    given = [ttl for ttl in (message.ttl_ms, queue.config.message_ttl_ms) if ttl]
    return min(given, default=0)


def is_expired(queue: StoredQueue, message: message_pb2.Message, at_us: int, now_us: int) -> bool:
    ttl_ms = ttl_of(queue, message)
    return bool(ttl_ms) and at_us + ttl_ms * 1_000 <= now_us


def queue_missing(name: str) -> NotFound:
    return NotFound("QUEUE_NOT_FOUND", f"no queue {name!r}; declare it first")


def exchange_missing(name: str) -> NotFound:
    return NotFound("EXCHANGE_NOT_FOUND", f"no exchange {name!r}; declare it first")


def micros(instant: str) -> int:
    """Return an instant of the server in microseconds."""
    return int(datetime.fromisoformat(instant).timestamp() * 1_000_000)


def _full(queue: StoredQueue) -> Overloaded:
    config = queue.config
    text = (
        f"queue {queue.name!r} is full: {config.max_size:,} messages or {config.max_bytes:,} bytes"
    )
    return Overloaded("QUEUE_FULL", text, retry_after_ms=FULL_RETRY_MS)
