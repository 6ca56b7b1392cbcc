"""The five examples of every SDK print the same, and the example of its README runs."""

import asyncio
import os
import re
from pathlib import Path

import pytest
import yaml

from flowmesh.testing.cluster import Cluster
from sdks.conformance.conftest import Drivers
from sdks.conformance.languages import LANGUAGES, ROOT

EXPECTED = yaml.safe_load((Path(__file__).parent / "examples/expected.yaml").read_text())
WITHIN_S = 90.0
README_LINES_MAX = 25


async def printed(command: str, cluster: Cluster) -> str:
    """Return the output of a shell command that uses the suite; it must end with 0."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", command),
        cwd=ROOT,
        env={**os.environ, "FLOWMESH_ADDRESS": cluster.grpc_address},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
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
    command = LANGUAGES[example_language]["example"].format(example=example)
    assert await printed(f"exec {command}", cluster) == EXPECTED[example]


@pytest.mark.timeout(180)
async def test_readme(
    readme_language: str, cluster: Cluster, drivers: Drivers, tmp_path: Path
) -> None:
    """The first block of code of the README has at most 25 lines and greets."""
    drivers.command(readme_language)
    entry = LANGUAGES[readme_language]["readme"]
    text = (ROOT / "sdks" / readme_language / "README.md").read_text()
    found = re.search(rf"```{entry['block']}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    assert found[1].count("\n") <= README_LINES_MAX
    file = tmp_path / entry["file"]
    file.write_text(found[1])
    assert "Hello Ada" in await printed(entry["run"].format(file=file), cluster)
