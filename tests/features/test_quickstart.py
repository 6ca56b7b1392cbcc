"""The first workflow of the README, as a newcomer runs it."""

import asyncio
import os
import re
import runpy
import sys
from pathlib import Path

import pytest

from flowmesh.sdk import Client, Worker
from flowmesh.testing.suite import Suite

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
SECTION = re.compile(r"^## A first workflow.*?(?=^## )", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The blocks of code in the order in which they stand there, and the names they are saved under.
FILES = ("welcome.yaml", "worker.py", "checkout.py")
WORKER = "python worker.py"
COMMAND_TIMEOUT_S = 60
USERS = {"users": [{"name": "Ada", "active": True}, {"name": "Bob", "active": False}]}


@pytest.mark.feature("S0-127")
async def test_the_first_workflow_in_yaml(suite: Suite) -> None:
    """welcome.yaml is applied as it stands, its worker greets, REST answers with the greeting."""
    greet = runpy.run_path(str(QUICKSTART / "worker.py"))["greet"]
    source = (QUICKSTART / "welcome.yaml").read_bytes()
    yaml = {"content-type": "application/yaml"}
    applied = await suite.request("POST", "/api/v1/workflows", headers=yaml, data=source)
    assert applied.status == 201, applied.text

    async with Worker(suite.grpc_address, {"greet": greet}):
        ran = await suite.request("POST", "/api/v1/workflows/welcome/execute", {"input": USERS})

    assert ran.status == 200, ran.text
    assert ran.json["output"] == {"greetings": ["Hello Ada"]}


@pytest.mark.feature("S0-127")
async def test_the_first_workflow_in_python(suite: Suite) -> None:
    """checkout.py registers what it defines, serves its tasks and gets the output."""
    checkout = runpy.run_path(str(QUICKSTART / "checkout.py"))["checkout"]
    async with Client(suite.grpc_address) as client:
        await client.register(checkout)
        async with Worker(client, checkout.handlers):
            output = await client.run("checkout", {"id": "A-17", "amount": 40, "boxes": 1})

    assert output == {"shipped": "2 kg on their way, receipt-A-17"}


def copied(folder: Path) -> list[str]:
    """Saves the code of the README's quickstart in a folder; its commands, `$` taken off."""
    section = SECTION.search((ROOT / "README.md").read_text())
    assert section is not None
    blocks = BLOCK.findall(section[0])
    code = [text for language, text in blocks if language != "console"]
    for name, text in zip(FILES, code, strict=True):
        (folder / name).write_text(text)
    consoles = "".join(text for language, text in blocks if language == "console")
    return [command.strip() for command in re.split(r"^\$ ", consoles, flags=re.MULTILINE)[1:]]


class Terminal:
    """A shell in a folder, with `python` and `flowmesh` of this environment on its path."""

    def __init__(self, folder: Path, suite: Suite) -> None:
        self._folder, self._http = folder, suite.http_url.removeprefix("http://")
        path = f"{folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "FLOWMESH_ADDRESS": suite.grpc_address}

    async def start(self, command: str) -> asyncio.subprocess.Process:
        """Runs it as it is written; only the port of REST is that of the suite under test."""
        return await asyncio.create_subprocess_shell(
            f"exec {command.replace('localhost:3000', self._http)}",
            cwd=self._folder,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def output(self, command: str) -> str:
        """What a command printed, which has to end well."""
        process = await self.start(command)
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            output, _ = await process.communicate()
        assert process.returncode == 0, (command, output.decode())
        return output.decode()


@pytest.mark.long
@pytest.mark.feature("S0-127")
async def test_the_quickstart_works_copied_out_of_the_readme(suite: Suite, tmp_path: Path) -> None:
    """The blocks saved as they are and the commands run as they are written give the greetings."""
    commands = copied(tmp_path)
    assert commands[0] == WORKER
    terminal = Terminal(tmp_path, suite)
    worker = await terminal.start(WORKER)
    try:
        outputs = [await terminal.output(command) for command in commands[1:]]
    finally:
        worker.terminate()
        await worker.communicate()

    assert len(outputs) == 5, commands
    assert ["Hello Ada" in output for output in outputs] == [False, True, False, True, False]
    assert "2 kg on their way, receipt-A-17" in outputs[-1]
