"""The five examples of every SDK print the same."""

import asyncio
import os
from pathlib import Path

import pytest
import yaml

from flowmesh.testing.cluster import Cluster
from sdks.conformance.conftest import Drivers
from sdks.conformance.languages import LANGUAGES, ROOT

EXPECTED = yaml.safe_load((Path(__file__).parent / "examples/expected.yaml").read_text())
WITHIN_S = 90.0


async def printed(
    command: str,
    cluster: Cluster,
    *,
    cwd: Path = ROOT,
    within_s: float = WITHIN_S,
    **environment: str,
) -> str:
    """Return the output of a shell command that uses the suite; it must end with 0."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", command),
        cwd=cwd,
        env={**os.environ, "FLOWMESH_ADDRESS": cluster.grpc_address, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(within_s):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("example", EXPECTED)
async def test_example(
    example_language: str, example: str, cluster: Cluster, drivers: Drivers
) -> None:
    """The command of the language prints the expected lines."""
    drivers.command(example_language)
    names = {"example": example, "Example": example.title()}
    command = LANGUAGES[example_language]["example"].format(**names)
    assert await printed(f"exec {command}", cluster) == EXPECTED[example]
