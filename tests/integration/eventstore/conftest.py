"""A database of the event store, and its parts on it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.eventstore.store import MIGRATIONS, SCHEMA
from flowmesh.storage import open_database
from tests.integration.eventstore.made import Parts


@pytest.fixture
async def pool(migrated: str) -> AsyncIterator[Any]:
    async with open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as opened:
        yield opened


@pytest.fixture
def parts(pool: Any) -> Parts:
    return Parts(pool)
