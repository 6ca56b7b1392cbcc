"""Completion of commands, options and choices, without a suite and without the parser."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowmesh.cli.completion.scripts import SCRIPTS
from tests.unit.cli.conftest import Run
from tests.unit.sdk.stand_ins import COMPLETED, StandIn, execution

SCRIPT_BYTES_MAX = 2_000


async def completed(flowmesh: Run, *words: str) -> list[str]:
    outcome = await flowmesh("__complete", *words)
    assert (outcome.code, outcome.err) == (0, "")
    return [line.split("\t")[0] for line in outcome.out.splitlines()]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("exec",), ["execution"]),
        (("canc",), ["cancel"]),
        (("execution", "ca"), ["cancel"]),
        (("diagnose", ""), ["messages", "saga"]),
        (("stream", "group", "p"), ["put", "parked"]),
        (("start", "--req"), ["--request-id"]),
        (("list", "executions", "--status", "fa"), ["failed"]),
        (("list", "executions", "--status=fa"), ["--status=failed"]),
        (("list", "executions", "--status", "=", "fa"), ["failed"]),
        (("-o", "js"), ["json"]),
        (("--json", "canc"), ["cancel"]),
        (("bulk", "start", "term"), ["terminate"]),
        (("apply", "-f", ""), [":files"]),
        (("start", "order", "--timeout", ""), []),
        (("unknown", ""), []),
        ((), None),
    ],
)
async def test_words_are_completed(
    flowmesh: Run, words: tuple[str, ...], found: list[str] | None
) -> None:
    """Commands with their groups and short forms, options, and choices in every spelling."""
    shown = await completed(flowmesh, *words)
    assert shown == found if found is not None else "execution" in shown


@pytest.mark.parametrize("words", [("execution", "ca"), ("start", "--re"), ("",)])
def test_a_completion_loads_no_parser(words: tuple[str, ...]) -> None:
    """A press of a key waits for nothing heavy."""
    script = (
        "import sys\n"
        "from flowmesh.cli.command_line import run\n"
        f"run(['__complete', *{words!r}])\n"
        "heavy = {'cyclopts', 'rich', 'grpc', 'yaml', 'flowmesh.cli.common'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.strip() == "[]"


async def test_a_completion_of_ids_loads_little(server: StandIn) -> None:
    """The connection and one call, not the whole client: 0.2 s of CPU time."""
    server.executions.put(execution("exec-1", COMPLETED))
    script = (
        "import sys, time\n"
        "from flowmesh.cli.command_line import run\n"
        "run(['__complete', 'get', 'execution', ''])\n"
        "heavy = {'cyclopts', 'flowmesh.sdk.client.client', 'flowmesh.sdk.worker.worker'}\n"
        "print(sorted(heavy & sys.modules.keys()), time.process_time(), file=sys.stderr)\n"
    )
    for _ in range(2):  # the second one finds compiled modules
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            script,
            env={**os.environ, "FLOWMESH_ADDRESS": server.address, "PYTHONDONTWRITEBYTECODE": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        loaded, _, seconds = err.decode().strip().rpartition(" ")
        assert (out.decode().partition("\t")[0], loaded) == ("exec-1", "[]")
    assert float(seconds) < 0.6


@pytest.mark.parametrize("shell", SCRIPTS)
async def test_scripts_are_small_and_ask_the_command(
    flowmesh: Run, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are printed, or written to the place where the shell looks."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ZDOTDIR", raising=False)
    printed = (await flowmesh("completion", shell)).out
    assert "flowmesh __complete" in printed
    assert len(printed) < SCRIPT_BYTES_MAX
    place = (await flowmesh("completion", shell, "--install", "--json")).json["path"]
    assert await asyncio.to_thread(Path(place).read_text) == printed


def test_bash_completes_with_its_script(tmp_path: Path) -> None:
    """The script in a shell, with a command line that is split as bash splits it."""
    command = tmp_path / "flowmesh"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m flowmesh.suite "$@"\n')
    command.chmod(0o755)
    script = f"""PATH={tmp_path}:$PATH
{SCRIPTS["bash"]}
compopt() {{ :; }}
ask() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _flowmesh; echo "${{COMPREPLY[*]}}"; }}
ask flowmesh execution ca
ask flowmesh list executions --status = fa
cd {tmp_path}
ask flowmesh apply -f flow
"""
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == ["cancel", "failed", "flowmesh"]
