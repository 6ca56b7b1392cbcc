"""Single publishes that run at the same time, sent in common calls."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.sdk.values.messages import PublishOutcome

CALLS_MAX: Final = 4
BATCH_MESSAGES: Final = 500
BATCH_BYTES: Final = 2 * 1024 * 1024

Key = tuple[str, bool]
"""An exchange, and whether its messages are mandatory."""
Send = Callable[[Key, list[message_pb2.Message]], Awaitable[Sequence[PublishOutcome]]]
_Waiting = deque[tuple[message_pb2.Message, "asyncio.Future[PublishOutcome]"]]


class Coalescer:
    """Sends a message at once, or with the next call if four calls to its exchange are open."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: dict[Key, _Waiting] = {}
        self._calls: dict[Key, set[asyncio.Task[None]]] = {}

    async def publish(self, key: Key, message: message_pb2.Message) -> PublishOutcome:
        """Return the outcome of a message. Raises the error of its call."""
        done: asyncio.Future[PublishOutcome] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append((message, done))
        calls = self._calls.setdefault(key, set())
        if len(calls) < CALLS_MAX:
            task = asyncio.create_task(self._drain(key), name="flowmesh-publish")
            calls.add(task)
        return await done

    async def _drain(self, key: Key) -> None:
        """Send what waits, call by call."""
        waiting, calls = self._waiting[key], self._calls[key]
        try:
            while waiting:
                await self._call(key, waiting)
        finally:
            task = asyncio.current_task()
            if task is not None:
                calls.discard(task)
            if not calls and not waiting:
                self._waiting.pop(key, None)
                self._calls.pop(key, None)

    async def _call(self, key: Key, waiting: _Waiting) -> None:
        taken, size = [waiting.popleft()], 0
        while waiting and len(taken) < BATCH_MESSAGES:
            size += len(taken[-1][0].body)
            if size + len(waiting[0][0].body) > BATCH_BYTES:
                break
            taken.append(waiting.popleft())
        try:
            outcomes = await self._send(key, [message for message, _ in taken])
        except BaseException as error:
            for _, done in taken:
                if not done.done():
                    done.set_exception(error) if isinstance(error, Exception) else done.cancel()
            if not isinstance(error, Exception):
                raise
            return
        for (_, done), outcome in zip(taken, outcomes, strict=True):
            if not done.done():
                done.set_result(outcome)
