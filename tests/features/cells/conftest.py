"""Three cells that the tests of a module share."""

from collections.abc import AsyncIterator

import pytest

from tests.features.cells.three import Cells, three_cells


@pytest.fixture(scope="module")
async def cells(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cells]:
    """Three suites with one directory."""
    async with three_cells(tmp_path_factory.mktemp("cells")) as running:
        yield running
