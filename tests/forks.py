"""Processes of the command `flowmesh` that are forked rather than executed.

Each process of the tests has one server of forks, started on first use.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from flowmesh.testing.suite import Executing, Started

ROOT: Final = Path(__file__).resolve().parents[1]
# Variables that are read when a command runs, not when Python or a library is loaded.
READ_LATE: Final = frozenset({"COLUMNS", "HOME", "NO_COLOR", "PYTEST_CURRENT_TEST", "TZ"})


class Forked:
    """A process that was forked, with the members of `asyncio.subprocess.Process` in use."""

    def __init__(self, pid: int, channel: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.pid = pid
        self.returncode: int | None = None
        self._writer = writer
        self._ended = asyncio.create_task(self._follow(channel))

    async def _follow(self, channel: asyncio.StreamReader) -> int:
        line = await channel.readline()
        self._writer.close()
        # Without a line the server of forks has died, and its forks go on.
        self.returncode = int(line) if line else -1
        return self.returncode

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)


class Forks:
    """The server of forks of this process, a context manager."""

    def __init__(self) -> None:
        self._environment: Mapping[str, str] = {}
        self._socket: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Forks":
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._server is not None:
            self._server.wait()

    async def launch(
        self,
        words: Sequence[str],
        *,
        environment: Mapping[str, str],
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> Started:
        """Run `flowmesh WORDS` in a session of its own, with these standard streams.

        It is executed, not forked, where the environment may change what is imported.
        """
        if self._socket is None:
            self._socket = self._start()
        if not self._may_fork(environment):
            return await Executing(sys.executable).launch(
                words, environment=environment, stdin=stdin, stdout=stdout, stderr=stderr
            )
        mine, its = socket.socketpair()
        request = {"words": words, "environment": dict(environment), "folder": str(Path.cwd())}
        with its:
            descriptors = [its.fileno(), stdin, stdout, stderr]
            socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
        reader, writer = await asyncio.open_connection(sock=mine)
        return Forked(int(await reader.readline()), reader, writer)

    def _may_fork(self, environment: Mapping[str, str]) -> bool:
        changed = {name for name, _ in environment.items() ^ self._environment.items()}
        late = {each for each in changed if each.startswith("FLOWMESH_")} - {"FLOWMESH_CORE"}
        return changed <= late | READ_LATE

    def _start(self) -> socket.socket:
        self._environment = dict(os.environ)
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(its.fileno())],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
            )
        return mine


def can_fork() -> bool:
    """Return whether the tests are to fork, and forks are as good as processes of their own."""
    return os.environ.get("TESTS_FORK") == "1" and sys.platform == "linux"
