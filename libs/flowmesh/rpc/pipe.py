"""The queue of messages between the two tasks of an in-process stream."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from flowmesh.rpc.limits import STREAM_MESSAGES_MAX

EOF = grpc.aio.EOF


class Pipe:
    """A bounded queue of messages with an end, for one reader."""

    def __init__(self, limit: int = STREAM_MESSAGES_MAX) -> None:
        self._items: deque[Any] = deque()
        self._limit = limit
        self._closed = False
        self._reader: asyncio.Future[None] | None = None
        self._writers: list[asyncio.Future[None]] = []

    async def put(self, message: Any) -> bool:
        """Add a message when there is room; return False if the pipe is closed."""
        while len(self._items) >= self._limit and not self._closed:
            waiter = asyncio.get_running_loop().create_future()
            self._writers.append(waiter)
            await waiter
        if self._closed:
            return False
        self._items.append(message)
        self._wake_reader()
        return True

    async def get(self) -> Any:
        """Return the next message; EOF after the last one."""
        while not self._items:
            if self._closed:
                return EOF
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        message = self._items.popleft()
        self._wake_writers()
        return message

    def close(self) -> None:
        """Close the pipe; queued messages can still be read."""
        self._closed = True
        self._wake_reader()
        self._wake_writers()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writers(self) -> None:
        for waiter in self._writers:
            if not waiter.done():
                waiter.set_result(None)
        self._writers.clear()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.get()) is not EOF:
            yield message
