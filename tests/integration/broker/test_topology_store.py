"""Topologies on a real database: sizes and versions of namespaces, and the cost of a change."""

import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker.store import MIGRATIONS, SCHEMA, StoredQueue, TopologyStore
from flowmesh.storage import open_database

LARGE = 10_000


@pytest.fixture
async def pool(migrated: str) -> AsyncIterator[Any]:
    async with open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as opened:
        yield opened


def queue(namespace: str, name: str) -> StoredQueue:
    return StoredQueue(namespace, uuid.uuid4().hex, pb.Queue(queue=name))


async def sizes(store: TopologyStore, namespace: str) -> tuple[int, int, int]:
    async with store.change(namespace) as change:
        return change.exchanges, change.queues, change.bindings


async def test_a_namespace_knows_its_sizes(pool: Any) -> None:
    """After additions, repeats, and removals with the bindings of what is removed."""
    store = TopologyStore(pool)
    async with store.change("n") as change:
        for name in ("a", "b"):
            await change.add_exchange(pb.Exchange(exchange=name, type=pb.EXCHANGE_TYPE_TOPIC))
            await change.add_queue(queue("n", name))
        for source, target in (("a", "a"), ("a", "b"), ("b", "b")):
            assert await change.add_binding(pb.Binding(source=source, queue=target))
        assert not await change.add_binding(pb.Binding(source="a", queue="a"))
        await change.add_binding(pb.Binding(source="b", exchange="a"))
    assert await sizes(store, "n") == (2, 2, 4)
    assert await sizes(store, "other") == (0, 0, 0)
    async with store.change("n") as change:
        await change.remove_exchange("a")
    assert await sizes(store, "n") == (1, 2, 1)
    async with store.change("n") as change:
        await change.remove_queue("b")
        await change.remove_queue("missing")
    assert await sizes(store, "n") == (1, 1, 0)


async def test_a_version_counts_changes(pool: Any) -> None:
    """One without an effect, and one that fails, leave it as it is."""
    store = TopologyStore(pool)
    async with store.change("n") as change:
        await change.add_queue(queue("n", "q"))
    assert (change.version, await store.version("n")) == (1, 1)
    async with store.change("n") as change:
        assert not await change.remove_queue("missing")
    assert (change.version, await store.version("n")) == (1, 1)
    with suppress(ZeroDivisionError):
        async with store.change("n") as change:
            await change.add_queue(queue("n", "lost"))
            raise ZeroDivisionError
    assert (await store.load("n")).version == 1
    assert [each.name for each in (await store.load("n")).queues] == ["q"]


async def rows_read(store: TopologyStore) -> int:
    """The rows that the declaration and the binding of a queue read."""
    name = uuid.uuid4().hex
    async with store.change("n") as change:
        assert await change.queue(name) is None
        await change.add_queue(queue("n", name))
        assert await change.exchange("x") is not None
        await change.add_binding(pb.Binding(source="x", queue=name, key="k"))
        found: int = await change._connection.fetchval(
            "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int"
            f" from pg_stat_xact_user_tables where schemaname = '{SCHEMA}'"
        )
        return found


@pytest.mark.feature("S4-68")
async def test_a_declaration_costs_the_same_in_a_large_namespace(pool: Any) -> None:
    """BB5: with none and with 10,000 queues and bindings it reads the same few rows."""
    store = TopologyStore(pool)
    async with store.change("n") as change:
        await change.add_exchange(pb.Exchange(exchange="x", type=pb.EXCHANGE_TYPE_TOPIC))
    small = await rows_read(store)
    await pool.execute(
        "insert into queues (namespace, queue, id, body)"
        f" select 'n', 'q' || n, 'id' || n, '' from generate_series(1, {LARGE}) as n"
    )
    await pool.execute(
        "insert into bindings (namespace, source, queue, exchange, digest, body)"
        f" select 'n', 'x', 'q' || n, '', '', '' from generate_series(1, {LARGE}) as n"
    )
    await pool.execute("analyze queues, bindings")
    assert await sizes(store, "n") == (1, LARGE + 1, LARGE + 1)
    # How many of a handful of rows an index finds depends on the statistics.
    assert 0 < small < 20
    assert 0 < await rows_read(store) < 20
