"""Delivery of messages to a receiver: attempts with pauses, then the dead letters."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from flowmesh.apps.messaging.messages import Log, Message, Subscribed, reason_of
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry

DEAD_LETTERS_MAX = 1_000
ATTEMPTS = 3
DELIVERY_S = 30.0
BACKOFF_MAX_S = 5.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that no attempt could handle."""

    id: str
    subscription: str
    message: Message
    reason: str
    at: float

    def document(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "subscription": self.subscription,
            "topic": self.message.topic,
            "value": self.message.value,
            "reason": self.reason,
            "attempts": self.message.attempt,
            "at": self.at,
        }


class DeadLetters:
    """The last dead letters of a broker, by id."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._found: OrderedDict[str, DeadLetter] = OrderedDict()

    def add(self, subscription: str, message: Message, reason: str) -> None:
        id = f"{message.id}-{subscription}"
        self._found[id] = DeadLetter(id, subscription, message, reason, self._now())
        if len(self._found) > DEAD_LETTERS_MAX:
            self._found.popitem(last=False)

    def list(self) -> list[DeadLetter]:
        return list(self._found.values())

    def take(self, id: str) -> DeadLetter | None:
        return self._found.pop(id, None)


class Delivery:
    """Delivers messages within their time, and again after a failure."""

    def __init__(
        self,
        *,
        log: Log,
        attempts: int = ATTEMPTS,
        timeout_s: float = DELIVERY_S,
        dead: DeadLetters | None = None,
        workers: asyncio.Semaphore | None = None,
    ) -> None:
        """`workers` bounds the receivers that run at once."""
        self.attempts = attempts
        self._retry = Retry(attempts=attempts, most_s=BACKOFF_MAX_S)
        self.dead = dead or DeadLetters()
        self._log = log
        self._timeout_s = timeout_s
        self._workers = workers or contextlib.nullcontext()

    async def once(self, subscription: Subscribed, message: Message) -> str:
        """Deliver once; return the reason of a failure, "" after success."""
        try:
            async with self._workers, asyncio.timeout(self._timeout_s):
                await subscription.receive(message)
        except Exception as error:  # noqa: BLE001 - any failure is a failed attempt
            reason = reason_of(error)
            self._log(
                "warn",
                f"{subscription.name} failed on {message.topic}: {reason}",
                messageId=message.id,
                attempt=message.attempt,
            )
            return reason
        return ""

    async def until_dead(self, subscription: Subscribed, message: Message) -> str:
        """Deliver until it succeeds; return the reason of the last attempt of a dead letter."""
        reason = ""
        for attempt in range(message.attempt, self.attempts + 1):
            reason = await self.once(subscription, replace(message, attempt=attempt))
            if not reason:
                return ""
            if attempt < self.attempts:
                await asyncio.sleep(self._retry.delay_s(attempt - message.attempt + 1))
        self.bury(subscription, replace(message, attempt=self.attempts), reason)
        return reason

    def bury(self, subscription: Subscribed, message: Message, reason: str) -> None:
        """Record a dead letter."""
        self.dead.add(subscription.name, message, reason)
        self._log(
            "error",
            f"{subscription.name} gave up on {message.topic}: {reason}",
            messageId=message.id,
            attempts=message.attempt,
        )
