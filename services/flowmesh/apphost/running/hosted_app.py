"""One application of the host: its process follows the row in the database."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowmesh.api.apphost.v1 import app_pb2 as pb
from flowmesh.apphost import limits
from flowmesh.apphost.running.folders import Folders
from flowmesh.apphost.running.log import AppLog
from flowmesh.apphost.running.module_types import ModuleTypes, names_in
from flowmesh.apphost.running.process import AppProcess
from flowmesh.apphost.running.sockets import Sockets, addresses_of, moved
from flowmesh.apphost.running.strangers import Strangers
from flowmesh.apphost.running.suites import Suites
from flowmesh.apphost.storage.contents import Contents
from flowmesh.apphost.storage.records import AppRow, FindingRow, Key
from flowmesh.apphost.storage.store import AppStore
from flowmesh.apps.release_process.conversation import Begin, Served
from flowmesh.contract.retries import backoff
from flowmesh.errors import FlowmeshError


@dataclass(slots=True)
class Crashes:
    """The ends of a process that were not asked for."""

    at: deque[float] = field(default_factory=deque)
    total: int = 0
    retry_at: float = 0.0

    def count(self, now: float) -> bool:
        """Count one; return whether they are a loop."""
        self.total += 1
        self.at.append(now)
        while self.at[0] < now - limits.CRASH_WINDOW_S:
            self.at.popleft()
        looping = len(self.at) >= limits.CRASHES_MAX
        pause = limits.CRASH_WINDOW_S if looping else backoff(2 * limits.RESTART_S, len(self.at))
        self.retry_at = now + pause
        return looping


class HostedApp:
    """Starts, replaces and stops the processes of an application, one step at a time."""

    def __init__(
        self,
        *,
        key: Key,
        store: AppStore,
        contents: Contents,
        folders: Folders,
        strangers: Strangers,
        host: str,
        closed: bool,
        suites: Suites,
        module_types: ModuleTypes,
        served: Callable[[Served], None],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key = key
        self.log = AppLog(folders.log)
        self._store, self._contents, self._folders = store, contents, folders
        self._strangers = strangers
        self._closed = closed
        self._suites, self._module_types = suites, module_types
        self._served = served
        self._changed = changed
        self._clock = clock
        self._sockets = Sockets(host)
        self._serving: AppProcess | None = None
        self._release = 0
        self._since = 0.0
        self._crashes = Crashes()
        # Replaced processes, with the tasks that drain them.
        self._leaving: dict[AppProcess, asyncio.Task[None]] = {}

    @property
    def data(self) -> Path:
        """The folder that the application writes to."""
        return self._folders.data

    @property
    def pid(self) -> int:
        return self._serving.pid if self._serving is not None and self._serving.alive else 0

    @property
    def restarts(self) -> int:
        return self._crashes.total

    def due_in(self) -> float | None:
        """Return the seconds until a crashed process is started again; None if none is."""
        left = self._crashes.retry_at - self._clock()
        return left if self._serving is None and left > 0 else None

    def needs(self, row: AppRow) -> bool:
        """Return whether the process differs from the row."""
        if row.deleted:
            return True
        if row.stopped:
            return self._serving is not None or row.state != pb.APP_STATE_STOPPED
        if row.pending:
            return True
        if self._serving is not None:
            return not self._serving.alive
        return bool(row.release) and self.due_in() is None

    async def settle(self, row: AppRow) -> None:
        """Bring the process in line with the row."""
        if row.deleted:
            await self._delete()
        elif row.stopped:
            await self._stop()
        elif row.pending:
            await self._take_over(row)
        elif self._serving is not None and not self._serving.alive:
            await self._crashed(row, f"its process ended {await self._serving.ending()}")
        elif self._serving is None and row.release:
            await self._restart(row)

    async def close(self, *, linger_s: float = 0.0, within_s: float = limits.STOP_S) -> None:
        """End all processes."""
        serving, self._serving = self._serving, None
        if serving is not None:
            await serving.drain(linger_s=linger_s, within_s=within_s)
        await asyncio.gather(*(each.kill() for each in list(self._leaving)))
        self._sockets.close()
        self.log.close()

    async def _take_over(self, row: AppRow) -> None:
        """Start the wanted release beside the serving one, and switch; else refuse it."""
        number = row.wanted
        if self._serving is None:
            await self._store.set_state(self.key, pb.APP_STATE_STARTING)
        try:
            process = await self._started(number, row)
        except FlowmeshError as error:
            self.log.note(number, "error", f"release {number} is refused: {error.message}")
            findings = [
                FindingRow(place=each.field, message=each.description, code=each.code)
                for each in error.violations
            ]
            problem = error.message[: limits.PROBLEM_CHARACTERS_MAX]
            await self._store.refuse(self.key, number, problem, findings)
            if self._serving is None and not row.release:
                await self._store.set_state(self.key, pb.APP_STATE_STOPPED, problem=problem)
            return
        before, self._serving = self._serving, process
        self._release, self._since, self._crashes = number, self._clock(), Crashes()
        if before is not None:
            self._leave(before)
        await asyncio.to_thread(self._folders.forget, {number, row.release})

    async def _restart(self, row: AppRow) -> None:
        """Start the serving release again: after a crash, a stop, or a restart of the host."""
        try:
            process = await self._started(row.release, row)
        except FlowmeshError as error:
            await self._crashed(row, f"it does not start again: {error.message}")
            return
        if not self._since:
            self._since = self._clock()
        self._serving, self._release = process, row.release

    async def _started(self, number: int, row: AppRow) -> AppProcess:
        """Return the process of a release that serves, recorded. Raises FlowmeshError."""
        content = await self._contents.load(self.key, number)
        release = await self._store.release(self.key, number)
        assert release is not None
        # Before they are asked for: a removal sees the use, or this start sees the removal.
        named = names_in(content)
        noted = await self._store.note_plugins(self.key, number, named)
        new = named if row.pending else noted
        document = await asyncio.to_thread(self._folders.write, number, content)
        process = await self._strangers.spawn(
            self._folders, document, lambda line: self._logged(number, line)
        )
        sockets: dict[str, Any] = {}
        try:
            built = await process.build(
                Begin(
                    app=self.key[1],
                    document=str(document),
                    data=str(self._folders.data),
                    environment=content.environment,
                    memory_bytes=limits.MEMORY_BYTES,
                    files_max=limits.OPEN_FILES_MAX,
                    egress=self._strangers.egress,
                    egress_allow=self._strangers.allowed,
                    closed=self._closed,
                    suite=await self._suites.of(self.key, content, release),
                    hidden=sorted(content.environment),
                    plugins=await self._module_types.of(self.key, content, new),
                )
            )
            reserved = await self._store.ports(self.key)
            sockets = self._sockets.bind(built.servers, reserved)
            await process.start(sockets, self._served)
            await self._store.take_over(
                self.key,
                number,
                addresses=addresses_of(sockets),
                pid=process.pid,
                restarts=self._crashes.total,
                warnings=built.warnings,
                plugins=built.plugins,
                problem=moved(built.servers, sockets, reserved),
            )
        except BaseException:
            self._sockets.discard(sockets)
            await process.kill()
            raise
        # From here on a restart of the host starts this release.
        self._sockets.keep(built.servers, sockets)
        self.log.note(number, "info", f"release {number} serves as process {process.pid}")
        process.exited.add_done_callback(lambda _: self._changed())
        return process

    async def _crashed(self, row: AppRow, how: str) -> None:
        """Plan the next start; a young release in a crash loop gives way to the one before it."""
        looping = self._crashes.count(self._clock())
        self._serving = None
        self.log.note(row.release, "error", f"release {row.release}: {how}")
        problem = f"release {row.release}: {how}"[: limits.PROBLEM_CHARACTERS_MAX]
        young = self._since > 0 and self._clock() - self._since < limits.YOUNG_S
        before = await self._store.previous(self.key, row.release) if looping and young else 0
        if before:
            text = f"CRASH_LOOP: {how}; release {before} serves again"
            await self._store.refuse(self.key, row.release, text)
            await self._store.restore(self.key, before)
            self._crashes, self._since = Crashes(), 0.0
            return
        state = pb.APP_STATE_CRASHING if looping else pb.APP_STATE_STARTING
        total = self._crashes.total
        await self._store.set_state(
            self.key, state, problem=problem, addresses=row.addresses, restarts=total
        )

    async def _stop(self) -> None:
        if self._serving is not None:
            self.log.note(self._release, "info", "the application is stopped")
        await self.close(linger_s=limits.LINGER_S, within_s=limits.DRAIN_S)
        await self._store.set_state(self.key, pb.APP_STATE_STOPPED)

    async def _delete(self) -> None:
        await self.close()
        await self._suites.revoke(self.key)
        await asyncio.to_thread(self._folders.remove)
        await self._store.remove(self.key)

    def _leave(self, process: AppProcess) -> None:
        """Drain a replaced process in the background."""
        draining = process.drain(
            linger_s=limits.LINGER_S, within_s=limits.DRAIN_S, runs_s=limits.RUNS_S
        )
        task = asyncio.create_task(draining)
        self._leaving[process] = task
        task.add_done_callback(lambda _: self._leaving.pop(process))

    def _logged(self, number: int, line: bytes) -> None:
        self.log.take(number, line)
