"""NATS as processes reach it: one stream, deduplicated by message id; its store can be lost."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from flowmesh.api.history.v1.history_service_pb2 import EventBatch
from flowmesh.bus import Ack, Message
from flowmesh.bus.bus import DUPLICATE_WINDOW_S
from flowmesh.bus.consumer import no_acknowledgment
from flowmesh.errors import Unavailable
from flowmesh.event.intake.stream import StreamState
from tests.simulation.actors.faults import Faults
from tests.simulation.servers.loop import Process, VirtualLoop, elapsed


def _unavailable() -> Unavailable:
    return Unavailable("SERVICE_UNAVAILABLE", "the message bus does not answer")


@dataclass(slots=True)
class _Stored:
    subject: str
    data: bytes
    msg_id: str
    at_s: float


class Nats:
    """The server and its one stream."""

    def __init__(self, loop: VirtualLoop, faults: Faults) -> None:
        self.loop, self.faults = loop, faults
        self.away = False
        self.made_us = 0
        self.messages: list[_Stored] = []
        self.clients: list[SimulatedBus] = []
        self._changed: list[asyncio.Future[None]] = []
        self.published = 0

    def go_away(self) -> None:
        self.away = True
        self._wake()

    def come_back(self, *, store_lost: bool) -> None:
        """Answers again; without its store the stream has to be made anew."""
        self.away = False
        if store_lost:
            self.messages = []
            self.made_us = 0
        for client in self.clients:
            client.process.call(client.connected)
        self._wake()

    def ensure(self) -> None:
        if not self.made_us:
            self.made_us = int(self.loop.time() * 1e6) + 1

    def store(self, subject: str, data: bytes, msg_id: str) -> Ack:
        now_s = self.loop.time()
        for number in range(len(self.messages) - 1, -1, -1):
            known = self.messages[number]
            if now_s - known.at_s > DUPLICATE_WINDOW_S:
                break
            if known.msg_id == msg_id:
                return Ack("EVENTS", number + 1, duplicate=True)
        self.messages.append(_Stored(subject, data, msg_id, now_s))
        self.published += 1
        self._wake()
        return Ack("EVENTS", len(self.messages), duplicate=False)

    async def until_changed(self) -> None:
        future: asyncio.Future[None] = self.loop.create_future()
        self._changed.append(future)
        await future

    def _wake(self) -> None:
        waiting, self._changed = self._changed, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class SimulatedBus:
    """The connection of one process; the interface of `flowmesh.bus.Bus` as far as it is used."""

    def __init__(self, nats: Nats, process: Process) -> None:
        self._nats, self.process = nats, process
        self._callbacks: list[Callable[[], Awaitable[None]]] = []
        nats.clients.append(self)
        process.on_death.append(lambda: nats.clients.remove(self))

    def on_reconnect(self, callback: Callable[[], Awaitable[None]]) -> None:
        self._callbacks.append(callback)

    def connected(self) -> None:
        """The connection is there (again)."""
        for callback in self._callbacks:
            self.process.spawn(self._run(callback))

    async def _run(self, callback: Callable[[], Awaitable[None]]) -> None:
        try:
            await callback()
        except Unavailable:
            return

    async def until_connected(self) -> None:
        while self._nats.away:
            await self._nats.until_changed()

    async def ensure_stream(self, name: str, subjects: Any, max_age_s: int, max_bytes: int) -> None:
        await self._arrived()
        self._nats.ensure()
        await self._arrived()

    async def publish(self, subject: str, data: bytes, *, msg_id: str = "") -> Ack:
        await self._arrived()
        if not self._nats.made_us:
            raise _unavailable()
        ack = self._nats.store(subject, data, msg_id)
        if self._nats.faults.loses_publish():
            raise _unavailable()
        await self._arrived()
        return ack

    async def last_message(self, stream: str, subject: str) -> Message | None:
        await self._arrived()
        if not self._nats.made_us:
            raise _unavailable()
        messages = self._nats.messages
        found = [n for n, stored in enumerate(messages) if stored.subject == subject]
        answer = None
        if found:
            answer = Message(
                subject, messages[found[-1]].data, {}, found[-1] + 1, no_acknowledgment
            )
        await self._arrived()
        return answer

    async def _arrived(self) -> None:
        """A message goes one way; fails when the server is away at either end of it."""
        if self._nats.away:
            raise _unavailable()
        made_us = self._nats.made_us
        await elapsed(self._nats.faults.latency())
        if self._nats.away or (made_us and self._nats.made_us != made_us):
            raise _unavailable()


class SimulatedEventStream:
    """The stream as the event service reads it; the interface of `event.stream.EventStream`."""

    name = "EVENTS"

    def __init__(self, nats: Nats, bus: SimulatedBus) -> None:
        self._nats = nats
        self.bus = bus

    async def ensure(self) -> None:
        await self.bus.ensure_stream(self.name, (), 0, 0)

    def batch(self, data: bytes) -> EventBatch:
        return EventBatch.FromString(data)

    async def state(self) -> StreamState:
        await self.bus._arrived()
        if not self._nats.made_us:
            raise _unavailable()
        return StreamState(self._nats.made_us, 1, len(self._nats.messages))

    async def messages(self, start_sequence: int) -> AsyncGenerator[Message, None]:
        """All messages from the sequence on, for ever; a stream made anew from its first."""
        nats, made_us = self._nats, self._nats.made_us
        next_sequence = max(1, start_sequence)
        while True:
            if nats.made_us != made_us:
                made_us, next_sequence = nats.made_us, 1
            if nats.away or next_sequence > len(nats.messages):
                await nats.until_changed()
                continue
            stored = nats.messages[next_sequence - 1]
            next_sequence += 1
            await elapsed(nats.faults.latency())
            yield Message(stored.subject, stored.data, {}, next_sequence - 1, no_acknowledgment)
