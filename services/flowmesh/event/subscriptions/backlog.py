"""What waits for one subscriber: bounded, so that who does not read slows only itself."""

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

from flowmesh.errors import Overloaded

EVENTS_MAX: Final = 1_000
BYTES_MAX: Final = 1024 * 1024

T = TypeVar("T")


class Backlog(Generic[T]):
    """Items for one reader; over the bound they are thrown away and the reader is told."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._events = 0
        self._bytes = 0
        self._wake = asyncio.Event()
        self.overflowed = False

    def put(self, item: T, *, events: int, size: int) -> None:
        """Never waits. An item that comes to an empty backlog is always taken."""
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
        """Forgets what waits, and that it was too much."""
        self._items.clear()
        self._events = self._bytes = 0
        self.overflowed = False

    async def take(self) -> list[T]:
        """Everything that waits, at least one item. Raises SLOW_CONSUMER after an overflow."""
        while not self._items:
            if self.overflowed:
                raise Overloaded(
                    "SLOW_CONSUMER",
                    f"more than {EVENTS_MAX} events or {BYTES_MAX} bytes waited;"
                    " resume from the last event received",
                )
            self._wake.clear()
            await self._wake.wait()
        taken = list(self._items)
        self.clear()
        return taken
