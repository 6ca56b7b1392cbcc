"""Background task of the observe service: partitions, retention, sums by the hour."""

from collections.abc import Callable

from flowmesh.observe.store import Retention, SignalStore, day_of
from flowmesh.runtime import Loop


class KeepingLoop(Loop):
    """Makes partitions ahead, drops old ones, and sums hours that have ended."""

    interval_ms = 60_000

    def __init__(
        self, *, store: SignalStore, retention: Retention, now_us: Callable[[], int]
    ) -> None:
        self._store = store
        self._retention = retention
        self._now_us = now_us

    async def run_once(self) -> int:
        """Return the number of dropped partitions."""
        now_us = self._now_us()
        dropped = await self._store.keep(self._retention, day_of(now_us))
        await self._store.add_hours(now_us)
        return dropped
