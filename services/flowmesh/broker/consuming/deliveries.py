"""Deliveries of JetStream, and their settlement."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Final

import orjson
from structlog.typing import FilteringBoundLogger

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import topology_pb2 as topology
from flowmesh.broker import limits
from flowmesh.broker.counters import BrokerMetrics
from flowmesh.broker.dead_letters import DeadLetters
from flowmesh.broker.store import StoredQueue
from flowmesh.broker.streams import is_expired
from flowmesh.bus import Bus
from flowmesh.contract.retries import backoff
from flowmesh.errors import Overloaded
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Clock

ACK: Final = b"+ACK"
NAK: Final = b"-NAK"
TERM: Final = b"+TERM"
PROGRESS: Final = b"+WPI"
LEFT: Final = "the consumer left before it settled the message"
_TOKENS_WITHOUT_DOMAIN: Final = 9


@dataclass(frozen=True, slots=True)
class Place:
    """The facts in the subject of an acknowledgment."""

    consumer: str
    attempt: int
    sequence: int
    at_ns: int

    @classmethod
    def of(cls, reply: str) -> "Place":
        tokens = reply.split(".")
        at = 5 if len(tokens) == _TOKENS_WITHOUT_DOMAIN else 7
        return cls(tokens[at - 2], int(tokens[at - 1]), int(tokens[at]), int(tokens[at + 2]))


@dataclass(slots=True)
class Delivery:
    """A message in flight. `reply` is the subject of its acknowledgment."""

    queue: StoredQueue
    reply: str
    message: message_pb2.Message
    place: Place
    visible_until_us: int
    # Deliveries in the cell from which the message has come.
    earlier: int

    @property
    def attempt(self) -> int:
        return self.earlier + self.place.attempt

    @property
    def position(self) -> str:
        """The identity of the stored message, also across recreations of its stream."""
        return f"{self.place.sequence}:{self.place.at_ns}"


def delivery_of(
    queue: StoredQueue, reply: str, message: message_pb2.Message, now_us: int, earlier: int
) -> Delivery:
    return Delivery(
        queue=queue,
        reply=reply,
        message=message,
        place=Place.of(reply),
        visible_until_us=now_us + queue.config.visibility_timeout_ms * 1_000,
        earlier=earlier,
    )


class Settler:
    """Acknowledges deliveries, and decides between another attempt and a dead letter."""

    def __init__(
        self,
        *,
        bus: Bus,
        dead_letters: DeadLetters,
        metrics: BrokerMetrics,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._bus = bus
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._clock = clock
        self._log = log

    async def admit(self, delivery: Delivery) -> bool:
        """Return whether a delivery goes to its consumer; otherwise it is settled here."""
        queue = delivery.queue
        at_us, now_us = delivery.place.at_ns // 1_000, self._clock.now_us()
        if is_expired(queue, delivery.message, at_us, now_us):
            if queue.config.on_expiry == topology.ON_EXPIRY_DEAD_LETTER:
                await self._bury(delivery, message_pb2.DEATH_REASON_EXPIRED, "")
            else:
                self._metrics.ended(queue, "expired", dead_lettered=False)
                await self._bus.ask(delivery.reply, TERM)
            return False
        if delivery.attempt > queue.config.retry.max_attempts:
            error = "the consumer did not settle the last attempt in time"
            self._metrics.failed(queue, error)
            await self._bury(delivery, message_pb2.DEATH_REASON_ATTEMPTS, error)
            return False
        self._metrics.of(queue).delivered += 1
        return True

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge; the message is gone when this returns."""
        await self._bus.ask(delivery.reply, ACK)
        self._metrics.acknowledged(delivery.queue)
        failpoint("broker.acked")

    async def extend(self, delivery: Delivery) -> None:
        """Start the visibility timeout again."""
        await self._bus.ask(delivery.reply, PROGRESS)
        timeout_us = delivery.queue.config.visibility_timeout_ms * 1_000
        delivery.visible_until_us = self._clock.now_us() + timeout_us

    async def nack(self, delivery: Delivery, *, delay_ms: int | None, error: str) -> None:
        """Deliver again after the delay of the retry policy, or make it a dead letter."""
        retry = delivery.queue.config.retry
        self._metrics.failed(delivery.queue, error[: limits.ERROR_CHARACTERS_MAX])
        if delivery.attempt >= retry.max_attempts:
            await self._bury(delivery, message_pb2.DEATH_REASON_ATTEMPTS, error)
            return
        wait_ms = delay_of(retry, delivery.attempt) if delay_ms is None else delay_ms
        await self._again(delivery, wait_ms)

    async def reject(self, delivery: Delivery, *, error: str) -> None:
        """Make the message a dead letter now."""
        self._metrics.failed(delivery.queue, error[: limits.ERROR_CHARACTERS_MAX])
        await self._bury(delivery, message_pb2.DEATH_REASON_REJECTED, error)

    async def release(self, replies: list[str]) -> None:
        """Return deliveries that no consumer has got; they are delivered again at once."""
        await self._returned(self._bus.ask(reply, NAK) for reply in replies)

    async def abandon(self, deliveries: list[Delivery]) -> None:
        """Fail the attempts of a consumer that left: it may have handled its deliveries."""
        await self._returned(
            self.nack(each, delay_ms=None, error=LEFT)
            for each in deliveries
            if each.visible_until_us > self._clock.now_us()
        )

    async def _returned(self, work: Iterable[Awaitable[object]]) -> None:
        """Return what can be returned; the server does the rest after the visibility timeout."""
        for outcome in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(outcome, Exception):
                self._log.info("release_failed", problem=type(outcome).__name__)

    async def _again(self, delivery: Delivery, delay_ms: int) -> None:
        body = NAK
        if delay_ms:
            body += b" " + orjson.dumps({"delay": delay_ms * 1_000_000})
        await self._bus.ask(delivery.reply, body)

    async def _bury(
        self, delivery: Delivery, reason: message_pb2.DeathReason.ValueType, error: str
    ) -> None:
        queue = delivery.queue
        try:
            await self._dead_letters.bury(
                queue, delivery.message, reason, position=delivery.position, error=error
            )
        except Overloaded:
            # Its dead letter queue is full: the message stays where it is.
            self._log.warning("dead_letter_queue_full", queue=queue.name)
            await self._again(delivery, queue.config.retry.max_delay_ms or 1_000)
            return
        await self._bus.ask(delivery.reply, TERM)


def delay_of(retry: topology.MessageRetry, attempt: int) -> int:
    """Return the delay after a failed attempt in ms, exponential and bounded."""
    most = retry.max_delay_ms
    return int(backoff(retry.initial_delay_ms, attempt, factor=retry.factor, most=most))
