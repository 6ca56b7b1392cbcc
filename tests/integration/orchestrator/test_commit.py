"""The commit statement: a batch applies fully or not at all, fenced by partition, and once."""

import asyncio
import contextlib

import pytest

from flowmesh.orchestrator.model.errors import IncarnationOver
from flowmesh.orchestrator.storage.batch import CommitBatch
from flowmesh.orchestrator.storage.commit_connection import CommitConnection
from flowmesh.orchestrator.storage.statements import commit_statement
from flowmesh.orchestrator.storage.store import OrchestratorStore
from tests.integration.orchestrator.conftest import NewNode
from tests.integration.orchestrator.factories import Node, completed, started

PAUSE_S = 0.02


async def history_of(store: OrchestratorStore, execution_id: str) -> list[int]:
    """First sequences of an execution's rows."""
    rows = await store.pool.fetch(
        "select seq from orchestrator.history where execution_id = $1 order by seq", execution_id
    )
    return [row["seq"] for row in rows]


async def test_a_batch_is_stored_whole(new_node: NewNode, store: OrchestratorStore) -> None:
    """Execution, plan, history and outbox row are there after one commit."""
    node = await new_node()
    await node.claim()
    batch = CommitBatch()
    state = started(batch, 3)

    committed = await node.commit(batch)

    assert committed.started == {state.execution_id}
    assert 3 in committed.partitions
    (loaded,) = await store.executions.load([state.execution_id], {})
    assert loaded.plan_body == state.plan.body
    row = await store.outbox.committed_at(node.line.incarnation, 1)
    assert row is not None
    assert row.execution_ids == [state.execution_id]


async def test_rows_of_a_lost_partition_are_left_out(new_node: NewNode) -> None:
    """The other partitions of the batch commit; the answer says which did."""
    first, second = await new_node(), await new_node()
    await first.claim()
    await first.store.pool.execute(
        "update orchestrator.partitions set incarnation = $1, epoch = epoch + 1 where id = 5",
        second.line.incarnation,
    )
    batch = CommitBatch()
    kept, lost = started(batch, 4), started(batch, 5)

    committed = await first.commit(batch)

    assert committed.started == {kept.execution_id}
    assert 5 not in committed.partitions
    assert await history_of(first.store, lost.execution_id) == []
    row = await first.store.outbox.committed_at(first.line.incarnation, 1)
    assert row is not None
    assert row.execution_ids == [kept.execution_id]


async def test_a_stale_owner_cannot_commit_in_a_race(new_node: NewNode) -> None:
    """The first to raise the epoch wins, commit by commit, over 50 races."""
    old, new = await new_node(), await new_node()
    await old.claim()
    for _ in range(50):
        partition = 9
        batch = CommitBatch()
        state = started(batch, partition)

        async def take_over(old: Node = old, new: Node = new) -> None:
            await old.store.pool.execute(
                "update orchestrator.partitions set incarnation = $1, epoch = epoch + 1"
                " where id = 9",
                new.line.incarnation,
            )

        committed, _ = await asyncio.gather(old.commit(batch), take_over())
        stored = await history_of(old.store, state.execution_id)
        assert bool(stored) == (partition in committed.partitions)

        late = CommitBatch()
        refused = started(late, partition)
        assert partition not in (await old.commit(late)).partitions
        assert await history_of(old.store, refused.execution_id) == []
        old, new = new, old
        old.epochs[partition] = await old.store.pool.fetchval(
            "select epoch from orchestrator.partitions where id = 9"
        )


async def test_the_same_statement_twice_applies_once(
    new_node: NewNode, store: OrchestratorStore
) -> None:
    """Sent again after a lost reply, in parallel with the first send: 100 times."""
    node = await new_node()
    await node.claim()
    for _ in range(100):
        batch = CommitBatch()
        state = started(batch, 1)
        again = CommitConnection(store.pool, store.outbox)
        await again.begin(node.line.incarnation)
        again.position = node.line.position

        outcomes = await asyncio.gather(
            node.line.commit(batch, node.epochs), again.commit(batch, node.epochs)
        )

        assert await history_of(store, state.execution_id) == [1]
        assert [one.started for one in outcomes] == [{state.execution_id}] * 2
        assert [one.partitions for one in outcomes] == [set(node.epochs)] * 2
        assert node.line.position == again.position
        await again.close()


async def test_an_incarnation_whose_position_went_elsewhere_is_over(
    new_node: NewNode, store: OrchestratorStore
) -> None:
    """A database that went back, or a second process under the same number, ends it."""
    node = await new_node()
    await node.claim()
    await store.pool.execute(
        "update orchestrator.incarnations set position = 7 where id = $1", node.line.incarnation
    )
    batch = CommitBatch()
    started(batch, 1)
    with pytest.raises(IncarnationOver):
        await node.commit(batch)


async def test_a_request_id_names_one_execution(new_node: NewNode) -> None:
    """A later start under it creates nothing, not even history."""
    node = await new_node()
    await node.claim()
    first, again = CommitBatch(), CommitBatch()
    one = started(first, 2, "key")
    await node.commit(first)
    other = started(again, 2, "key")

    committed = await node.commit(again)

    assert committed.started == frozenset()
    assert await history_of(node.store, other.execution_id) == []
    (row,) = await node.store.starts.started_under(["default"], ["key"])
    assert row.id == one.execution_id


async def test_a_killed_connection_does_not_lose_or_repeat_a_commit(
    new_node: NewNode, store: OrchestratorStore
) -> None:
    """The backend is terminated repeatedly during commits; every commit applies once."""
    node = await new_node()
    await node.claim()
    stop = asyncio.Event()

    async def terminate() -> None:
        while not stop.is_set():
            await store.pool.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where query like '%The one statement%' and pid <> pg_backend_pid()"
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE_S)

    killer = asyncio.create_task(terminate())
    states = []
    for number in range(20):
        batch = CommitBatch()
        states.append(started(batch, number % 64))
        await node.commit(batch)
        more = CommitBatch()
        completed(more, states[-1], number % 64, "a")
        await node.commit(more)
    stop.set()
    await killer

    for state in states:
        assert len(await history_of(store, state.execution_id)) == 2
    assert node.line.position == 40


async def test_an_idle_commit_connection_holds_no_locks(
    new_node: NewNode, store: OrchestratorStore
) -> None:
    """Its statements are prepared, and no transaction is left open by that."""
    await new_node()
    async with store.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "set local lock_timeout = '2s';"
            "lock table orchestrator.partitions, orchestrator.outbox, orchestrator.executions"
        )


async def test_served_outbox_rows_go_with_a_later_commit(new_node: NewNode) -> None:
    """Rows that event services have stored are deleted, none above them."""
    node = await new_node()
    await node.claim()
    for _ in range(3):
        batch = CommitBatch()
        started(batch, 1)
        await node.commit(batch)
    batch = CommitBatch()
    started(batch, 1)
    batch.served = {node.line.incarnation: 2}
    await node.commit(batch)
    rows = await node.store.pool.fetch("select position from orchestrator.outbox order by 1")
    assert [row["position"] for row in rows] == [3, 4]


async def test_each_incarnation_claims_its_share(new_node: NewNode) -> None:
    """Claims get free partitions up to their limit, each partition once."""
    nodes = [await new_node() for _ in range(3)]
    await asyncio.gather(*(node.claim(22) for node in nodes))
    owned = [p for node in nodes for p in node.epochs]
    assert len(owned) == len(set(owned)) == 64


async def test_the_plans_of_the_statement_use_indexes_on_a_filled_table(
    new_node: NewNode, store: OrchestratorStore
) -> None:
    """No commit scans the executions or the history, however many rows there are."""
    node = await new_node()
    await node.claim()
    before = CommitBatch()
    state = started(before, 1)
    await node.commit(before)
    await store.pool.execute(
        "insert into orchestrator.executions (id, partition, namespace, workflow_id,"
        " workflow_name, workflow_version, plan_digest, status, started_at)"
        " select 'exec-' || lpad(i::text, 20, '0'), i % 64, 'default', 'w', 'w', 1, 'd', 4, 1"
        " from generate_series(1, 50000) i"
    )
    await store.pool.execute("analyze orchestrator.executions")
    async with store.pool.acquire() as connection:
        scans = (
            "select coalesce(sum(seq_tup_read), 0) from pg_stat_xact_user_tables"
            " where relname = 'executions'"
        )
        async with connection.transaction():
            batch = CommitBatch()
            started(batch, 1)
            completed(batch, state, 1, "a")
            arguments = batch.arguments(node.line.incarnation, node.line.position, node.epochs)
            await connection.execute("set local plan_cache_mode = force_generic_plan")
            await connection.fetchrow(commit_statement(batch.parts), *arguments)
            assert await connection.fetchval(scans) == 0
