"""A proxy between a service and its server that loses, delays and cuts on purpose.

It passes bytes until it is told otherwise. With a protocol it knows frames, so that exactly one
reply can be lost: PostgreSQL's answer to one statement, or the acknowledgement of one publish.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from flowmesh.testing.polling import pause

READ_BYTES = 1 << 18
UP, DOWN = "to the server", "to the client"


class Frames(Protocol):
    """Cuts what comes into frames; one object per connection and direction."""

    def feed(self, data: bytes) -> list[bytes]: ...


class Whole:
    """No protocol: what comes is a frame."""

    def feed(self, data: bytes) -> list[bytes]:
        return [data]


@dataclass(slots=True, eq=False)
class Connection:
    """One client. `notes` is what was seen before, for rules; `cut` resets both sides."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    notes: dict[str, str] = field(default_factory=dict)
    # What the client is told no more, while the server still hears what is held for it.
    client_gone: bool = False

    def cut(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()

    def cut_client(self) -> None:
        self.client_gone = True
        self.client.transport.abort()


Rule = Callable[[Connection, str, bytes], Awaitable[bool]]
"""Sees each frame with its direction; False loses it. It may wait, or cut the connection."""


class Proxy:
    """Listens where `path` or `port` says and passes on to `target`; an async context manager."""

    def __init__(
        self,
        target: str | tuple[str, int],
        *,
        path: Path | None = None,
        up: Callable[[], Frames] = Whole,
        down: Callable[[], Frames] = Whole,
        notes: Callable[[Connection, str, bytes], None] | None = None,
    ) -> None:
        self._target = target
        self._note = notes
        self._path = path
        self._frames = {UP: up, DOWN: down}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: dict[str, asyncio.Event] = {UP: asyncio.Event(), DOWN: asyncio.Event()}
        self.connections: set[Connection] = set()
        self.rules: list[Rule] = []
        self.delay_s = 0.0
        self.refuses = False
        self.port = 0
        self.heal()

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._accept, self._path)
            self._path.chmod(0o777)
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def target_port(self) -> int:
        """The port behind it, where that is no socket."""
        assert not isinstance(self._target, str)
        return self._target[1]

    # --- what can be done to it ---

    def hole(self, *directions: str) -> None:
        """Nothing gets through in these directions, both unless named, and nobody is told."""
        for direction in directions or (UP, DOWN):
            self._open[direction].clear()

    def heal(self) -> None:
        """Everything gets through again: what was held, too, as TCP would send it again."""
        for gate in self._open.values():
            gate.set()
        self.delay_s, self.refuses = 0.0, False
        self.rules.clear()

    def cut(self) -> int:
        """Resets every connection; returns how many there were."""
        cut = list(self.connections)
        for connection in cut:
            connection.cut()
        return len(cut)

    # --- connections ---

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            if isinstance(self._target, str):
                far_reader, far_writer = await asyncio.open_unix_connection(self._target)
            else:
                far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        connection = Connection(writer, far_writer)
        self.connections.add(connection)
        up = asyncio.create_task(self._pass(connection, UP, reader, far_writer))
        down = asyncio.create_task(self._pass(connection, DOWN, far_reader, writer))
        self._tasks |= {up, down}
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if connection.client_gone:
                # The server still gets what is held, and answers nobody.
                await asyncio.wait((up,))
        finally:
            for task in (up, down):
                task.cancel()
            self._tasks -= {up, down}
            self.connections.discard(connection)
            connection.cut()

    async def _pass(
        self,
        connection: Connection,
        direction: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        frames = self._frames[direction]()
        with suppress(ConnectionError):
            while data := await reader.read(READ_BYTES):
                for frame in frames.feed(data):
                    if self._note is not None:
                        self._note(connection, direction, frame)
                    if self.delay_s:
                        await pause(self.delay_s)
                    await self._open[direction].wait()
                    passes = [await rule(connection, direction, frame) for rule in self.rules]
                    if all(passes):
                        writer.write(frame)
                await writer.drain()
