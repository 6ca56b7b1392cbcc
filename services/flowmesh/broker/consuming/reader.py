"""Pulls of messages of one queue, the highest priority first."""

import asyncio
from collections import deque
from typing import Any, Final, Self

import orjson

from flowmesh.broker.consuming.deliveries import Delivery, Place, Settler, delivery_of
from flowmesh.broker.consuming.holders import Hold
from flowmesh.broker.store import StoredQueue
from flowmesh.broker.storing.jetstream import StreamMissing
from flowmesh.broker.streams import NANOSECONDS, QueueStreams, earlier_of
from flowmesh.bus import Bus
from flowmesh.bus.draining import drain
from flowmesh.errors import FlowmeshError
from flowmesh.runtime import Clock

PULL_S: Final = 20.0
# The server answers a pull at its end; after this time the pull is lost.
LOST_S: Final = 5.0
ANSWER_S: Final = 2.0
_WAITING: Final = "w"
_ASKING: Final = "a"
_GONE: Final = ("503",)


class _Level:
    """The pulls of one consumer: messages that the server may still send."""

    __slots__ = ("asked", "consumer", "lost_at", "waiting")

    def __init__(self, consumer: str) -> None:
        self.consumer = consumer
        # Of a pull that returns at once, and of one that waits.
        self.asked = 0
        self.waiting = 0
        self.lost_at = 0.0


class QueueReader:
    """`async with QueueReader(...) as reader: deliveries = await reader.next(10, 1.0)`.

    Raises StreamMissing if the stream or its consumer does not exist.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        streams: QueueStreams,
        settler: Settler,
        queue: StoredQueue,
        group: str,
        hold: Hold,
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._streams = streams
        self._hold = hold
        self._settler = settler
        self._queue = queue
        self._clock = clock
        self._stream = streams.stream(queue)
        self._levels = {name: _Level(name) for name in streams.consumers(queue, group)}
        self._inbox = ""
        self._arrived: deque[Any] = deque()
        self._wake = asyncio.Event()
        self._missing = False
        self._generation = bus.generation
        self._subscription: Any = None
        # Set when the queue is suspended.
        self.refusal: FlowmeshError | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Read, again after a stop, in a new inbox: the one before may still get messages."""
        if self._subscription is not None:
            return
        self._inbox = self._bus.client.new_inbox()
        for level in self._levels.values():
            level.asked = level.waiting = 0
        self._subscription = await self._bus.client.subscribe(
            f"{self._inbox}.*.*", cb=self._on_message
        )
        self._wake.set()

    def refuse(self, refusal: FlowmeshError) -> None:
        """Deliver nothing more; the consumer gets the refusal."""
        self.refusal = refusal
        self._wake.set()

    def check_served(self) -> None:
        """Raise the refusal of a suspended queue."""
        if self.refusal is not None:
            raise self.refusal

    async def stop(self) -> None:
        """End the pulls, and return what no consumer has got to the queue.

        A delivery that is returned before its pull has ended could answer the same pull again.
        """
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        if any(level.asked or level.waiting for level in self._levels.values()):
            await drain(self._bus, subscription)
        elif not self._bus.client.is_closed:
            await subscription.unsubscribe()
        await self._settler.release([raw.reply for raw in self._arrived])
        self._arrived.clear()

    async def next(self, want: int, wait_s: float, *, prefetch: bool = False) -> list[Delivery]:
        """Return up to `want` admitted deliveries, or none after `wait_s`.

        `prefetch` requests all of them in advance, if the queue has one priority only.
        """
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            if not await self._hold.turn(deadline - asyncio.get_running_loop().time()):
                return []
            self._check_connection()
            ahead = prefetch and len(self._levels) == 1
            if not ahead and not self._arrived:
                await self._ask(want)
            if not self._arrived:
                left_s = deadline - asyncio.get_running_loop().time()
                if left_s <= 0:
                    return []
                await self._wait(want if ahead else 1, left_s)
            elif ahead:
                await self._request_waiting(want - len(self._arrived))
            await self._streams.until_openable()
            found = [each for each in self._take(want) if await self._settler.admit(each)]
            if found:
                return found

    async def _ask(self, want: int) -> None:
        """Collect what is stored now, by priority."""
        for level in self._levels.values():
            room = want - len(self._arrived)
            if room <= 0:
                return
            level.asked = room
            await self._pull(level, _ASKING, {"batch": room, "no_wait": True})
            try:
                async with asyncio.timeout(ANSWER_S):
                    while level.asked:
                        await self._woken()
            except TimeoutError:
                level.asked = 0

    async def _wait(self, batch: int, left_s: float) -> None:
        """Wait until a message arrives, or for the given time."""
        await self._request_waiting(batch, left_s)
        try:
            async with asyncio.timeout(min(left_s, PULL_S + LOST_S)):
                await self._woken()
        except TimeoutError:
            pass

    async def _request_waiting(self, batch: int, left_s: float = PULL_S) -> None:
        now = asyncio.get_running_loop().time()
        expires_s = min(left_s, PULL_S)
        for level in self._levels.values():
            if level.waiting and now > level.lost_at:
                level.waiting = 0
            # Half of a large credit is requested at once.
            if level.waiting <= batch // 2:
                count = batch - level.waiting
                level.waiting += count
                level.lost_at = now + expires_s + LOST_S
                expires = int(expires_s * NANOSECONDS)
                await self._pull(level, _WAITING, {"batch": count, "expires": expires})

    async def _pull(self, level: _Level, kind: str, request: dict[str, Any]) -> None:
        path = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{level.consumer}"
        reply = f"{self._inbox}.{kind}.{level.consumer}"
        await self._bus.client.publish(path, orjson.dumps(request), reply=reply)

    async def _woken(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        self._check_connection()

    def _check_connection(self) -> None:
        self.check_served()
        if self._missing:
            self._missing = False
            raise StreamMissing(self._stream)
        if self._generation != self._bus.generation:
            self._generation = self._bus.generation
            for level in self._levels.values():
                level.asked = level.waiting = 0

    async def _on_message(self, raw: Any) -> None:
        status = (raw.headers or {}).get("Status")
        if status is None:
            level = self._levels[Place.of(raw.reply).consumer]
            if level.asked:
                level.asked -= 1
            elif level.waiting:
                level.waiting -= 1
            self._arrived.append(raw)
        else:
            self._on_status(raw, status)
        self._wake.set()

    def _on_status(self, raw: Any, status: str) -> None:
        kind, consumer = raw.subject.split(".")[-2:]
        level = self._levels[consumer]
        if status in _GONE or "Consumer" in raw.headers.get("Description", ""):
            self._missing = True
        if kind == _ASKING:
            level.asked = 0
        else:
            ended = int(raw.headers.get("Nats-Pending-Messages", level.waiting))
            level.waiting = max(0, level.waiting - ended)

    def _take(self, count: int) -> list[Delivery]:
        """Return arrived deliveries that are still visible, by priority."""
        now_us = self._clock.now_us()
        found: list[Delivery] = []
        while self._arrived and len(found) < count:
            raw = self._arrived[0]
            message = self._streams.opened(self._queue, raw.data)
            earlier = earlier_of(raw.headers)
            found.append(delivery_of(self._queue, raw.reply, message, now_us, earlier))
            self._arrived.popleft()
        return sorted(found, key=_rank)


def _rank(delivery: Delivery) -> tuple[int, int]:
    highest = delivery.queue.config.max_priority
    return (-min(delivery.message.priority, highest), delivery.place.sequence)
