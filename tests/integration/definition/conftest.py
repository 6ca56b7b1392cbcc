"""A library of definitions on a database of its own, with the real bus."""

from collections.abc import AsyncIterator
from importlib.resources import files

import asyncpg
import pytest
import structlog

from flowmesh.bus import Bus
from flowmesh.definition.library import Library
from flowmesh.definition.notices import Notices
from flowmesh.definition.store import DefinitionStore
from flowmesh.embedded import EmbeddedServers
from flowmesh.storage import open_database
from flowmesh.telemetry import Metrics

PREFIX = "definition-tests"


@pytest.fixture
async def pool(database: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    migrations = files("flowmesh.definition").joinpath("migrations")
    async with open_database(database, schema="definition", migrations=migrations) as pool:
        yield pool


@pytest.fixture
async def bus(servers: EmbeddedServers) -> AsyncIterator[Bus]:
    bus = Bus(servers.nats)
    bus.start()
    await bus.until_connected()
    yield bus
    await bus.close()


@pytest.fixture
def library(pool: "asyncpg.Pool[asyncpg.Record]", bus: Bus) -> Library:
    return _library(pool, bus)


@pytest.fixture
def another_library(pool: "asyncpg.Pool[asyncpg.Record]", bus: Bus) -> Library:
    """That of another process, on the same rows."""
    return _library(pool, bus)


def _library(pool: "asyncpg.Pool[asyncpg.Record]", bus: Bus) -> Library:
    notices = Notices(bus=bus, prefix=PREFIX, log=structlog.get_logger())
    return Library(store=DefinitionStore(pool), notices=notices, metrics=Metrics())
