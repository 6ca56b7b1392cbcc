"""A terminal in which a reader runs the commands of a page."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from flowmesh.testing.suite import Suite

COMMAND_TIMEOUT_S = 60
# What a session prints behind the output of each command.
_END = "-- end of the output, exit code"
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """Return the commands of the console blocks in order, without their `$`."""
    consoles = "".join(_CONSOLE.findall(page))
    return [command.strip() for command in re.split(r"^\$ ", consoles, flags=re.MULTILINE)[1:]]


class Terminal:
    """A shell in a folder, with `python` and `flowmesh` of this environment on its path."""

    def __init__(self, folder: Path, suite: Suite, **environment: str) -> None:
        self._folder, self._http = folder, suite.http_url.removeprefix("http://")
        path = f"{folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {
            **os.environ,
            "PATH": path,
            "FLOWMESH_ADDRESS": suite.grpc_address,
            **environment,
        }

    async def start(self, command: str) -> asyncio.subprocess.Process:
        """Start a command as it is written, but with the REST port of the suite under test."""
        return await self._started("-e", "-c", self._adapted(command))

    def _adapted(self, command: str) -> str:
        return command.replace("localhost:3000", self._http)

    async def _started(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *("bash", *arguments),
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Callable[[str, int], Awaitable[str]]]:
        """Open a shell that keeps its variables: a command and its exit code give its output."""
        process = await self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        given, taken = process.stdin, process.stdout

        async def output(command: str, expected: int) -> str:
            given.write(f"{self._adapted(command)}\nprintf '\\n{_END} %s\\n' $?\n".encode())
            printed = ""
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                while _END not in printed:
                    line = await taken.readline()
                    assert line, (command, printed)
                    printed += line.decode()
            text, _, code = printed.partition(f"\n{_END}")
            assert int(code) == expected, (command, text)
            return text

        try:
            yield output
        finally:
            given.close()
            await process.wait()

    async def output(self, *commands: str) -> str:
        """Run commands in one shell, all of which have to succeed; return what they print."""
        code, printed = await self._run("\n".join(commands))
        assert code == 0, (commands, printed)
        return printed

    async def printed(self, command: str) -> str:
        """Run a command that may fail; return what it prints."""
        return (await self._run(command))[1]

    async def _run(self, text: str) -> tuple[int | None, str]:
        process = await self.start(text)
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            output, _ = await process.communicate()
        return process.returncode, output.decode()

    @asynccontextmanager
    async def serving(self, command: str) -> AsyncIterator[None]:
        """Run a command inside the block, which begins once it prints that it is serving."""
        process = await self.start(f"exec {command}")
        assert process.stdout is not None
        printed = b""
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                while b"serving" not in printed:
                    line = await process.stdout.readline()
                    assert line, (command, printed.decode())
                    printed += line
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()
