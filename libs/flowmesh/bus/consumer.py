"""A continuous pull from a JetStream stream, whose credit is renewed when half of it is used.

`fetch` of the client library stalls if an earlier request is lost. This pull uses one inbox and
`CONSUMER.MSG.NEXT` requests with an idle heartbeat. It creates a new inbox if the server is silent
for two heartbeats, after a reconnect, and if the consumer is deleted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nats.errors
import nats.js.errors
import orjson
import structlog
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from flowmesh.errors import Unavailable

if TYPE_CHECKING:
    from flowmesh.bus.bus import Bus

BATCH = 64
PULL_EXPIRES_S = 10.0
HEARTBEAT_S = 2.0
SILENCE_S = 2 * HEARTBEAT_S
RETRY_S = 0.2
ACK_WAIT_S = 30.0
# The server deletes a consumer without a durable name after this time without a pull.
INACTIVE_S = 60.0
NANOSECONDS = 1_000_000_000
ACK_TOKENS_WITHOUT_DOMAIN = 9
RETRYABLE = (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError, Unavailable)


@dataclass(frozen=True, slots=True)
class Message:
    """A message. `ack` prevents its redelivery; it has an effect for durable consumers only."""

    subject: str
    data: bytes
    headers: dict[str, str]
    stream_sequence: int
    acknowledge: Callable[[], Awaitable[None]]

    async def ack(self) -> None:
        await self.acknowledge()


class Consumer:
    """Reads a stream from a position on, without gaps across reconnects and lost consumers.

    A recreated stream, whose store was lost, is read from its first message.
    """

    def __init__(
        self,
        bus: Bus,
        stream: str,
        subjects: Sequence[str],
        *,
        start_sequence: int,
        deliver_new: bool,
        durable: str | None,
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._subjects = list(subjects)
        self._next = start_sequence
        self._new_only = deliver_new
        self._durable = durable
        self._created_at = ""
        self._credit = 0
        self._arrived: deque[Any] = deque()
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("flowmesh.bus").bind(stream=stream)

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Yield the messages from the start position on, without end."""
        while True:
            try:
                async with aclosing(self._pull_from_inbox()) as inbox:
                    async for message in inbox:
                        yield message
            except RETRYABLE as error:
                self._log.info("pull_restarted", problem=type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _pull_from_inbox(self) -> AsyncGenerator[Message, None]:
        await self._bus.until_connected()
        generation = self._bus.generation
        name = await self._ensure_consumer()
        self._arrived.clear()
        client = self._bus.client
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=self._on_message)
        self._bus.readers.add(self._wake)
        try:
            self._credit = 0
            while generation == self._bus.generation:
                if self._credit <= BATCH // 2:
                    await self._pull(name, inbox)
                if not self._arrived and not await self._wait():
                    self._log.info("pull_silent")
                    return
                while self._arrived:
                    raw = self._arrived.popleft()
                    if raw.headers and "Status" in raw.headers:
                        if self._is_ended_by(raw.headers):
                            return
                        continue
                    self._credit -= 1
                    message = self._message(raw)
                    self._next = message.stream_sequence + 1
                    self._bus.traffic.consumed.inc()
                    yield message
        finally:
            self._bus.readers.discard(self._wake)
            if client.is_connected:
                await subscription.unsubscribe()

    async def _on_message(self, raw: Any) -> None:
        self._arrived.append(raw)
        self._wake.set()

    async def _wait(self) -> bool:
        """Wait for a message; return False if the server is silent for too long."""
        self._wake.clear()
        try:
            async with asyncio.timeout(SILENCE_S):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def _pull(self, name: str, inbox: str) -> None:
        request = {
            "batch": BATCH,
            "expires": int(PULL_EXPIRES_S * NANOSECONDS),
            "idle_heartbeat": int(HEARTBEAT_S * NANOSECONDS),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{name}"
        await self._bus.client.publish(subject, orjson.dumps(request), reply=inbox)
        self._credit += BATCH

    def _is_ended_by(self, headers: dict[str, str]) -> bool:
        """Update the credit for a status; return True if the consumer was deleted."""
        status = headers["Status"]
        if status in ("404", "408"):
            self._credit = max(0, self._credit - int(headers.get("Nats-Pending-Messages", BATCH)))
        elif status == "409":
            self._credit = max(0, self._credit - int(headers.get("Nats-Pending-Messages", BATCH)))
            return "Consumer" in headers.get("Description", "")
        return False

    async def _ensure_consumer(self) -> str:
        stream = self._bus.jetstream
        info = await self._bus.request(stream.stream_info(self._stream))
        created_at = str(info.created)
        if self._created_at and created_at != self._created_at:
            self._log.warning("stream_recreated")
            self._next, self._new_only = 1, False
        self._created_at = created_at
        config = ConsumerConfig(
            filter_subjects=self._subjects or None,
            ack_policy=AckPolicy.EXPLICIT if self._durable else AckPolicy.NONE,
            inactive_threshold=None if self._durable else INACTIVE_S,
        )
        if self._durable:
            config.durable_name = self._durable
            config.ack_wait = ACK_WAIT_S
        if self._next > 0 and not self._durable:
            config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = self._next
        elif self._new_only:
            config.deliver_policy = DeliverPolicy.NEW
            if not self._durable:
                # Start by sequence, so that a restart of the pull has no gap.
                self._next = info.state.last_seq + 1
                config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
                config.opt_start_seq = self._next
        made = await self._bus.request(stream.add_consumer(self._stream, config))
        return made.name

    def _message(self, raw: Any) -> Message:
        tokens = raw.reply.split(".")
        at = 5 if len(tokens) == ACK_TOKENS_WITHOUT_DOMAIN else 7
        acknowledge = raw.ack if self._durable else no_acknowledgment
        return Message(raw.subject, raw.data, raw.headers or {}, int(tokens[at]), acknowledge)


async def no_acknowledgment() -> None:
    """Do nothing: a consumer without a durable name does not acknowledge."""
