"""The first workflow of the README, as a newcomer runs it."""

import re
import runpy
from pathlib import Path

import pytest

from flowmesh.sdk import Client, Worker
from flowmesh.testing.suite import Suite
from tests.features.closed import closed_suite
from tests.features.terminal import Terminal, commands

ROOT = Path(__file__).resolve().parents[3]
QUICKSTART = ROOT / "examples" / "quickstart"
SECTION = re.compile(r"^## A first workflow.*?(?=^## )", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The blocks of code in the order in which they stand there, and the names they are saved under.
FILES = ("welcome.yaml", "worker.py", "checkout.py")
WORKER = "python worker.py"
# The project of a new installation, with the namespace `default`.
PROJECT = "prj_default"
REFUSAL = re.compile("CREDENTIALS_REQUIRED|requires a credential")
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
    code = [text for language, text in blocks if language in ("yaml", "python")]
    for name, text in zip(FILES, code, strict=True):
        (folder / name).write_text(text)
    return commands(section[0])


@pytest.mark.long
@pytest.mark.feature("S0-127")
async def test_the_quickstart_works_copied_out_of_the_readme(suite: Suite, tmp_path: Path) -> None:
    """The blocks saved as they are and the commands run as they are written give the greetings."""
    worker, *others = copied(tmp_path)
    assert worker == WORKER
    await follow(Terminal(tmp_path, suite), worker, others)


async def follow(terminal: Terminal, worker: str, others: list[str]) -> None:
    """Run the commands while the worker serves, and check what they print."""
    async with terminal.serving(worker):
        outputs = [await terminal.output(command) for command in others]
    assert len(outputs) == 5, others
    assert ["Hello Ada" in output for output in outputs] == [False, True, False, True, False]
    assert "2 kg on their way, receipt-A-17" in outputs[-1]


@pytest.mark.long
@pytest.mark.feature("S0-127", "S3-129")
async def test_the_quickstart_works_in_a_closed_suite(tmp_path: Path) -> None:
    """As it is written, with an API key in the environment, and for curl in its configuration."""
    worker, *others = copied(tmp_path)
    async with closed_suite(tmp_path / "closed") as closed:
        key = await closed.key(PROJECT, "admin")
        home = tmp_path / "home"
        home.mkdir()
        anyone = Terminal(tmp_path, closed.suite, HOME=str(home))
        for command in (worker, *others):
            assert REFUSAL.search(await anyone.printed(command)), command
        (home / ".curlrc").write_text(f'header = "authorization: Bearer {key.credential}"\n')
        named = {"HOME": str(home), "FLOWMESH_API_KEY": key.credential}
        await follow(Terminal(tmp_path, closed.suite, **named), worker, others)
