"""Projects of new plugins: their own tests pass."""

import asyncio
import sys
from pathlib import Path

import pytest

from flowmesh.plugins import wheels
from flowmesh.plugins.manifest import KINDS
from flowmesh.plugins.project import write_project

pytestmark = pytest.mark.long
OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")


@pytest.mark.feature("S1-193")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_new_project_passes_its_tests(tmp_path: Path, kind: str) -> None:
    """There is one for each kind, and its wheel is built."""
    folder = tmp_path / "new-one"
    write_project(folder, "new-one", kind)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", *OPTIONS, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    text, _ = await process.communicate()
    assert process.returncode == 0, text.decode()
    manifest, wheel = wheels.build(folder)
    assert (manifest.kind, wheels.read(wheel).manifest) == (kind, manifest)
