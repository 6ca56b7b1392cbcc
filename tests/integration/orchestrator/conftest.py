"""Orchestrator stores on a fresh, migrated database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.resources import files

import pytest_asyncio

from flowmesh.orchestrator.ownership.lease_keeper import LEASE_MS
from flowmesh.orchestrator.storage.commit_connection import CommitConnection
from flowmesh.orchestrator.storage.database import Queries
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.storage import open_database
from tests.integration.orchestrator.factories import Node

NewNode = Callable[[], Awaitable[Node]]


@pytest_asyncio.fixture(loop_scope="session")
async def store(migrated: str) -> AsyncIterator[OrchestratorStore]:
    """The tables of one test, with today's history partitions."""
    migrations = files("flowmesh.orchestrator.storage.migrations")
    opened = open_database(
        migrated, schema="orchestrator", migrations=migrations, application="test", pool_max=10
    )
    async with opened as pool:
        made = OrchestratorStore(Queries(pool))
        await made.history_days.ensure(1)
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def new_node(store: OrchestratorStore) -> AsyncIterator[NewNode]:
    """Makes incarnations that own nothing yet, each with its own line."""
    async with AsyncExitStack() as stack:

        async def make() -> Node:
            line = CommitConnection(store.pool, store.outbox)
            await line.begin(await store.partitions.register("127.0.0.1:1", "", LEASE_MS))
            stack.push_async_callback(line.close)
            return Node(store, line)

        yield make
