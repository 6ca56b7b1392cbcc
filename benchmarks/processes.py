"""The child processes of a run, which start, handle requests and stop with this process."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.answering import ANSWER, LINE_BYTES_MAX, READY
from benchmarks.usage import tree
from flowmesh.embedded.child import RunAs, launch_argv

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "build" / "peers"
"""The folder in which `make` installs the peers."""
PEERS_PYTHON = PEERS / "venv" / "bin" / "python"
READY_TIMEOUT_S = 60.0
REQUEST_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 12.0
LOG_TAIL_BYTES = 2_000


class ChildFailed(Exception):
    """A process did not start or ended early; the message has its log."""


class RequestFailed(Exception):
    """A process failed to handle a request and is still running; the message has the reason."""


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line of a module of this repository."""
    return (sys.executable, "-m", name, *arguments)


class Child:
    """A process; its output goes to a log, except for awaited lines."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._argv = tuple(argv)
        self._log = log
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._prefix = ""
        self._line: asyncio.Future[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self, ready: str = READY, timeout_s: float = READY_TIMEOUT_S) -> str:
        """Start the process, wait for the line that begins with `ready`, and return its rest."""
        line = self._expect(ready)
        await self.spawn()
        return await self._until(line, timeout_s)

    async def spawn(self) -> None:
        """Start a process that does not report readiness."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *launch_argv(self._argv, RunAs(), signal.SIGTERM),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                limit=LINE_BYTES_MAX,
                start_new_session=True,
                env=self._environment,
            )
        self._reader = asyncio.create_task(self._read())

    async def request(self, do: str, timeout_s: float = REQUEST_TIMEOUT_S, **arguments: Any) -> Any:
        """Send a request to the process and return the result; raises RequestFailed."""
        assert self._process is not None
        assert self._process.stdin is not None
        line = self._expect(ANSWER)
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        response = json.loads(await self._until(line, timeout_s))
        if "failed" in response:
            raise RequestFailed(response["failed"])
        return response["ok"]

    async def kill(self) -> None:
        """Kill the process and all its children at once, as in a power failure."""
        for process in tree(self.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        await self._ended()

    async def stop(self) -> None:
        """Stop the process, by SIGKILL after the timeout."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        await self._ended()

    async def _ended(self) -> None:
        if self._process is not None:
            await self._process.wait()
        if self._reader is not None:
            await self._reader

    def _expect(self, prefix: str) -> asyncio.Future[str]:
        self._prefix = prefix
        self._line = asyncio.get_running_loop().create_future()
        return self._line

    async def _until(self, line: asyncio.Future[str], timeout_s: float) -> str:
        try:
            async with asyncio.timeout(timeout_s):
                return await line
        except TimeoutError:
            raise ChildFailed(f"{self.name} did not respond within {timeout_s:.0f} s") from None

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            line = raw.decode(errors="replace")
            if self._line is not None and line.startswith(self._prefix):
                if not self._line.done():
                    self._line.set_result(line[len(self._prefix) :].strip())
                self._line = None
        if self._line is not None and not self._line.done():
            tail = self._log.read_text(errors="replace")[-LOG_TAIL_BYTES:]
            self._line.set_exception(ChildFailed(f"{self.name} ended: {tail}"))
