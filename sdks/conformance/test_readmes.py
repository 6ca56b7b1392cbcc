"""The README of each SDK: its program compiles, runs against a suite, and reports its absence."""

import asyncio
import os
from pathlib import Path

import pytest

from flowmesh.testing.cluster import Cluster
from sdks.conformance.conftest import Drivers
from sdks.conformance.languages import LANGUAGES, ROOT
from sdks.conformance.readmes import blocks, save_program, script_of

BUILD_S = 240
PROGRAM_S = 60
LINES_MAX = 40
NOWHERE = "127.0.0.1:1"


async def ended(command: str, folder: Path, address: str, within_s: float) -> tuple[int, str, str]:
    """Return the exit code, the output and the errors of a shell command."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", command),
        cwd=folder,
        env={**os.environ, "FLOWMESH": str(ROOT), "FLOWMESH_ADDRESS": address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(within_s):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.timeout(2 * BUILD_S)
async def test_the_program_of_a_readme(
    readme_language: str, cluster: Cluster, drivers: Drivers, tmp_path: Path
) -> None:
    """It prints what the page shows and ends; without a suite it fails and names the address."""
    drivers.command(readme_language)
    save_program(readme_language, tmp_path)
    found = blocks(readme_language)
    first = next(iter(LANGUAGES[readme_language]["readme"]))
    assert found[first].count("\n") <= LINES_MAX
    code, output, errors = await ended(
        LANGUAGES[readme_language]["readme_build"], tmp_path, "", BUILD_S
    )
    assert code == 0, output + errors

    command = LANGUAGES[readme_language]["readme_run"]
    code, output, errors = await ended(command, tmp_path, cluster.grpc_address, PROGRAM_S)
    assert (code, output.splitlines()) == (0, [script_of(found["console"])[1]]), errors

    code, output, errors = await ended(command, tmp_path, NOWHERE, PROGRAM_S)
    assert (code != 0, output) == (True, "")
    assert NOWHERE in errors
    assert "panic" not in errors
