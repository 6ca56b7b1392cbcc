"""The NATS of the control cell: the bucket of the directory, whose changes may arrive late."""

from collections.abc import AsyncGenerator, Coroutine, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orjson

from flowmesh.bus import Message
from flowmesh.bus.consumer import no_acknowledgment
from flowmesh.errors import Unavailable
from tests.simulation.servers.loop import VirtualLoop, elapsed

if TYPE_CHECKING:
    from tests.simulation.cells.world import CellWorld

_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_CHANGED = {"error": {"err_code": 10071}}


def _unavailable() -> Unavailable:
    return Unavailable("SERVICE_UNAVAILABLE", "the message bus does not answer")


class Bucket:
    """The stored entries: of each subject the last one."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.away = False
        self.messages: list[tuple[str, bytes]] = []
        self.last: dict[str, int] = {}
        self._loop = loop
        self._waiting: list[Any] = []

    def put(self, subject: str, data: bytes) -> int:
        """Store an entry, and return its sequence."""
        self.messages.append((subject, data))
        self.last[subject] = len(self.messages)
        self.wake()
        return len(self.messages)

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def until_changed(self) -> None:
        future = self._loop.create_future()
        self._waiting.append(future)
        await future


class DirectoryBus:
    """The connection of a process; the interface of `Bus` as far as the directory uses it."""

    def __init__(self, world: "CellWorld") -> None:
        self._world = world
        self._bucket = world.bucket
        self.jetstream = self

    async def ensure_stream(
        self,
        name: str,
        subjects: Sequence[str],
        max_age_s: int,
        max_bytes: int,
        *,
        subject_messages_max: int,
    ) -> None:
        await self._arrived()

    async def request(self, request: Coroutine[Any, Any, Any]) -> Any:
        return await request

    async def stream_info(self, name: str) -> Any:
        await self._arrived()
        return SimpleNamespace(state=SimpleNamespace(last_seq=len(self._bucket.messages)))

    async def ask(self, subject: str, data: bytes, *, headers: dict[str, str]) -> Any:
        """Store an entry on a condition; the answer may be lost."""
        await self._arrived()
        bucket = self._bucket
        if int(headers[_EXPECTED]) != bucket.last.get(subject, 0):
            answer: dict[str, Any] = _CHANGED
        else:
            answer = {"seq": bucket.put(subject, data)}
            self._world.happened("entry", data.decode())
        if self._world.faults.loses_publish():
            raise _unavailable()
        await self._arrived()
        return SimpleNamespace(data=orjson.dumps(answer))

    async def last_message(self, stream: str, subject: str) -> Message | None:
        await self._arrived()
        sequence = self._bucket.last.get(subject)
        if sequence is None:
            return None
        return self._message(sequence)

    async def consume(self, stream: str, *, start_sequence: int) -> AsyncGenerator[Message, None]:
        """Yield the entries from a sequence on, each after a time of its own, in order."""
        bucket, sequence = self._bucket, start_sequence
        while True:
            if bucket.away or sequence > len(bucket.messages):
                await bucket.until_changed()
                continue
            if bucket.last[bucket.messages[sequence - 1][0]] == sequence:
                await elapsed(self._world.lateness())
                yield self._message(sequence)
            sequence += 1

    def _message(self, sequence: int) -> Message:
        subject, data = self._bucket.messages[sequence - 1]
        return Message(subject, data, {}, sequence, no_acknowledgment)

    async def _arrived(self) -> None:
        if self._bucket.away:
            raise _unavailable()
        await elapsed(self._world.latency())
        if self._bucket.away:
            raise _unavailable()
