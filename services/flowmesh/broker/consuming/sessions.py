"""Streams of consumers: deliveries within the credit, and their settlements."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable
from typing import Final

from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.broker import limits
from flowmesh.broker.consuming.deliveries import Delivery, Settler
from flowmesh.broker.consuming.groups import Readers
from flowmesh.broker.consuming.reader import QueueReader
from flowmesh.broker.counters import BrokerMetrics
from flowmesh.broker.store import StoredQueue
from flowmesh.broker.topology import Topologies
from flowmesh.errors import Invalid, Violation
from flowmesh.rpc import namespace_of, valid_id
from flowmesh.runtime import Clock

WAIT_S: Final = 5.0
# Frames that wait for a slow client; the reader stops above.
FRAMES_MAX: Final = 16
FRAME_BYTES_MAX: Final = 1024 * 1024
# The server delivers again soon after a timeout, see `streams.GRACE_MS`.
SWEEP_MIN_S: Final = 0.01
SWEEP_MAX_S: Final = 0.2


class Sessions:
    """Opens the streams of consumers."""

    def __init__(
        self,
        *,
        topologies: Topologies,
        readers: Readers,
        settler: Settler,
        metrics: BrokerMetrics,
        clock: Clock,
    ) -> None:
        self._topologies = topologies
        self._readers = readers
        self._settler = settler
        self._metrics = metrics
        self._clock = clock
        # Credit of the open streams by queue id.
        self.open: dict[str, dict[Session, None]] = {}

    async def consume(
        self, requests: AsyncIterator[pb.ConsumeRequest]
    ) -> AsyncGenerator[pb.ConsumeResponse, None]:
        """Serve one stream."""
        first = await anext(requests, None)
        if first is None or not first.HasField("hello"):
            raise _hello_invalid("hello", "the first message of a consumer holds it")
        hello = first.hello
        _check_credit(hello.credit)
        namespace = namespace_of(hello)
        queue = await self._topologies.queue(namespace, hello.queue, version=hello.topology_version)
        if hello.consumer_id:
            valid_id(hello.consumer_id, "consumer_id")
        async with self._readers.open(
            queue, hello.group, hello.start, consumer=hello.consumer_id
        ) as reader:
            session = Session(
                queue=queue,
                group=hello.group,
                credit=hello.credit,
                readers=self._readers,
                settler=self._settler,
                clock=self._clock,
            )
            opened = self.open.setdefault(queue.id, {})
            opened[session] = None
            gauge = self._metrics.consumers.labels(*self._metrics.labels(queue))
            gauge.inc()
            try:
                async for response in session.run(reader, requests):
                    yield response
            finally:
                gauge.dec()
                del opened[session]
                if not opened:
                    self.open.pop(queue.id, None)
                await reader.stop()
                if reader.refusal is None:
                    await self._settler.abandon(session.unsettled())


class Session:
    """One stream: its deliveries in flight by number."""

    def __init__(
        self,
        *,
        queue: StoredQueue,
        group: str,
        credit: int,
        readers: Readers,
        settler: Settler,
        clock: Clock,
    ) -> None:
        self.credit = credit
        self._queue = queue
        self._group = group
        self._readers = readers
        self._settler = settler
        self._clock = clock
        self._flying: dict[int, Delivery] = {}
        self._last = 0
        # A delivery has timed out, and no request has come since.
        self._silent = False
        self._room = asyncio.Event()
        self._frames: asyncio.Queue[pb.ConsumeResponse | BaseException | None] = asyncio.Queue(
            FRAMES_MAX
        )

    @property
    def free(self) -> int:
        """The number of further deliveries that the consumer takes."""
        return 0 if self._silent else self.credit - len(self._flying)

    def unsettled(self) -> list[Delivery]:
        """Return the deliveries in flight."""
        return list(self._flying.values())

    async def run(
        self, reader: QueueReader, requests: AsyncIterator[pb.ConsumeRequest]
    ) -> AsyncGenerator[pb.ConsumeResponse, None]:
        """Yield responses until the client ends its side and all is settled, or either fails."""
        yield pb.ConsumeResponse(subscribed=True)
        tasks = (
            asyncio.create_task(self._guard(self._feed(reader))),
            asyncio.create_task(self._guard(self._receive(reader, requests), ends=True)),
            asyncio.create_task(self._guard(self._sweep(reader))),
        )
        try:
            while (frame := await self._frames.get()) is not None:
                if isinstance(frame, BaseException):
                    raise frame
                yield frame
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _guard(self, work: Awaitable[None], *, ends: bool = False) -> None:
        """Report the failure of a task, or the end of the client's side, to the stream."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 raised in the stream
            await self._frames.put(error)
        else:
            if ends:
                await self._frames.put(None)

    async def _feed(self, reader: QueueReader) -> None:
        while True:
            while self.free <= 0:
                self._room.clear()
                await self._room.wait()
            found = await self._readers.next_restored(
                reader, self._queue, self._group, self.free, WAIT_S
            )
            for frame in self._frames_of(found):
                await self._frames.put(frame)

    def _frames_of(self, found: Iterable[Delivery]) -> list[pb.ConsumeResponse]:
        """Note deliveries as in flight; return the frames with them."""
        frames: list[pb.ConsumeResponse] = []
        size = FRAME_BYTES_MAX
        for delivery in found:
            self._last += 1
            self._flying[self._last] = delivery
            message = delivery_message(delivery, number=self._last)
            if size >= FRAME_BYTES_MAX:
                frames.append(pb.ConsumeResponse())
                size = 0
            size += message.ByteSize()
            frames[-1].deliveries.append(message)
        return frames

    async def _receive(
        self, reader: QueueReader, requests: AsyncIterator[pb.ConsumeRequest]
    ) -> None:
        async for request in requests:
            if self._silent:
                self._silent = False
                await reader.start()
                self._room.set()
            if request.HasField("credit"):
                _check_credit(request.credit)
                self.credit = request.credit
                self._room.set()
            if request.acks or request.nacks or request.extends:
                reader.check_served()
                await self._settle(request)

    async def _settle(self, request: pb.ConsumeRequest) -> None:
        response = pb.ConsumeResponse()
        work = []
        for number in request.acks:
            if (delivery := self._claimed(number, response)) is not None:
                work.append((number, self._settler.ack(delivery)))
        for nack in request.nacks:
            if (delivery := self._claimed(nack.delivery, response)) is not None:
                work.append((nack.delivery, nacked(self._settler, delivery, nack)))
        for number in request.extends:
            if (delivery := self._flown(number, response)) is not None:
                work.append((number, self._settler.extend(delivery)))
        outcomes = await asyncio.gather(*(each for _, each in work), return_exceptions=True)
        for (number, _), outcome in zip(work, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            response.settled.append(number)
        self._room.set()
        await self._frames.put(response)

    def _claimed(self, number: int, response: pb.ConsumeResponse) -> Delivery | None:
        """Remove a delivery in flight; note a stale one in the response."""
        delivery = self._flown(number, response)
        self._flying.pop(number, None)
        return delivery

    def _flown(self, number: int, response: pb.ConsumeResponse) -> Delivery | None:
        delivery = self._flying.get(number)
        if delivery is None or delivery.visible_until_us <= self._clock.now_us():
            response.stale.append(number)
            return None
        return delivery

    async def _sweep(self, reader: QueueReader) -> None:
        """Forget deliveries that timed out; the server delivers them again.

        Their consumer may be cut off: it gets nothing more before its next request, so that it
        costs a message one attempt.
        """
        while True:
            now_us = self._clock.now_us()
            late = [n for n, each in self._flying.items() if each.visible_until_us <= now_us]
            for number in late:
                del self._flying[number]
            if late:
                self._silent = True
                await reader.stop()
            until_us = [each.visible_until_us for each in self._flying.values()]
            left_s = (min(until_us, default=now_us + 1_000_000) - now_us) / 1_000_000
            await asyncio.sleep(min(max(left_s, SWEEP_MIN_S), SWEEP_MAX_S))


async def nacked(settler: Settler, delivery: Delivery, nack: pb.Nack) -> None:
    """Apply a negative acknowledgment."""
    if nack.reject:
        await settler.reject(delivery, error=nack.error)
        return
    delay_ms = nack.delay_ms if nack.HasField("delay_ms") else None
    if delay_ms is not None:
        delay_ms = max(0, min(delay_ms, limits.DELAY_MS_MAX))
    await settler.nack(delivery, delay_ms=delay_ms, error=nack.error)


def delivery_message(delivery: Delivery, *, number: int = 0, receipt: str = "") -> pb.Delivery:
    return pb.Delivery(
        delivery=number,
        message=delivery.message,
        attempt=delivery.attempt,
        sequence=delivery.place.sequence,
        receipt=receipt,
        visible_until_us=delivery.visible_until_us,
        visible_ms=delivery.queue.config.visibility_timeout_ms,
    )


def _check_credit(credit: int) -> None:
    if credit > limits.CREDIT_MAX:
        raise _hello_invalid("credit", f"must be from 0 to {limits.CREDIT_MAX:,}")


def _hello_invalid(field: str, what: str) -> Invalid:
    violation = Violation(field, what, "HELLO_INVALID")
    return Invalid("HELLO_INVALID", f"{field}: {what}.", violations=(violation,))
