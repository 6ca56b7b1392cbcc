"""The refresh of triggers in memory, and the end of expired rows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from flowmesh.event.triggers.firing import FiringLoop
from flowmesh.event.triggers.listeners import ListenerLoop
from flowmesh.event.triggers.published import LifecycleTriggers
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.runtime import Clock, Loop

FORGET_EVERY_S: Final = 3_600.0


class TriggerMaintenanceLoop(Loop):
    """Refreshes triggers in memory after changes, and deletes expired rows every hour."""

    interval_ms = 1

    def __init__(
        self,
        *,
        store: TriggerStore,
        lifecycle: LifecycleTriggers,
        firing: FiringLoop,
        listeners: ListenerLoop,
        on_change: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._firing = firing
        self._listeners = listeners
        self._on_change = on_change
        self._clock = clock
        self._forget_at_ms = clock.monotonic_ms() + FORGET_EVERY_S * 1_000
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Wake the loop: triggers have changed, or another event service has stopped."""
        self._changed.set()

    async def run_once(self) -> None:
        """Wait for a change or for an hour, then refresh and wake the other loops."""
        left_ms = self._forget_at_ms - self._clock.monotonic_ms()
        try:
            async with asyncio.timeout(max(0.0, left_ms / 1_000)):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()
        try:
            await self.refresh()
        except BaseException:
            self._changed.set()
            raise
        if self._clock.monotonic_ms() >= self._forget_at_ms:
            self._forget_at_ms = self._clock.monotonic_ms() + FORGET_EVERY_S * 1_000
            await self._store.delete_expired()

    async def refresh(self) -> None:
        """Use the stored triggers from now on: removed ones start nothing afterwards."""
        await self._lifecycle.load()
        await self._on_change()
        self._firing.notify()
        self._listeners.notify()
        await self._firing.until_started()
