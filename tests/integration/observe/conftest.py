"""The tables of the observe service on a fresh database."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.observe.store import MIGRATIONS, SCHEMA, Retention, SignalStore, day_of
from flowmesh.storage import open_database


@pytest.fixture
async def pool(migrated: str) -> AsyncIterator[Any]:
    async with open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as opened:
        yield opened


@pytest.fixture
def now_us() -> int:
    return time.time_ns() // 1_000


@pytest.fixture
async def signals(pool: Any, now_us: int) -> SignalStore:
    """A store that takes signals of today and of yesterday."""
    store = SignalStore(pool)
    await store.keep(Retention(days=15, months=13, logs_days=7, bytes_max=1 << 40), day_of(now_us))
    return store
