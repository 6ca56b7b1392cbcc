"""Partitions of the event store: queries of the running system skip old ones."""

import re
import uuid
from importlib.resources import files
from typing import Any

import asyncpg
import pytest

from flowmesh.eventstore.limits import PARTITION_EVENTS
from flowmesh.sdk import Client, NewEvent
from flowmesh.storage import load_queries
from flowmesh.testing.suite import Suite
from tests.features.store import database, one_row

QUERIES: Any = load_queries(files("flowmesh.eventstore").joinpath("sql"))
OLD, NEW = "events_0", "events_1"


async def partitions(connection: Any, query: Any, *values: Any) -> set[str]:
    """The partitions in the plan of a query of the event service."""
    rows = await connection.fetch(f"explain (costs off) {query.sql}", *values)
    plan = "\n".join(row[0] for row in rows)
    # A scan names its partition, then an alias.
    return set(re.findall(r" on (events_\d+)\b(?!_)", plan))


@pytest.mark.feature("S4-91")
async def test_queries_skip_the_partitions_that_have_no_answer(suite: Suite) -> None:
    """A million positions later, reads of new events do not look at old ones, and vice versa."""
    namespace = f"tenant-{uuid.uuid4().hex[:8]}"
    async with Client(suite.grpc_address, namespace=namespace) as client:
        store = client.event_store
        await store.append("old-1", *(NewEvent("Counted", n) for n in range(5)))
        owner = await asyncpg.connect(str(suite.about["postgres"]))
        await owner.execute(
            "update eventstore.namespaces set head = $1 where namespace = $2",
            PARTITION_EVENTS - 10,
            namespace,
        )
        await owner.close()
        await store.append("edge-1", *(NewEvent("Counted", n) for n in range(20)))
        last = (await store.append("new-1", *(NewEvent("Counted", n) for n in range(5)))).position
        await store.put_snapshot("new-1", 3, {"sum": 3})
        snapshot, tail = await store.load("new-1")
        assert snapshot is not None
        assert (snapshot.version, [each.data for each in tail]) == (3, [3, 4])
        assert [each.data async for each in store.read("edge-1")] == list(range(20))
        page = await store.read_all(after=PARTITION_EVENTS, count=100)
        assert {each.stream for each in page.events} == {"edge-1", "new-1"}
    async with database(suite, "eventstore") as connection:
        bounds = "select first_position, last_position from streams where namespace = $1"
        found = {}
        for stream in ("old-1", "edge-1", "new-1"):
            row = await one_row(connection, f"{bounds} and stream = $2", namespace, stream)
            of_stream = (namespace, stream, 1, row["first_position"], row["last_position"], 10)
            found[stream] = await partitions(connection, QUERIES.places_forwards, *of_stream)
        assert found == {"old-1": {OLD}, "edge-1": {OLD, NEW}, "new-1": {NEW}}
        after = (namespace, PARTITION_EVENTS, 10)
        assert OLD not in await partitions(connection, QUERIES.places_of_all, *after)
        of_category = (namespace, "new", PARTITION_EVENTS, 10)
        assert OLD not in await partitions(connection, QUERIES.places_of_category, *of_category)
        assert await partitions(connection, QUERIES.events_at, namespace, [last]) == {NEW}
