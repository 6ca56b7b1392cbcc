"""A closed suite of all tests of the wall, and two tenants of each module."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.access.crossing import Pair
from tests.access.tenants import tenant, twin
from tests.features.closed import Closed, closed_suite
from tests.features.collector import Collector, collecting

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Watched(Closed):
    """A closed suite whose spans are collected."""

    collector: Collector


@pytest.fixture(scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    folder: Path = tmp_path_factory.mktemp("closed")
    async with collecting() as collector:
        spans: dict[str, Any] = {
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}",
        }
        async with closed_suite(folder, **spans) as made:
            yield Watched(made.suite, made.owner, made.session, collector)


@pytest.fixture(scope="module")
async def closed(installation: Watched) -> Watched:
    """The suite with a login of this module."""
    return await installation.renewed()


@pytest.fixture(scope="module")
async def pair(closed: Closed) -> Pair:
    """Two tenants, and the names of a third one that never was."""
    end = f"7f3c9{next(_numbers):x}"
    caller, other = await asyncio.gather(*(tenant(closed, f"canary{which}{end}") for which in "ab"))
    return Pair(caller, other, twin(other, f"canaryx{end}"))
