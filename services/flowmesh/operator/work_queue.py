"""Keys that wait for a worker: each once, later after failures."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

from flowmesh.operator.limits import RETRY_MAX_S, RETRY_MIN_S

K = TypeVar("K")


class WorkQueue(Generic[K]):
    """A set of keys, each due at a time. A key that is being worked on waits for its end."""

    def __init__(self, *, now_s: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._now_s = now_s
        self._jitter = jitter
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._failures: dict[K, int] = {}
        self._working: set[K] = set()
        # Keys that were added during the work on them, with their delays.
        self._again: dict[K, float] = {}
        self._changed = asyncio.Event()
        self._count = 0

    def __len__(self) -> int:
        return len(self._due)

    @property
    def age_s(self) -> float:
        """The time for which the oldest due key waits."""
        return max((self._now_s() - due for due in self._due.values()), default=0.0)

    def add(self, key: K, *, after_s: float = 0.0) -> None:
        """Add a key, or bring it forward."""
        if key in self._working:
            self._again[key] = min(after_s, self._again.get(key, after_s))
            return
        due = self._now_s() + after_s
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        self._changed.set()

    async def take(self) -> K:
        """Return the next due key; `done` must follow."""
        while True:
            self._changed.clear()
            wait = None
            while self._heap:
                due, _, key = self._heap[0]
                if self._due.get(key) != due:
                    heapq.heappop(self._heap)  # brought forward, or taken
                    continue
                wait = due - self._now_s()
                if wait > 0:
                    break
                heapq.heappop(self._heap)
                del self._due[key]
                self._working.add(key)
                return key
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: K, *, failed: bool = False) -> None:
        """End the work on a key; a failed one comes again, later each time."""
        self._working.discard(key)
        again = self._again.pop(key, None)
        if failed:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = min(RETRY_MIN_S * 2 ** min(failures - 1, 32), RETRY_MAX_S)
            self.add(key, after_s=delay * (0.5 + self._jitter() / 2))
        else:
            self._failures.pop(key, None)
            if again is not None:
                self.add(key, after_s=again)
