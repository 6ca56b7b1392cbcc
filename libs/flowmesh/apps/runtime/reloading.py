"""Reloads of an application whose files change: the new one takes over the sockets of the old."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from flowmesh.apps.messaging.messages import reason_of
from flowmesh.apps.runtime.application import Application

QUIET_MS = 200
LINGER_S = 1.0


class Reloading:
    """A running application that is replaced by what its files say. A broken file changes nothing.

    Both run for the time of a change, so that no request is refused; values in memory do not move.
    """

    def __init__(
        self,
        application: Application,
        make: Callable[[], Application],
        report: Callable[[str], None],
    ) -> None:
        self._application = application
        self._make = make
        self._report = report

    @property
    def application(self) -> Application:
        return self._application

    async def watch(self) -> None:
        """Reload after each change of the files, until it is cancelled."""
        async for _ in changes_of(self.files):
            await self.reload()

    def files(self) -> set[Path]:
        """Return the files of the application, and the folders that it may read from."""
        return {each.path.resolve() for each in self._application.built.document.files}

    async def reload(self) -> bool:
        """Start the application as its files are now; return whether it took over."""
        old = self._application
        try:
            new = self._make()
            await new.start(sockets=old.sockets())
        except Exception as error:  # noqa: BLE001 - the old one stays
            self._report(f"not reloaded, the old configuration stays: {reason_of(error)}")
            return False
        self._application = new
        await old.stop(linger_s=LINGER_S)
        self._report(f"reloaded {new.name}")
        return True


async def changes_of(files: Callable[[], set[Path]]) -> AsyncIterator[None]:
    """Yield after changes of files; changes in quick succession count once."""
    from watchfiles import awatch

    while True:
        watched = files()
        folders = {each.parent for each in watched}
        names = {str(each) for each in watched}
        stop = asyncio.Event()
        async with contextlib.aclosing(
            awatch(*folders, debounce=QUIET_MS, step=QUIET_MS // 4, stop_event=stop)
        ) as found:
            async for changes in found:
                if any(path in names for _, path in changes):
                    yield
                    if files() != watched:
                        break
