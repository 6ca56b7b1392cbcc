"""Metered use: committed with the events that cause it, once, and folded without a loss."""

import asyncio

from flowmesh.api.execution.v1 import meter_service_pb2 as pb
from flowmesh.engine import State, Transition
from flowmesh.orchestrator.operations.meters import HOUR_US, Meters
from flowmesh.orchestrator.storage.batch import CommitBatch
from flowmesh.orchestrator.storage.commit_connection import CommitConnection
from flowmesh.orchestrator.storage.store import OrchestratorStore
from tests.integration.orchestrator.conftest import NewNode
from tests.integration.orchestrator.factories import digested, started
from tests.unit.engine.factories import node, plan

AT_US = 500_000 * HOUR_US


def begun(batch: CommitBatch, partition: int, namespace: str, request_id: str = "") -> State:
    of = plan(node("a"))
    message = of.message
    message.namespace = namespace
    state = started(batch, partition, request_id, of=digested(of))
    used_by_model = ("claude", "claude-sonnet-5", 3, 4, 100)
    batch.usages.append((partition, namespace, state.execution_id, "a", 1, 0, *used_by_model))
    batch.meter(state, partition, Transition(state), AT_US, is_start=True)
    return state


async def used(store: OrchestratorStore, namespace: str) -> tuple[int, int]:
    found = await store.meters.sum([namespace], 0, 2**31 - 1)
    return found.executions, found.tokens


async def test_a_commit_sent_twice_is_metered_once(
    new_node: NewNode, store: OrchestratorStore
) -> None:
    """Sent again after a lost reply, in parallel with the first send: 20 times."""
    one = await new_node()
    await one.claim()
    for _ in range(20):
        batch = CommitBatch()
        begun(batch, 1, "metered-once")
        again = CommitConnection(store.pool, store.outbox)
        await again.begin(one.line.incarnation)
        again.position = one.line.position
        await asyncio.gather(one.line.commit(batch, one.epochs), again.commit(batch, one.epochs))
        await again.close()

    assert await used(store, "metered-once") == (20, 140)


async def test_a_lost_partition_is_not_metered(new_node: NewNode, store: OrchestratorStore) -> None:
    """The executions of other partitions in the batch are, with what follows their start."""
    first, second = await new_node(), await new_node()
    await first.claim()
    await store.pool.execute(
        "update orchestrator.partitions set incarnation = $1, epoch = epoch + 1 where id = 5",
        second.line.incarnation,
    )
    batch = CommitBatch()
    for partition, namespace in ((4, "metered-kept"), (5, "metered-lost")):
        state = begun(batch, partition, namespace)
        batch.meter(state, partition, Transition(state), AT_US, is_start=False)

    await first.commit(batch)

    assert await used(store, "metered-kept") == (1, 14)
    assert await used(store, "metered-lost") == (0, 0)


async def test_a_repeated_start_is_not_metered(new_node: NewNode, store: OrchestratorStore) -> None:
    """The second request of an id creates no execution."""
    one = await new_node()
    await one.claim()
    for _ in range(2):
        batch = CommitBatch()
        begun(batch, 3, "metered-repeated", "the-same-request")
        await one.commit(batch)

    assert await used(store, "metered-repeated") == (1, 7)


async def test_folding_keeps_the_sums(new_node: NewNode, store: OrchestratorStore) -> None:
    """Rows of several incarnations become one, also if more is committed to an old hour."""
    for _ in range(3):
        one = await new_node()
        await one.claim()
        batch = CommitBatch()
        begun(batch, 6, "metered-fold")
        one.epochs = await _claimed(store, one.line.incarnation)
        await one.commit(batch)
        await store.meters.fold(AT_US // HOUR_US + 1)

    assert await used(store, "metered-fold") == (3, 21)
    rows = await store.pool.fetch(
        "select source from orchestrator.meters where namespace = 'metered-fold'"
    )
    assert [row["source"] for row in rows] == [""]


async def _claimed(store: OrchestratorStore, incarnation: int) -> dict[int, int]:
    """Take partition 6 from its owner."""
    epoch = await store.pool.fetchval(
        "update orchestrator.partitions set incarnation = $1, epoch = epoch + 1 where id = 6"
        " returning epoch",
        incarnation,
    )
    return {6: epoch}


async def test_a_repeated_booking_adds_nothing(store: OrchestratorStore) -> None:
    """The greatest amount of a source in an hour counts, and old hours are dropped."""
    meters = Meters(store=store.meters, now_us=lambda: AT_US)
    for at_us, seconds in ((AT_US, 30), (AT_US, 60), (AT_US, 60), (AT_US, 20), (1, 1_000)):
        booking = pb.Booking(source="agent-1", namespace="metered-agents", at_us=at_us)
        booking.used.agent_seconds = seconds
        await meters.book(pb.BookMetersRequest(bookings=[booking, booking]))

    found = await meters.sum(
        pb.SumMetersRequest(namespaces=["metered-agents"], from_us=1, to_us=AT_US + 1)
    )
    assert found.used == pb.Metered(agent_seconds=60)


async def test_pages_have_each_hour_once(store: OrchestratorStore) -> None:
    """Newest first, over all sources, within the range."""
    meters = Meters(store=store.meters, now_us=lambda: AT_US)
    hours = [AT_US - number * HOUR_US for number in range(5)]
    for at_us in hours:
        bookings = [
            pb.Booking(source=source, namespace="paged", at_us=at_us, used=pb.Metered(tokens=1))
            for source in ("a", "b")
        ]
        await meters.book(pb.BookMetersRequest(bookings=bookings))
    request = pb.ListMetersRequest(
        namespace="paged", from_us=hours[3], to_us=AT_US + 1, page_size=3
    )
    first = await meters.listed(request)
    request.page_token = first.next_page_token
    second = await meters.listed(request)

    assert [each.hour_us for each in (*first.hours, *second.hours)] == hours[:4]
    assert {each.used.tokens for each in first.hours} == {2}
    assert not second.next_page_token
