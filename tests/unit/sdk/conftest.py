"""A stand-in server per test and a client of it."""

from collections.abc import AsyncIterator

import pytest

from flowmesh.sdk import Client
from tests.unit.sdk.stand_ins import StandIn


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with StandIn().serving() as stand_in:
        yield stand_in


@pytest.fixture
async def client(server: StandIn) -> AsyncIterator[Client]:
    async with await Client.connect(server.address) as connected:
        yield connected
