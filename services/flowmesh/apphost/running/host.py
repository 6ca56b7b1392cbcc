"""The loop that runs the applications of the installation."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from flowmesh.apphost.running.hosted_app import HostedApp
from flowmesh.apphost.running.log import AppLog
from flowmesh.apphost.storage.records import AppRow, Key
from flowmesh.apphost.storage.store import AppStore, Leadership
from flowmesh.errors import Unavailable
from flowmesh.runtime.loop import Loop

# Another instance may have ended.
STANDBY_MS = 2_000
RETRY_MS = 1_000


class HostLoop(Loop):
    """Compares the applications with their rows, and settles those that differ.

    One instance of the service leads; the others wait until its lock is free.
    """

    interval_ms: ClassVar[int] = 30_000
    jitter: ClassVar[float] = 0.0

    def __init__(
        self,
        *,
        store: AppStore,
        leadership: Leadership,
        hosted: Callable[[Key, Callable[[], None]], HostedApp],
        log: Any,
    ) -> None:
        self._store, self._leadership, self._hosted = store, leadership, hosted
        self._log = log
        self._apps: dict[Key, HostedApp] = {}
        self._busy: dict[Key, asyncio.Task[None]] = {}
        self._leads = False
        self._failed = False
        self._closed = False

    async def lead(self) -> bool:
        """Return whether this instance leads; a new leader finds no process running."""
        led, self._leads = self._leads, not self._closed and await self._leadership.held()
        if self._leads and not led:
            await self._store.forget_processes()
        return self._leads

    async def run_once(self) -> int:
        """Start to settle the applications that differ; return their number."""
        self._failed = False
        if not await self.lead():
            await self._close_all()
            return 0
        rows = {row.key: row for row in await self._store.all_apps()}
        count = 0
        for key, row in rows.items():
            if key not in self._busy and self._app(key).needs(row):
                self._busy[key] = asyncio.create_task(self._settle(self._app(key), row))
                count += 1
        for key in self._apps.keys() - rows.keys() - self._busy.keys():
            await self._apps.pop(key).close()
        return count

    def pause_ms(self) -> float:
        if not self._leads:
            return STANDBY_MS
        due = [each.due_in() for each in self._apps.values()]
        soonest = min((each * 1_000 for each in due if each is not None), default=self.interval_ms)
        return min(soonest, RETRY_MS if self._failed else self.interval_ms)

    async def drain(self) -> None:
        """End all processes; nothing is started any more."""
        self._closed = True
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
        await self._close_all()
        await self._leadership.release()

    def log_of(self, key: Key) -> AppLog:
        """Return the log of an application. Raises Unavailable on a standby instance."""
        return self._led(key).log

    def data_of(self, key: Key) -> Path:
        """Return the folder of an application. Raises Unavailable on a standby instance."""
        return self._led(key).data

    def _led(self, key: Key) -> HostedApp:
        if not self._leads:
            text = "another instance of the host runs the applications; ask again"
            raise Unavailable("APP_HOST_STANDBY", text, retry_after_ms=STANDBY_MS)
        return self._app(key)

    def _app(self, key: Key) -> HostedApp:
        found = self._apps.get(key)
        if found is None:
            found = self._apps[key] = self._hosted(key, self.wake)
        return found

    async def _settle(self, app: HostedApp, row: AppRow) -> None:
        try:
            await app.settle(row)
        except Exception as error:  # noqa: BLE001 - the next round tries again
            self._failed = True
            self._log.warning("app_not_settled", app=row.app, exc_info=error)
        finally:
            del self._busy[app.key]
        self.wake()

    async def _close_all(self) -> None:
        apps = list(self._apps.values())
        self._apps.clear()
        await asyncio.gather(*(each.close() for each in apps))
