"""Bounds of the calls of one project for another, which pause together while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from flowmesh.runtime import Clock

CALLS_MAX = 20
"""Starts and stops in flight from one project to another."""

WAITS_MAX = 100
"""Children that one project awaits in another with a call that stays open; others are polled."""

AWAY_MS = 1_000
"""Time for which calls pause after one without an answer."""


class Route:
    """The calls of one project for another."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls = asyncio.Semaphore(CALLS_MAX)
        self._waits = asyncio.Semaphore(WAITS_MAX)
        self._away_until_ms = 0.0

    @property
    def is_crowded(self) -> bool:
        """True while each further wait has to queue."""
        return self._waits.locked()

    @asynccontextmanager
    async def taken(self, *, waits: bool) -> AsyncIterator[None]:
        """Enter when a call may be made."""
        async with self._waits if waits else self._calls:
            left_ms = self._away_until_ms - self._clock.monotonic_ms()
            if left_ms > 0:
                await asyncio.sleep(left_ms / 1000)
            yield

    def pause(self) -> None:
        """Pause all calls after one without an answer."""
        self._away_until_ms = self._clock.monotonic_ms() + AWAY_MS


class Routes:
    """The routes with calls, by the sending and the called project."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._routes: WeakValueDictionary[tuple[str, str], Route] = WeakValueDictionary()

    def of(self, source: str, project: str) -> Route:
        """Return the route between two projects."""
        found = self._routes.get((source, project))
        if found is None:
            found = self._routes[source, project] = Route(self._clock)
        return found
