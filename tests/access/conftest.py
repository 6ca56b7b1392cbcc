"""A closed suite with two tenants, shared by the tests that only try to cross between them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.access.crossing import Pair
from tests.access.tenants import tenant, twin
from tests.features.closed import Closed, closed_suite


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    folder: Path = tmp_path_factory.mktemp("closed")
    async with closed_suite(folder) as made:
        yield made


@pytest.fixture(scope="module")
async def pair(closed: Closed) -> Pair:
    """Two tenants, and the names of a third one that never was."""
    caller, other = [await tenant(closed, f"canary{which}7f3c9d") for which in "ab"]
    return Pair(caller, other, twin(other, "canaryx7f3c9d"))
