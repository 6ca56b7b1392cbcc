"""The programs of this folder as processes."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tools import console

HERE = Path(__file__).parent
BUILT = console.ROOT / "build" / "clients"
INSTALL_TIMEOUT_S = 240
PATIENCE_S = 30
_FILES = ("package.json", "package-lock.json", ".npmrc")
_PROGRAMS = ("signalr.mjs", "asyncapi.mjs")
# The conformance suite of the Model Context Protocol needs a newer Node than the clients.
CONFORMANCE_NODE = (22, 0)
CONFORMANCE_S = 120


def installed() -> Path:
    """Return the folder of the programs, with their packages."""
    _install(HERE, BUILT, console.environment())
    for name in _PROGRAMS:
        shutil.copy(HERE / name, BUILT / name)
    return BUILT


def _install(source: Path, built: Path, environment: dict[str, str]) -> None:
    lock, done = source / "package-lock.json", built / ".lock"
    built.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        shutil.copy(source / name, built / name)
    if not done.exists() or done.read_bytes() != lock.read_bytes():
        subprocess.run(
            ["npm", "ci", "--loglevel=error"],
            cwd=built,
            env=environment,
            timeout=INSTALL_TIMEOUT_S,
            check=True,
        )
        shutil.copy(lock, done)


async def mcp_conformance(url: str, expected_failures: Path, results: Path) -> tuple[int, str]:
    """Run the conformance suite of MCP against a server; return its exit code and its report."""
    built = BUILT.with_name("conformance")
    environment = await asyncio.to_thread(console.environment, CONFORMANCE_NODE)
    await asyncio.to_thread(_install, HERE / "conformance", built, environment)
    options = ("--expected-failures", expected_failures, "--output-dir", results)
    process = await asyncio.create_subprocess_exec(
        *(built / "node_modules/.bin/conformance", "server", "--url", url, *options),
        cwd=built,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), CONFORMANCE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


def _install_old_mcp() -> Path:
    """Return the folder of a client of MCP of the year 2025, which has its own dependencies."""
    lock, built = HERE / "old_mcp" / "requirements.lock", BUILT.with_name("old_mcp")
    done = built / ".lock"
    if not done.exists() or done.read_bytes() != lock.read_bytes():
        options = ("--quiet", "--disable-pip-version-check", "--require-hashes")
        target = ("--upgrade", "--target", str(built), "-r", str(lock))
        subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, *target],
            timeout=INSTALL_TIMEOUT_S,
            check=True,
        )
        shutil.copy(lock, done)
    return built


async def old_mcp_client(url: str) -> Any:
    """Return what a client of an older SDK finds at a server."""
    packages = await asyncio.to_thread(_install_old_mcp)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "old_mcp" / "client.py"),
        url,
        env={**os.environ, "PYTHONPATH": str(packages)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return json.loads(out)


async def parse_asyncapi(document: bytes) -> Any:
    """Return the channels and the problems that `@asyncapi/parser` finds."""
    folder = await asyncio.to_thread(installed)
    process = await asyncio.create_subprocess_exec(
        "node",
        "asyncapi.mjs",
        cwd=folder,
        env=console.environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(document), PATIENCE_S)
    return json.loads(out)


class SignalR:
    """A running `@microsoft/signalr` client, and what it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said: list[dict[str, Any]] = []
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._changed:
                self._said.append(json.loads(line))
                self._changed.notify_all()

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self._said if each["kind"] == kind]

    def events(self) -> list[dict[str, Any]]:
        return [each["event"] for each in self.said("event")]

    async def until(
        self, kind: str, count: int = 1, *, within_s: float = PATIENCE_S
    ) -> list[dict[str, Any]]:
        """Return what it said of this kind, once it is so much."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(lambda: len(self.said(kind)) >= count)
        return self.said(kind)

    async def until_type(self, kind: str, count: int = 1) -> None:
        """Wait for so many events of a type."""

        def enough() -> bool:
            return len([each for each in self.events() if each["type"] == kind]) >= count

        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(enough)

    async def call(self, method: str, *arguments: Any) -> dict[str, Any]:
        """Call a method of the hub; return the result or the error."""
        before = len(self.said("result")) + len(self.said("rejected"))
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([method, *arguments]).encode() + b"\n")

        def answers() -> list[dict[str, Any]]:
            return [each for each in self._said if each["kind"] in ("result", "rejected")]

        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(answers()) > before)
        return answers()[before]

    async def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading


@asynccontextmanager
async def signalr(url: str, **given: Any) -> AsyncIterator[SignalR]:
    """Run a client of the hub; `given` are its token, headers, transport and targets."""
    folder = await asyncio.to_thread(installed)
    process = await asyncio.create_subprocess_exec(
        "node",
        "signalr.mjs",
        json.dumps({"url": f"{url}/hubs/executions", "targets": [], "headers": {}} | given),
        cwd=folder,
        env=console.environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=16 * 1024 * 1024,
    )
    client = SignalR(process)
    try:
        yield client
    finally:
        await client.close()
