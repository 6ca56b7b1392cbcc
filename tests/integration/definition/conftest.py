"""A library of definitions on a database of its own, with the real bus."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
import pytest
import structlog

from flowmesh.bus import Bus
from flowmesh.definition.library import Library
from flowmesh.definition.notices import Notices
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definition.storage.transaction import Transaction
from flowmesh.definition.versions import Versions
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


class OvertakenStore(DefinitionStore):
    """One whose next change waits until another process has done something."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        super().__init__(pool)
        self.first: Callable[[], Awaitable[object]] | None = None

    def change(self, namespace: str) -> AbstractAsyncContextManager[Transaction]:
        return self._overtaken(namespace)

    @asynccontextmanager
    async def _overtaken(self, namespace: str) -> AsyncIterator[Transaction]:
        first, self.first = self.first, None
        if first is not None:
            await first()
        async with super().change(namespace) as change:
            yield change


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A process on the same rows as that of `library`, which overtakes it."""

    store: OvertakenStore
    library: Library
    versions: Versions


@pytest.fixture
def overtaken(pool: "asyncpg.Pool[asyncpg.Record]", bus: Bus) -> Overtaken:
    store = OvertakenStore(pool)
    notices = Notices(bus=bus, prefix=PREFIX, log=structlog.get_logger())
    library = Library(store=store, notices=notices, metrics=Metrics())
    return Overtaken(store, library, Versions(store=store, library=library, notices=notices))


def _library(pool: "asyncpg.Pool[asyncpg.Record]", bus: Bus) -> Library:
    notices = Notices(bus=bus, prefix=PREFIX, log=structlog.get_logger())
    return Library(store=DefinitionStore(pool), notices=notices, metrics=Metrics())
