"""Forked commands: the exit code, the streams and the environment of a process of its own."""

import os
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from flowmesh.testing.suite import Started
from tests.features.commands import outcome
from tests.forks import Forked, Forks


async def launched(forks: Forks, **more: str) -> Started:
    """Run `flowmesh --version`; return the process."""
    with TemporaryFile() as file:
        stream = file.fileno()
        process = await forks.launch(
            ["--version"],
            environment={**os.environ, **more},
            stdin=stream,
            stdout=stream,
            stderr=stream,
        )
        assert await process.wait() == 0
        file.seek(0)
        assert b"core:" in file.read()
    return process


async def test_a_command_is_forked_unless_its_imports_may_differ(
    forks: Forks, tmp_path: Path
) -> None:
    """With the sources of another folder, or another core, a Python is executed."""
    assert isinstance(await launched(forks), Forked)
    assert isinstance(await launched(forks, FLOWMESH_AUTH="closed"), Forked)
    assert not isinstance(await launched(forks, PYTHONPATH=str(tmp_path)), Forked)
    assert not isinstance(await launched(forks, FLOWMESH_CORE=""), Forked)


@pytest.mark.parametrize("executed", [False, True])
async def test_streams_and_exit_codes(executed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused command writes to standard error and exits with 2, forked or executed."""
    if executed:
        monkeypatch.setattr("tests.features.commands.Suite.launcher", None)
    refused = await outcome(["no-such-command"])
    assert refused.code == 2
    assert "no-such-command" in refused.err
    assert refused.out == ""
