"""Real configurations of applications, with addresses and databases of this machine."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.testing import run_tests

FILES = sorted((Path(__file__).parent / "apps").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_real_configuration_answers_its_recorded_requests(
    file: Path,
    conformance_data: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """It starts unchanged, apart from what its file maps, and each answer is the recorded one."""
    folder = tmp_path / "configs"
    shutil.copytree(conformance_data / "app-configs", folder)
    results = await run_tests(file, Loading(environment={}), folder=folder)
    assert [each for each in results if each.failure] == []
    record_property("conformance", f"{file.stem}: {len(results)} tests passed")
