"""The JetStream stream of each queue: creation, storage of messages, and its state.

Every queue has a stream of its own, so that the server enforces its bounds exactly. A priority is
the last word of the subject, and has a consumer of its own.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import nats.errors
import orjson

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.bus import Bus
from flowmesh.errors import NotFound, Overloaded, Unavailable
from flowmesh.event.broker import limits
from flowmesh.event.broker.store import StoredQueue

NANOSECONDS: Final = 1_000_000_000
MESSAGE_ID: Final = "Nats-Msg-Id"
TTL: Final = "Nats-TTL"
# The server delivers again this long after the visibility timeout, so that a settlement before the
# timeout is never late.
GRACE_MS: Final = 250
UNSETTLED_MAX: Final = 50_000
GROUP_INACTIVE_S: Final = 30 * 24 * 3_600
PAGE_BYTES_MAX: Final = limits.BATCH_BYTES_MAX
PAGE_TIMEOUT_S: Final = 5.0
FULL_RETRY_MS: Final = 500
# Streams, consumers, and 10057: a message to delete that does not exist.
NOT_FOUND: Final = (404, 10014, 10057, 10059)
# The description of the error with the code 10077.
FULL: Final = "maximum"

Reply = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """The position of a stored message; `duplicate` if it was stored before."""

    sequence: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Peeked:
    """A stored message, read without a consumer."""

    sequence: int
    at_us: int
    message: message_pb2.Message


class StreamMissing(Exception):
    """The stream or consumer does not exist: it was never made, deleted, or was in memory."""


class QueueStreams:
    """Requests to the message bus about the streams of queues."""

    def __init__(self, *, bus: Bus, prefix: str, replicas: int) -> None:
        self.bus = bus
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
        await self._api(f"STREAM.CREATE.{self.stream(queue)}", self._stream_config(queue))
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
            await self._api(f"CONSUMER.INFO.{self.stream(queue)}.{name}", None)
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
            await self._api(path, None)
        except StreamMissing:
            return

    async def put(self, queue: StoredQueue, message: message_pb2.Message, *, msg_id: str) -> Stored:
        """Store a message; the same `msg_id` is stored once.

        Raises Overloaded if the queue is full, StreamMissing without a stream.
        """
        headers = {MESSAGE_ID: msg_id}
        ttl_ms = ttl_of(queue, message)
        if ttl_ms and not queue.config.on_expiry:
            # The server knows whole seconds; the consumer checks the exact instant.
            headers[TTL] = f"{-(-ttl_ms // 1_000)}s"
        priority = min(message.priority, queue.config.max_priority)
        raw = await self.bus.ask(
            self.subject(queue, priority), message.SerializeToString(), headers=headers
        )
        reply = _parsed(raw)
        error = reply.get("error")
        if error is None:
            return Stored(reply["seq"], reply.get("duplicate", False))
        if FULL in error.get("description", ""):
            raise _full(queue)
        raise _unavailable(error)

    async def page(self, queue: StoredQueue, sequence: int, count: int) -> list[Peeked]:
        """Return messages from a sequence on, in order, without locking them."""
        client = self.bus.client
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox)
        request = {
            "seq": max(1, sequence),
            "batch": count,
            "max_bytes": PAGE_BYTES_MAX,
            "next_by_subj": f"{self._subjects}.{queue.id}.*",
        }
        path = f"$JS.API.DIRECT.GET.{self.stream(queue)}"
        found: list[Peeked] = []
        try:
            await client.publish(path, orjson.dumps(request), reply=inbox)
            while len(found) < count:
                raw = await subscription.next_msg(PAGE_TIMEOUT_S)
                headers = raw.headers or {}
                if "Status" in headers:
                    break
                found.append(_peeked(raw.data, headers))
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(
                "SERVICE_UNAVAILABLE", "no response from the message bus", retry_after_ms=500
            ) from error
        finally:
            if client.is_connected:
                await subscription.unsubscribe()
        return found

    async def messages(
        self, queue: StoredQueue, sequence: int, count: int
    ) -> AsyncIterator[Peeked]:
        """Yield at most `count` messages from a sequence on, page by page."""
        while count > 0:
            page = await self.page(queue, sequence, min(count, limits.BROWSE_MAX))
            for peeked in page:
                yield peeked
            if not page:
                return
            count -= len(page)
            sequence = page[-1].sequence + 1

    async def remove(self, queue: StoredQueue, sequence: int) -> bool:
        """Delete one message; return False if it does not exist."""
        body = {"seq": sequence, "no_erase": True}
        try:
            await self._api(f"STREAM.MSG.DELETE.{self.stream(queue)}", body)
        except StreamMissing:
            return False
        return True

    async def purge(self, queue: StoredQueue) -> int:
        reply = await self._api(f"STREAM.PURGE.{self.stream(queue)}", {})
        return int(reply["purged"])

    async def delete(self, stream: str) -> None:
        try:
            await self._api(f"STREAM.DELETE.{stream}", None)
        except StreamMissing:
            return

    async def info(self, queue: StoredQueue) -> Reply:
        """Return the state of the stream, with the number of messages by subject."""
        return await self._api(f"STREAM.INFO.{self.stream(queue)}", {"subjects_filter": ">"})

    async def consumer_states(self, queue: StoredQueue) -> Sequence[Reply]:
        reply = await self._api(f"CONSUMER.LIST.{self.stream(queue)}", {"offset": 0})
        return list(reply.get("consumers") or ())

    async def all_streams(self) -> AsyncIterator[Reply]:
        """Yield the states of the streams of all queues."""
        offset = 0
        while True:
            body = {"offset": offset, "subject": f"{self._subjects}.>"}
            reply = await self._api("STREAM.LIST", body)
            page = reply.get("streams") or ()
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
        await self._api(f"CONSUMER.DURABLE.CREATE.{stream}.{name}", body)

    async def _api(self, path: str, body: Any) -> Reply:
        data = b"" if body is None else orjson.dumps(body)
        reply = _parsed(await self.bus.ask(f"$JS.API.{path}", data))
        error = reply.get("error")
        if error is None:
            return reply
        if error.get("code") in NOT_FOUND or error.get("err_code") in NOT_FOUND:
            raise StreamMissing(path)
        raise _unavailable(error)


def group_consumer(group: str) -> str:
    """Return the name of the consumer of a group, whose own name may contain dots."""
    return f"g{hashlib.sha256(group.encode()).hexdigest()[:24]}"


def ttl_of(queue: StoredQueue, message: message_pb2.Message) -> int:
    """Return the time to live of a message in a queue in ms; 0 is unlimited."""
    given = [ttl for ttl in (message.ttl_ms, queue.config.message_ttl_ms) if ttl]
    return min(given, default=0)


def is_expired(queue: StoredQueue, message: message_pb2.Message, at_us: int, now_us: int) -> bool:
    ttl_ms = ttl_of(queue, message)
    return bool(ttl_ms) and at_us + ttl_ms * 1_000 <= now_us


def queue_missing(name: str) -> NotFound:
    return NotFound("QUEUE_NOT_FOUND", f"no queue {name!r}; declare it first")


def _parsed(raw: Any) -> Reply:
    """Return the reply as JSON. Raise StreamMissing if nothing listens to the subject."""
    if raw.headers and raw.headers.get("Status") == "503":
        raise StreamMissing(raw.subject)
    found: Reply = orjson.loads(raw.data) if raw.data else {}
    return found


def _peeked(data: bytes, headers: dict[str, str]) -> Peeked:
    return Peeked(
        int(headers["Nats-Sequence"]),
        micros(headers["Nats-Time-Stamp"]),
        message_pb2.Message.FromString(data),
    )


def micros(instant: str) -> int:
    """Return an instant of the server in microseconds."""
    return int(datetime.fromisoformat(instant).timestamp() * 1_000_000)


def _full(queue: StoredQueue) -> Overloaded:
    config = queue.config
    text = (
        f"queue {queue.name!r} is full: {config.max_size:,} messages or {config.max_bytes:,} bytes"
    )
    return Overloaded("QUEUE_FULL", text, retry_after_ms=FULL_RETRY_MS)


def _unavailable(error: Reply) -> Unavailable:
    text = f"the message bus refused: {error.get('description', 'unknown error')}"
    return Unavailable("SERVICE_UNAVAILABLE", text, retry_after_ms=500)
