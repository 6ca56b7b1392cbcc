"""The process of one release, from the side of the host."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flowmesh.apphost.limits import READY_S
from flowmesh.apps.release_process.conversation import (
    LINE_BYTES_MAX,
    Begin,
    Built,
    Checked,
    Drain,
    Message,
    Ready,
    Refused,
    Served,
    Start,
    read,
    written,
)
from flowmesh.errors import FlowmeshError, Invalid, Violation, WrongState
from flowmesh.walls.plan import Plan

MODULE = "flowmesh.apps.release_process.process"
CHUNK_BYTES = 64 * 1024
REPORT_S = 5.0


class AppProcess:
    """A started process; `exited` is done when it has ended."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        connection: socket.socket,
        take: Callable[[bytes], None],
    ) -> None:
        self._process = process
        self._connection = connection
        self._buffer = b""
        self._logging = asyncio.create_task(_lines(process.stdout, take))
        self._following: set[asyncio.Task[None]] = set()
        self.exited: asyncio.Task[int] = asyncio.create_task(self._wait())

    @classmethod
    async def spawn(
        cls,
        plan: Plan,
        folder: Path,
        environment: Mapping[str, str],
        take: Callable[[bytes], None],
    ) -> "AppProcess":
        """Start a process in a folder, behind walls. `take` gets each line of its output."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        program = (sys.executable, "-I", "-m", MODULE, str(theirs.fileno()))
        try:
            process = await asyncio.create_subprocess_exec(
                *plan.argv(program),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                cwd=folder,
                env=environment,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours, take)

    @property
    def pid(self) -> int:
        """The process of the application, which is the child of its warden."""
        warden = self._process.pid
        try:
            children = Path(f"/proc/{warden}/task/{warden}/children").read_text()
        except OSError:
            return warden
        return int(children.split()[0]) if children.strip() else warden

    @property
    def alive(self) -> bool:
        return not self.exited.done()

    async def build(self, begin: Begin) -> Built:
        """Let it read its document. Raises the error that prevents a start."""
        await asyncio.get_running_loop().sock_sendall(self._connection, written(begin))
        answer = await self._answer()
        if not isinstance(answer, Built):
            raise WrongState("RELEASE_REFUSED", "the process gave no answer to its document")
        return answer

    async def check(self, begin: Begin) -> Checked:
        """Let it check its document. Raises the error that prevents a check."""
        await asyncio.get_running_loop().sock_sendall(self._connection, written(begin))
        answer = await self._answer()
        if not isinstance(answer, Checked):
            raise WrongState("RELEASE_REFUSED", "the process gave no answer to its document")
        return answer

    async def start(
        self, sockets: Mapping[str, socket.socket], served: Callable[[Served], None]
    ) -> None:
        """Let it serve on these sockets; `served` gets its reports. Raises what prevents it."""
        fds = [each.fileno() for each in sockets.values()]
        socket.send_fds(self._connection, [written(Start(servers=list(sockets)))], fds)
        answer = await self._answer()
        if not isinstance(answer, Ready):
            raise WrongState("RELEASE_REFUSED", "the process did not become ready")
        self._following.add(asyncio.create_task(self._follow(served)))

    async def _follow(self, served: Callable[[Served], None]) -> None:
        """Take the reports of the running process, at most one in so many seconds.

        Code of strangers may run in it: after a message of another form, nothing more is read.
        """
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            while (message := await self._next()) is not None:
                if isinstance(message, Served):
                    served(message)
                await asyncio.sleep(REPORT_S)

    async def drain(self, *, linger_s: float, within_s: float, runs_s: float = 0.0) -> None:
        """Let it complete its requests and end; kill it after `within_s`.

        Durable runs have `runs_s` more than requests.
        """
        with contextlib.suppress(OSError):
            line = written(Drain(linger_s=linger_s, runs_s=runs_s))
            await asyncio.get_running_loop().sock_sendall(self._connection, line)
        try:
            async with asyncio.timeout(within_s + runs_s):
                await asyncio.shield(self.exited)
        except TimeoutError:
            await self.kill()

    async def ending(self) -> str:
        """Return how the ended process ended."""
        return _ending(await asyncio.shield(self.exited))

    async def kill(self) -> None:
        """End it at once, with all processes of its own."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.shield(self.exited)

    async def _wait(self) -> int:
        code = await self._process.wait()
        await self._logging
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        self._connection.close()
        return code

    async def _answer(self) -> Message:
        try:
            async with asyncio.timeout(READY_S):
                message = await self._next()
        except TimeoutError:
            text = f"the release was not ready within {READY_S:g} s"
            raise WrongState("RELEASE_REFUSED", text) from None
        if message is None:
            text = f"the process ended {await self.ending()} before it was ready"
            raise WrongState("RELEASE_REFUSED", text)
        if isinstance(message, Refused):
            raise _refusal(message)
        return message

    async def _next(self) -> Message | None:
        """Return the next message; None if the process ended."""
        loop = asyncio.get_running_loop()
        while b"\n" not in self._buffer:
            try:
                data = await loop.sock_recv(self._connection, CHUNK_BYTES)
            except OSError:
                return None
            if not data or len(self._buffer) > LINE_BYTES_MAX:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return read(line)


def _refusal(message: Refused) -> FlowmeshError:
    violations = tuple(Violation(each.place, each.message, each.code) for each in message.findings)
    return Invalid(message.reason, message.message, violations=violations)


def _ending(code: int) -> str:
    """Return how a process ended."""
    if code >= 0:
        return f"with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"by {signal.Signals(-code).name}"
    return f"by signal {-code}"


async def _lines(stream: Any, take: Callable[[bytes], None]) -> None:
    """Pass on the lines of a stream until its end."""
    rest = b""
    while data := await stream.read(CHUNK_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            take(line)
        if len(rest) > CHUNK_BYTES:
            take(rest)
            rest = b""
    take(rest)
