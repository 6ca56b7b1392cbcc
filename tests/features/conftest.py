"""What the feature tests share: the HTTP world that workflows call."""

from collections.abc import AsyncIterator

import pytest

from flowmesh.testing.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The services that steps call, for one test."""
    async with World() as running:
        yield running
