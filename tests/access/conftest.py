"""A closed suite of all tests of the wall, and two tenants of each module."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.access.crossing import Pair
from tests.access.tenants import tenant, twin
from tests.features.closed import Closed, closed_suite

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    folder: Path = tmp_path_factory.mktemp("closed")
    async with closed_suite(folder) as made:
        yield made


@pytest.fixture(scope="module")
async def pair(closed: Closed) -> Pair:
    """Two tenants, and the names of a third one that never was."""
    end = f"7f3c9{next(_numbers):x}"
    caller, other = [await tenant(closed, f"canary{which}{end}") for which in "ab"]
    return Pair(caller, other, twin(other, f"canaryx{end}"))
