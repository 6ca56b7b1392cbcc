"""What the feature tests share: the HTTP world that workflows call, and a suite to attack."""

from collections.abc import AsyncIterator

import grpc.aio
import pytest

from flowmesh.testing.suite import Suite, raw_channel
from flowmesh.testing.world import World
from tests.features.closed import Closed, closed_suite


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The services that steps call, for one test."""
    async with World() as running:
        yield running


@pytest.fixture(scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    """A closed suite with its default settings, shared by the tests that only use it."""
    async with closed_suite(tmp_path_factory.mktemp("installation")) as made:
        yield made


@pytest.fixture(scope="module")
async def closed(installation: Closed) -> Closed:
    """This suite with a login of the module."""
    return await installation.renewed()


@pytest.fixture(scope="module")
async def victim(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite of its own: some of what is sent here is understood."""
    folder = tmp_path_factory.mktemp("victim")
    environment = {"FLOWMESH_ARCHIVE_DIR": str(folder / "archive")}
    async with Suite(folder / "data", environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
async def wire(victim: Suite) -> AsyncIterator[grpc.aio.Channel]:
    """A plain gRPC channel to it."""
    async with raw_channel(victim) as channel:
        yield channel
