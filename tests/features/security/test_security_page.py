"""The commands of docs/security.md close a cluster and run the quickstart against it."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flowmesh.embedded.ports import free_ports
from tests.features.closed import PASSWORD
from tests.features.terminal import commands

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[3]
HEADING = "## Close a deployment in ten minutes"
KINDS = 12
START_S = 60
COMMAND_S = 60
SECRET = re.compile(r"\bfm_\w[\w-]+")
BOOTSTRAP = re.compile(r"bootstrap token +(\S+)")


class Shell:
    """The terminals of a reader: a home of its own, other ports than the page has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        first = free_ports(2 * KINDS)
        self._ports = (first, first + KINDS)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {key: value for key, value in os.environ.items() if "FLOWMESH" not in key}
        self.environment = {**kept, "PATH": path, "HOME": str(folder / "home")}

    async def start(self, command: str) -> asyncio.subprocess.Process:
        """Start a command as it is written, on the ports of this shell."""
        grpc, http = self._ports
        if " cluster " in command:
            command += f" --grpc-port {grpc} --http-port {http}"
        text = command.replace("localhost:7450", f"localhost:{grpc}")
        return await asyncio.create_subprocess_exec(
            *("bash", "-e", "-c", text),
            cwd=self._folder,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, command: str) -> str:
        """Run a command, with the password for the one that asks for it."""
        process = await self.start(command)
        async with asyncio.timeout(COMMAND_S):
            printed, _ = await process.communicate(f"{PASSWORD}\n".encode())
        assert process.returncode == 0, (command, printed.decode())
        return printed.decode()

    @asynccontextmanager
    async def serving(self, command: str, line: bytes) -> AsyncIterator[None]:
        """Run a command inside the block, which begins once it has printed the text."""
        process = await self.start(f"exec {command}" if "=" not in command.split()[0] else command)
        assert process.stdout is not None
        printed = b""
        try:
            async with asyncio.timeout(START_S):
                while line not in printed:
                    read = await process.stdout.readline()
                    assert read, (command, printed.decode())
                    printed += read
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


@pytest.mark.feature("S3-129", "S3-131", "S4-63")
async def test_a_reader_closes_a_cluster_and_runs_the_quickstart(tmp_path: Path) -> None:
    """Each command of the page as written: an owner, a project, a key, a worker, an execution."""
    page = (ROOT / "docs" / "security.md").read_text()
    section = page.partition(HEADING)[2].partition("\n## ")[0]
    init, cluster, *rest = commands(section)
    assert len(rest) + 2 <= 12
    for name in ("welcome.yaml", "worker.py"):
        shutil.copy(ROOT / "examples" / "quickstart" / name, tmp_path)
    shell = Shell(tmp_path)
    token = BOOTSTRAP.search(await shell.run(init))
    assert token is not None
    shell.environment["TOKEN"] = token[1]
    async with shell.serving(cluster, b"REST: "):
        printed = ""
        for command in rest:
            if command.startswith("export "):
                name, _, value = command.removeprefix("export ").partition("=")
                shell.environment[name] = value
            elif command.endswith("worker.py"):
                key = SECRET.findall(printed)[-1]
                worker = command.replace("python", f"FLOWMESH_API_KEY={key} exec python")
                break
            else:
                printed += await shell.run(command)
        async with shell.serving(worker, b"serving"):
            result = await shell.run(rest[-1])
    assert "Hello Ada" in result
