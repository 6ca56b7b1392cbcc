"""Order of arrival kept across waits: callers continue in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Hashable
from typing import TypeVar

T = TypeVar("T")


class _Place:
    """A waiting caller. `ready` is set once it waits only for callers before it."""

    __slots__ = ("ready",)

    def __init__(self) -> None:
        self.ready: asyncio.Future[None] | None = None


class ArrivalOrder:
    """A queue of callers per name, kept only while it has callers."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[_Place]] = {}

    def __contains__(self, name: Hashable) -> bool:
        """Return whether a caller of this name waits, so that no other may overtake it."""
        return name in self._queues

    async def wait_in_order(self, name: Hashable, found: Awaitable[T]) -> T:
        """Return the result of `found` after all earlier callers of this name have continued.

        The code of the caller up to its next wait runs in that order too.
        """
        queue = self._queues.setdefault(name, deque())
        place = _Place()
        queue.append(place)
        try:
            value = await found
            if queue[0] is not place:
                place.ready = asyncio.get_running_loop().create_future()
                await place.ready
            return value
        finally:
            queue.remove(place)
            if queue:
                _wake(queue)
            else:
                del self._queues[name]


def _wake(queue: deque[_Place]) -> None:
    """Wake the first caller and all directly behind it that wait for nothing else.

    They wake in order, and stay in the queue until they do.
    """
    if queue[0].ready is None or queue[0].ready.done():
        return
    for place in queue:
        if place.ready is None:
            return
        if not place.ready.done():
            place.ready.set_result(None)
