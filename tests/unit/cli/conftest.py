"""Runs commands against a stand-in server: exit code, output and messages."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from flowmesh.cli import common, output
from flowmesh.cli.command_line import run as run_command
from tests.unit.cli.scripted_suite import ScriptedSuite
from tests.unit.sdk.stand_ins import StandIn


@dataclass(frozen=True)
class Outcome:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""The time of commands with a scripted suite."""
Run = Callable[..., Awaitable[Outcome]]


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with StandIn().serving() as stand_in:
        yield stand_in


@pytest.fixture
def flowmesh(
    server: StandIn,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Run:
    """`await flowmesh("start", "order")`, in a thread because commands have their own loop."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", server.address)
    # Not the profiles of the person who runs the tests.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.delenv("FLOWMESH_PROFILE", raising=False)
    # A port on which nothing listens is as silent after one second.
    monkeypatch.setattr(common, "CONNECT_TIMEOUT_S", 1.0)

    async def run(*tokens: str) -> Outcome:
        loop = asyncio.get_running_loop()
        code = await loop.run_in_executor(None, lambda: run_command(list(tokens)))
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedSuite]:
    """A server of all methods for the commands of a module, at a fixed time in UTC."""
    with ScriptedSuite().serving() as suite, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("FLOWMESH_")]:
            patch.delenv(name)
        patch.setenv("FLOWMESH_ADDRESS", suite.address)
        patch.setenv("USER", "ada")
        patch.setenv("TZ", "UTC")
        time.tzset()
        patch.setattr(output, "now", lambda: NOW)
        patch.setattr(common, "CONNECT_TIMEOUT_S", 20.0)
        yield suite
    time.tzset()
