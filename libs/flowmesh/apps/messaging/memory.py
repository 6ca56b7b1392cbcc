"""A broker in this process: a queue for each subscription, in lanes by key."""

import asyncio
import contextlib
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Literal

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.delivery import Delivery
from flowmesh.apps.messaging.messages import (
    REASON_HEADER,
    Message,
    Subscribed,
    check_pattern,
    check_topic,
    encoded,
    new_id,
)
from flowmesh.contract.json_value import Json

WhenFull = Literal["block", "drop", "timeout"]
Queued = tuple[Message, float]

DRAIN_S = 20.0


class Lanes:
    """The waiting messages of a subscription; a key stays in its lane, so its order is kept."""

    def __init__(self, subscription: Subscribed, room: int) -> None:
        self.subscription = subscription
        count = max(1, subscription.concurrency)
        self.queues = [asyncio.Queue[Queued](max(1, room // count)) for _ in range(count)]

    def of(self, message: Message) -> "asyncio.Queue[Queued]":
        if len(self.queues) == 1:
            return self.queues[0]
        if not message.key:
            return min(self.queues, key=lambda each: each.qsize())
        return self.queues[zlib.crc32(message.key.encode()) % len(self.queues)]


class MemoryBroker:
    """Messages in memory; those that wait are lost with the process.

    A full queue makes the publisher wait, or drops the message, by `when_full`.
    """

    def __init__(
        self,
        *,
        delivery: Delivery,
        room: int,
        wait_s: float,
        when_full: WhenFull = "block",
        life_s: float = 0.0,
        dead_letter_topic: str = "",
        dropped: Callable[[Message], None] = lambda _message: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.delivery = delivery
        self._room = room
        self._wait_s = wait_s
        self._when_full = when_full
        self._life_s = life_s
        self._dead_letter_topic = dead_letter_topic
        self._dropped = dropped
        self._clock = clock
        self._lanes: list[Lanes] = []
        self._tasks: list[asyncio.Task[None]] = []
        # Subscriptions by topic, found once.
        self._routes: dict[str, list[Lanes]] = {}
        self._closed = False
        self._delivered = 0
        # The time of all calls of `close` together.
        self._drain_s = DRAIN_S

    def subscribe(self, subscription: Subscribed) -> None:
        check_pattern(subscription.topic)
        self._lanes.append(Lanes(subscription, self._room))
        self._routes.clear()

    async def start(self) -> None:
        return None

    async def open(self) -> None:
        for lanes in self._lanes:
            for queue in lanes.queues:
                self._tasks.append(asyncio.create_task(self._deliver(lanes.subscription, queue)))

    async def publish(
        self, topic: str, value: Json, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> str:
        if self._closed:
            raise HttpProblem(503, "BROKER_CLOSED", "the broker takes no more messages")
        routes = self._routes.get(topic)
        if routes is None:
            check_topic(topic)
            routes = [each for each in self._lanes if each.subscription.takes(topic)]
            if len(self._routes) < 10_000:
                self._routes[topic] = routes
        encoded(value)
        message = Message(topic, value, new_id(), key, headers or {})
        for lanes in routes:
            await self._put(lanes.of(message), message)
        return message.id

    async def close(self) -> None:
        """Deliver the waiting messages, and what their receivers publish, within the time left."""
        if not self._tasks:
            return
        queues = [queue for lanes in self._lanes for queue in lanes.queues]
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                before = -1
                while before != self._delivered:
                    before = self._delivered
                    await asyncio.gather(*(queue.join() for queue in queues))
        self._drain_s -= time.monotonic() - began

    async def stop(self) -> None:
        """End; messages that wait are lost."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def health(self) -> str:
        full = [
            each.subscription.name
            for each in self._lanes
            if any(queue.full() for queue in each.queues)
        ]
        return f"the queue of {full[0]} is full" if full else ""

    def depth(self) -> int:
        """Return the number of waiting messages."""
        return sum(queue.qsize() for lanes in self._lanes for queue in lanes.queues)

    async def _put(self, queue: "asyncio.Queue[Queued]", message: Message) -> None:
        entry = (message, self._clock())
        try:
            queue.put_nowait(entry)
            return
        except asyncio.QueueFull:
            if self._when_full == "drop":
                self._dropped(message)
                return
        try:
            async with asyncio.timeout(self._wait_s or None):
                await queue.put(entry)
        except TimeoutError:
            if self._when_full == "timeout":
                self._dropped(message)
                return
            text = f"the queue of {message.topic} was full for {self._wait_s:g} s"
            raise HttpProblem(503, "BROKER_FULL", text) from None

    async def _deliver(self, subscription: Subscribed, queue: "asyncio.Queue[Queued]") -> None:
        while True:
            message, at = await queue.get()
            try:
                if self._life_s and self._clock() - at > self._life_s:
                    self._dropped(message)
                    continue
                reason = await self.delivery.until_dead(subscription, message)
                if reason:
                    await self._forward(message, reason)
            finally:
                self._delivered += 1
                queue.task_done()

    async def _forward(self, message: Message, reason: str) -> None:
        topic = self._dead_letter_topic
        if not topic or message.topic == topic:
            return
        try:
            await self.publish(
                topic,
                message.value,
                key=message.key,
                headers={**message.headers, REASON_HEADER: reason, "fm-topic": message.topic},
            )
        except HttpProblem as error:
            self.delivery.dead.add(topic, message, error.detail)
