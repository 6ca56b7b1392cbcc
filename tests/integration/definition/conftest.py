"""A catalog of definitions on its own database, with a real bus."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
import pytest
import structlog

from flowmesh.bus import Announcer, Bus
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.notices import Notices
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definition.storage.transaction import Transaction
from flowmesh.definition.versions import Versions
from flowmesh.embedded import EmbeddedServers
from flowmesh.storage import open_database
from flowmesh.telemetry import Metrics

PREFIX = "definition-tests"


def notices_on(bus: Bus, receivers: Collection[str] = ()) -> Notices:
    """Announce to these receivers."""
    subject = f"{PREFIX}.definitions.changed"
    announcer = Announcer(bus, subject, sender="one", receivers=lambda: receivers)
    return Notices(announcer=announcer, log=structlog.get_logger())


@pytest.fixture
async def pool(migrated: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    migrations = files("flowmesh.definition").joinpath("migrations")
    async with open_database(migrated, schema="definition", migrations=migrations) as pool:
        yield pool


@pytest.fixture
async def bus(servers: EmbeddedServers) -> AsyncIterator[Bus]:
    bus = Bus(servers.nats)
    bus.start()
    await bus.until_connected()
    yield bus
    await bus.close()


@pytest.fixture
def catalog(pool: "asyncpg.Pool[asyncpg.Record]", bus: Bus) -> DefinitionCatalog:
    return _catalog(pool, bus)


@pytest.fixture
def other_catalog(pool: "asyncpg.Pool[asyncpg.Record]", bus: Bus) -> DefinitionCatalog:
    """The catalog of another process on the same database."""
    return _catalog(pool, bus)


class OvertakenStore(DefinitionStore):
    """A store whose next change waits for a change of another process."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        super().__init__(pool)
        self.first: Callable[[], Awaitable[object]] | None = None

    @asynccontextmanager
    async def change(self, namespace: str) -> AsyncIterator[Transaction]:
        first, self.first = self.first, None
        if first is not None:
            await first()
        async with super().change(namespace) as change:
            yield change


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A process on the database of `catalog` that loses a race against it."""

    store: OvertakenStore
    catalog: DefinitionCatalog
    versions: Versions


@pytest.fixture
def overtaken(pool: "asyncpg.Pool[asyncpg.Record]", bus: Bus) -> Overtaken:
    store = OvertakenStore(pool)
    notices = notices_on(bus)
    catalog = DefinitionCatalog(
        store=store, notices=notices, metrics=Metrics(), workflows_max=lambda _: 0
    )
    return Overtaken(store, catalog, Versions(store=store, catalog=catalog, notices=notices))


def _catalog(pool: "asyncpg.Pool[asyncpg.Record]", bus: Bus) -> DefinitionCatalog:
    notices = notices_on(bus)
    return DefinitionCatalog(
        store=DefinitionStore(pool), notices=notices, metrics=Metrics(), workflows_max=lambda _: 0
    )
