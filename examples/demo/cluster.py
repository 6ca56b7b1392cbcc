"""The cluster under test: `flowmesh cluster` as a child that the demo kills and restarts."""

import asyncio
import json
import signal
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from flowmesh.embedded.child import RunAs, launch_argv
from flowmesh.embedded.ports import free_ports

ROOT: Final = Path(__file__).resolve().parents[2]
READY_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0
DEATH_TIMEOUT_S: Final = 5.0
POLL_S: Final = 0.02
LAST_LINES: Final = 40
# More than the cluster has members. Below the ephemeral ports, so that no connection takes them
# during a restart.
PORTS_PER_KIND: Final = 20


class ClusterFailed(Exception):
    """The cluster did not start or stop; the message has the end of its output."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The first port of each kind; the members of the cluster use them in order."""

    http: int
    grpc: int


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill: its interval, until all processes were dead, and their pids."""

    begun: datetime
    ended: datetime
    pids: tuple[int, ...]


def tied(*argv: str) -> tuple[str, ...]:
    """Return the command line of a Python program that dies with this process."""
    return launch_argv((sys.executable, *argv), RunAs(), signal.SIGKILL)


class Cluster:
    """A cluster on fixed ports: two orchestrators, two workers, other services, servers."""

    def __init__(self, data_dir: Path, log: Path) -> None:
        self.data_dir = data_dir
        first = free_ports(2 * PORTS_PER_KIND)
        self.ports = Ports(first, first + PORTS_PER_KIND)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._seen: dict[int, psutil.Process] = {}

    @property
    def http_url(self) -> str:
        """The URL of REST."""
        return f"http://127.0.0.1:{self.ports.http}"

    @property
    def grpc_address(self) -> str:
        """The address of the gateway for gRPC clients."""
        return f"127.0.0.1:{self.ports.grpc}"

    def pid(self, name: str) -> int:
        """Return the current pid of a process."""
        members = json.loads((self.data_dir / "cluster.json").read_text())["processes"]
        return next(int(member["pid"]) for member in members if member["name"] == name)

    async def start(self) -> None:
        """Start the cluster and wait until every process is ready."""
        argv = tied(
            *("-m", "flowmesh.suite", "cluster", "--data-dir", str(self.data_dir)),
            *("--http-port", str(self.ports.http), "--grpc-port", str(self.ports.grpc)),
            *("--egress", "open", "--auth", "open"),
        )
        with self._log.open("ab") as log:
            # A separate session, so that Ctrl-C reaches only the demo, which stops the cluster.
            self._process = await asyncio.create_subprocess_exec(
                *argv, stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True
            )
        ready = asyncio.Event()
        self._reader = asyncio.create_task(self._read(ready))
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await ready.wait()
        except TimeoutError:
            raise ClusterFailed(f"not ready after {READY_TIMEOUT_S:g} s: {self._end()}") from None
        if self._process.returncode is not None:
            raise ClusterFailed(self._end())
        await asyncio.to_thread(self._look)

    async def kill(self, name: str) -> Kill:
        """Kill one process with SIGKILL; the cluster restarts it."""
        await asyncio.to_thread(self._look)
        victim = psutil.Process(self.pid(name))
        begun = datetime.now(UTC)
        victim.kill()
        await self._dead([victim])
        return Kill(begun, datetime.now(UTC), (victim.pid,))

    async def kill_all(self) -> Kill:
        """Kill all processes, including servers, with SIGKILL, and wait for their end."""
        await asyncio.to_thread(self._look)
        alive = self.alive()
        begun = datetime.now(UTC)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await self._dead(alive)
        await self._ended()
        return Kill(begun, datetime.now(UTC), tuple(process.pid for process in alive))

    async def stop(self) -> None:
        """Stop the cluster as Ctrl-C does; kill the processes that remain."""
        process = self._process
        if process is None:
            return
        await asyncio.to_thread(self._look)
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                await self.kill_all()
        await self._ended()

    def alive(self) -> list[psutil.Process]:
        """Return the running processes of this cluster, including those of earlier starts."""
        return [process for process in self._seen.values() if _runs(process)]

    async def _dead(self, victims: list[psutil.Process]) -> None:
        try:
            async with asyncio.timeout(DEATH_TIMEOUT_S):
                while any(map(_runs, victims)):  # noqa: ASYNC110 (only parents can wait for them)
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            left = [process for process in victims if _runs(process)]
            raise ClusterFailed(f"kill -9 did not end {left}") from None

    async def _ended(self) -> None:
        if self._process is not None:
            await self._process.wait()
        if self._reader is not None:
            await self._reader

    def _look(self) -> None:
        """Record every process below the cluster by pid and start time."""
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(self._process.pid)
            for process in (top, *top.children(recursive=True)):
                if process.pid not in self._seen or not _runs(self._seen[process.pid]):
                    self._seen[process.pid] = process

    async def _read(self, ready: asyncio.Event) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._lines.append(line.decode(errors="replace").rstrip())
            if line.startswith(b"REST:"):
                ready.set()
        await self._process.wait()
        ready.set()

    def _end(self) -> str:
        log = self._log.read_text(errors="replace").splitlines()
        return "\n".join((*self._lines, *log[-LAST_LINES:]))


class WorldProcess:
    """The HTTP services; they are never killed, as their file of effects is the evidence."""

    def __init__(self, effects: Path, *, seed: int, failure_rate: float) -> None:
        self.effects = effects
        self.hosts: dict[str, str] = {}
        self._flags = ("--seed", str(seed), "--failure-rate", str(failure_rate))
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until every service listens."""
        argv = tied("-m", "examples.demo.world", "--effects", str(self.effects), *self._flags)
        self._process = await asyncio.create_subprocess_exec(
            *argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise ClusterFailed("the HTTP world did not start")
        self.hosts = json.loads(line)

    async def stop(self) -> None:
        """Kill the process; it has no state that needs a graceful stop."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
