"""What the tests of bad input share: a suite to attack, and what its steps call."""

from collections.abc import AsyncIterator

import grpc.aio
import pytest
import pytest_asyncio

from flowmesh.testing.suite import Suite, raw_channel
from flowmesh.testing.world import World
from tests.badinput.bench import Bench


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def victim(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite of its own: some of what is sent here is understood."""
    async with Suite(tmp_path_factory.mktemp("badinput") / "data") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def wire(victim: Suite) -> AsyncIterator[grpc.aio.Channel]:
    """A plain gRPC channel to it."""
    async with raw_channel(victim) as channel:
        yield channel


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench(victim: Suite, wire: grpc.aio.Channel) -> AsyncIterator[Bench]:
    """Ways to ask the suite for anything, and a service that answers as much as it is asked."""
    async with Bench(victim, wire) as opened:
        yield opened


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The services that steps call, for one test."""
    async with World() as running:
        yield running
