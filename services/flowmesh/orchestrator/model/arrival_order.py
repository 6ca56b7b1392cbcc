"""Order kept over waits: who came first goes on first, whatever each of them was held up by."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Hashable
from typing import TypeVar

Found = TypeVar("Found")


class _Place:
    """One that is held up; `comes` is there once it waits for nothing but those before it."""

    __slots__ = ("ready",)

    def __init__(self) -> None:
        self.ready: asyncio.Future[None] | None = None


class ArrivalOrder:
    """A queue per name, kept only as long as somebody is in it."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[_Place]] = {}

    def __contains__(self, name: Hashable) -> bool:
        """Whether somebody of this name is held up, so that nobody may pass."""
        return name in self._queues

    async def wait_in_order(self, name: Hashable, found: Awaitable[Found]) -> Found:
        """What is found, once everybody of this name who came before has gone on, or has failed.

        Whatever the caller does before it waits again is done in that order too.
        """
        queue = self._queues.setdefault(name, deque())
        turn = _Place()
        queue.append(turn)
        try:
            value = await found
            if queue[0] is not turn:
                turn.ready = asyncio.get_running_loop().create_future()
                await turn.ready
            return value
        finally:
            queue.remove(turn)
            if queue:
                _call(queue)
            else:
                del self._queues[name]


def _call(queue: deque[_Place]) -> None:
    """Wakes the first, and with it all behind it that wait for nothing else; they wake in order,
    and stand in the queue until they have.
    """
    if queue[0].ready is None or queue[0].ready.done():
        return
    for turn in queue:
        if turn.ready is None:
            return
        if not turn.ready.done():
            turn.ready.set_result(None)
