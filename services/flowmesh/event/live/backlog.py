"""The pending items of a subscriber, bounded so that a slow subscriber affects only itself."""

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

from flowmesh.errors import Overloaded

EVENTS_MAX: Final = 1_000
BYTES_MAX: Final = 1024 * 1024

T = TypeVar("T")


class Backlog(Generic[T]):
    """Items for one reader; on overflow they are dropped and the reader gets an error."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._events = 0
        self._bytes = 0
        self._wake = asyncio.Event()
        self.overflowed = False

    def put(self, item: T, *, events: int, size: int) -> None:
        """Add an item without waiting. An empty backlog accepts an item of any size."""
        if self.overflowed:
            return
        full = self._events + events > EVENTS_MAX or self._bytes + size > BYTES_MAX
        if full and self._items:
            self.clear()
            self.overflowed = True
        else:
            self._items.append(item)
            self._events += events
            self._bytes += size
        self._wake.set()

    def clear(self) -> None:
        """Drop all items, and reset the overflow."""
        self._items.clear()
        self._events = self._bytes = 0
        self.overflowed = False

    async def take(self) -> list[T]:
        """Return all pending items, at least one. Raise SLOW_CONSUMER after an overflow."""
        while not self._items:
            if self.overflowed:
                raise Overloaded(
                    "SLOW_CONSUMER",
                    f"more than {EVENTS_MAX} events or {BYTES_MAX} bytes were pending;"
                    " resume from the last event received",
                )
            self._wake.clear()
            await self._wake.wait()
        taken = list(self._items)
        self.clear()
        return taken
