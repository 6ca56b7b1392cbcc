"""A continuous pull from a JetStream stream: credit kept on the server, renewed by halves.

The client library's `fetch` stalls when an earlier request is orphaned, so the pull is our own:
one inbox, `CONSUMER.MSG.NEXT` requests with an idle heartbeat, and a new inbox whenever the
server is silent for two heartbeats, after a reconnect, or when the consumer is gone.
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
# The server forgets a consumer without a durable name that nobody pulls from for this long.
INACTIVE_S = 60.0
NANOSECONDS = 1_000_000_000
ACK_TOKENS_WITHOUT_DOMAIN = 9
RETRYABLE = (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError, Unavailable)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a stream. `ack` says that it need not come again (durable consumers only)."""

    subject: str
    data: bytes
    headers: dict[str, str]
    stream_sequence: int
    acknowledge: Callable[[], Awaitable[None]]

    async def ack(self) -> None:
        await self.acknowledge()


class Consumer:
    """Reads a stream from a place on, across reconnects and lost consumers, without a gap.

    A stream that was made anew (its store was lost) is read from its first message.
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
        self._made_at = ""
        self._wanted = 0
        self._arrived: deque[Any] = deque()
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("flowmesh.bus").bind(stream=stream)

    async def messages(self) -> AsyncGenerator[Message, None]:
        """All messages from the place on, for ever."""
        while True:
            try:
                async with aclosing(self._one_inbox()) as inbox:
                    async for message in inbox:
                        yield message
            except RETRYABLE as error:
                self._log.info("pull_restarted", problem=type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _one_inbox(self) -> AsyncGenerator[Message, None]:
        await self._bus.until_connected()
        generation = self._bus.generation
        name = await self._ensure_consumer()
        self._arrived.clear()
        client = self._bus.client
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=self._arrive)
        self._bus.readers.add(self._wake)
        try:
            self._wanted = 0
            while generation == self._bus.generation:
                if self._wanted <= BATCH // 2:
                    await self._ask(name, inbox)
                if not self._arrived and not await self._woken():
                    self._log.info("pull_silent")
                    return
                while self._arrived:
                    raw = self._arrived.popleft()
                    if raw.headers and "Status" in raw.headers:
                        if self._ended_by(raw.headers):
                            return
                        continue
                    self._wanted -= 1
                    message = self._message(raw)
                    self._next = message.stream_sequence + 1
                    self._bus.traffic.consumed.inc()
                    yield message
        finally:
            self._bus.readers.discard(self._wake)
            if client.is_connected:
                await subscription.unsubscribe()

    async def _arrive(self, raw: Any) -> None:
        self._arrived.append(raw)
        self._wake.set()

    async def _woken(self) -> bool:
        """Whether something came before the server was silent for too long."""
        self._wake.clear()
        try:
            async with asyncio.timeout(SILENCE_S):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def _ask(self, name: str, inbox: str) -> None:
        request = {
            "batch": BATCH,
            "expires": int(PULL_EXPIRES_S * NANOSECONDS),
            "idle_heartbeat": int(HEARTBEAT_S * NANOSECONDS),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{name}"
        await self._bus.client.publish(subject, orjson.dumps(request), reply=inbox)
        self._wanted += BATCH

    def _ended_by(self, headers: dict[str, str]) -> bool:
        """Accounts for a status; true when this consumer is of no more use."""
        status = headers["Status"]
        if status in ("404", "408"):
            self._wanted = max(0, self._wanted - int(headers.get("Nats-Pending-Messages", BATCH)))
        elif status == "409":
            self._wanted = max(0, self._wanted - int(headers.get("Nats-Pending-Messages", BATCH)))
            return "Consumer" in headers.get("Description", "")
        return False

    async def _ensure_consumer(self) -> str:
        stream = self._bus.jetstream
        info = await self._bus.answered(stream.stream_info(self._stream))
        made_at = str(info.created)
        if self._made_at and made_at != self._made_at:
            self._log.warning("stream_made_anew")
            self._next, self._new_only = 1, False
        self._made_at = made_at
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
                # From here on by sequence, so that a restart of the pull leaves no gap.
                self._next = info.state.last_seq + 1
                config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
                config.opt_start_seq = self._next
        made = await self._bus.answered(stream.add_consumer(self._stream, config))
        return made.name

    def _message(self, raw: Any) -> Message:
        tokens = raw.reply.split(".")
        at = 5 if len(tokens) == ACK_TOKENS_WITHOUT_DOMAIN else 7
        acknowledge = raw.ack if self._durable else _nothing
        return Message(raw.subject, raw.data, raw.headers or {}, int(tokens[at]), acknowledge)


async def _nothing() -> None:
    """A consumer without a name has nothing to acknowledge."""
