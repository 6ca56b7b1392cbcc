"""A supervised server process: started, restarted after a crash, stopped on request."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import structlog

from flowmesh.embedded.errors import ServerFailed

RESTART_DELAY_MIN_S = 0.1
RESTART_DELAY_MAX_S = 5.0
# After this lifetime the restart delay is reset to its minimum.
STEADY_S = 10.0
LOG_BYTES_MAX = 8 * 1024 * 1024
LAUNCHER = Path(__file__).with_name("launch.py")


def plain_environment() -> dict[str, str]:
    """Return the environment of a server, without variables of this process."""
    return {"PATH": os.defpath, "LANG": "C", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class RunAs:
    """The user of a server; `read_anywhere` if the program is in a folder closed to that user."""

    uid: int = -1
    gid: int = -1
    read_anywhere: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run, with its readiness check; `folder` is its working directory."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    log: Path
    ready: Callable[[], Awaitable[bool]]
    before_start: Callable[[], None]
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    run_as: RunAs = field(default_factory=RunAs)
    environment: dict[str, str] = field(default_factory=plain_environment)
    ready_timeout_s: float = 30.0
    stop_timeout_s: float = 4.0
    poll_s: float = 0.01


def launch_argv(program: tuple[str, ...], run_as: RunAs, death_signal: int) -> tuple[str, ...]:
    """Return the command line of a program that dies with this process."""
    words = (os.getpid(), int(death_signal), run_as.uid, run_as.gid, int(run_as.read_anywhere))
    return (sys.executable, "-I", "-S", str(LAUNCHER), *map(str, words), *program)


class Child:
    """A program that is restarted until it is stopped."""

    def __init__(self, program: Program, on_spawn: Callable[[], None]) -> None:
        self.program = program
        self.restarts = 0
        self._on_spawn = on_spawn
        self._log = structlog.get_logger("flowmesh.embedded").bind(server=program.name)
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._wanted = False
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The pid of the running server; 0 while it is down."""
        process = self._process
        return process.pid if process and process.returncode is None else 0

    async def start(self) -> None:
        """Start the server and wait until it is ready; raises ServerFailed."""
        self._wanted = True
        await self._spawn()
        try:
            await self._until_started()
        except BaseException:
            await self.stop()
            raise
        self._watch = asyncio.create_task(self._supervise(), name=f"watch-{self.program.name}")

    async def stop(self) -> None:
        """Stop the server by its stop signal, or by SIGKILL after the timeout."""
        self._wanted = False
        self._ready.clear()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        process = self._process
        if process is None or process.returncode is not None:
            return
        self.send(self.program.stop_signal)
        try:
            async with asyncio.timeout(self.program.stop_timeout_s):
                await process.wait()
        except TimeoutError:
            self._log.warning("server_killed", after_s=self.program.stop_timeout_s)
            self.send(signal.SIGKILL)
            await process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server; no effect if it has ended."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def until_ready(self) -> None:
        """Wait until the server is ready, also after a restart."""
        await self._ready.wait()

    def mark_down(self) -> None:
        """Make `until_ready` wait for the next start."""
        self._ready.clear()

    async def _spawn(self) -> None:
        program = self.program
        await asyncio.to_thread(program.before_start)
        argv = launch_argv(program.argv, program.run_as, program.death_signal)
        with open_log(program.log) as log:
            self._process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=program.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=program.environment,
                start_new_session=True,
            )
        self._on_spawn()

    async def _until_started(self) -> None:
        started = time.monotonic()
        while not await self.program.ready():
            if self.pid == 0 or time.monotonic() - started > self.program.ready_timeout_s:
                raise ServerFailed(
                    f"{self.program.name} did not start: {last_lines(self.program.log)}"
                )
            await asyncio.sleep(self.program.poll_s)
        self._ready.set()

    async def _supervise(self) -> None:
        delay = RESTART_DELAY_MIN_S
        while self._wanted and self._process is not None:
            started = time.monotonic()
            code = await self._process.wait()
            self._ready.clear()
            if time.monotonic() - started > STEADY_S:
                delay = RESTART_DELAY_MIN_S
            self._log.error("server_died", code=code, restart_in_s=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, RESTART_DELAY_MAX_S)
            self.restarts += 1
            try:
                await self._spawn()
                await self._until_started()
            except (ServerFailed, OSError) as error:
                self._log.error("server_restart_failed", problem=str(error))
                self.send(signal.SIGKILL)
            else:
                self._log.info("server_restarted", pid=self.pid)


def open_log(path: Path) -> BinaryIO:
    """Open a log for appending; an oversized log is truncated."""
    path.parent.mkdir(exist_ok=True)
    oversized = path.exists() and path.stat().st_size > LOG_BYTES_MAX
    return path.open("wb" if oversized else "ab")


def last_lines(path: Path, lines: int = 5) -> str:
    """Return the last lines of a server log as one line."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return f"see {path}"
    return " | ".join(text.strip().splitlines()[-lines:]) or f"see {path}"
