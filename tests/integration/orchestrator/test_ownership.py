"""Leases and partitions while renewals are late, receivers are silent and processes drain."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
import structlog

from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.ownership.lease_keeper import LEASE_MS, LeaseKeeper, LeaseLoop
from flowmesh.orchestrator.ownership.ownership import YOUNG_MS, Ownership
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.orchestrator.storage.stores.outbox_store import OutboxStore
from flowmesh.orchestrator.storage.stores.partition_store import PartitionStore
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import pause
from tests.integration.orchestrator.core import FailingQueries, FakeClock, Silent, running, until
from tests.integration.orchestrator.factories import TWO_STEPS


class Told:
    """Records the calls of a lease keeper to its process."""

    def __init__(self, ownership: Ownership) -> None:
        self.ownership = ownership
        self.gains: list[tuple[int, frozenset[str] | None]] = []
        self.over = 0
        self.resumptions = 0
        self.committing = asyncio.Event()
        self.committing.set()

    async def gained(self, partitions: dict[int, int], workers: frozenset[str] | None) -> None:
        self.gains.append((len(partitions), workers))

    def lost(self, partitions: Iterable[int]) -> None:
        pass

    def resumed(self) -> None:
        self.resumptions += 1

    def incarnation_over(self) -> None:
        self.over += 1


def keeper_of(queries: FailingQueries, clock: FakeClock | None = None) -> tuple[LeaseKeeper, Told]:
    clock = clock or FakeClock()
    told = Told(Ownership(clock=clock, metrics=OrchestratorMetrics(Metrics())))
    keeper = LeaseKeeper(
        store=PartitionStore(queries),
        outbox=OutboxStore(queries),
        ownership=told.ownership,
        owner=told,
        barrier=told.committing.wait,  # type: ignore[arg-type]
        renewed=lambda _: None,
        clock=clock,
        log=structlog.get_logger("test"),
        address="127.0.0.1:2",
        data_dir_id="",
        partition_stub=lambda _: silent(),
    )
    return keeper, told


def silent() -> Any:
    return Silent()


async def alive(store: OrchestratorStore) -> list[int]:
    rows = await store.pool.fetch(
        "select id from orchestrator.incarnations where lease_until > now() order by id"
    )
    return [row["id"] for row in rows]


def lease_loop(keeper: LeaseKeeper, told: Told) -> LeaseLoop:
    return LeaseLoop(keeper, expired=lambda: None, over=told.incarnation_over)


async def test_a_drained_process_leaves_no_lease_behind(store: OrchestratorStore) -> None:
    """Neither a renewal that was on its way nor a late hand-over brings it back."""
    failing, clock = FailingQueries(store.pool), FakeClock()
    keeper, told = keeper_of(failing, clock)
    await keeper.register()
    clock.ahead_ms = YOUNG_MS
    await keeper.renew()
    gate = failing.hold("renew_lease")
    renewal = asyncio.create_task(keeper.renew())
    await failing.reached["renew_lease"].wait()
    failing.held.clear()
    await keeper.drain()
    await store.pool.execute(
        "update orchestrator.incarnations set lease_until = now() + $1::interval",
        timedelta(milliseconds=LEASE_MS),
    )
    gate.set()
    await renewal
    assert await alive(store) == []

    await store.pool.execute(
        "update orchestrator.partitions set incarnation = $1", told.ownership.incarnation
    )
    await keeper.receive()
    assert await alive(store) == []
    assert told.ownership.epochs == {}
    assert told.gains == [(64, None)]


async def test_a_receiver_that_does_not_answer_does_not_hold_up_the_renewal(
    store: OrchestratorStore,
) -> None:
    """32 calls of a second each would cost the lease."""
    first, of_first = keeper_of(FailingQueries(store.pool))
    await first.register()
    await first.renew()
    second, of_second = keeper_of(FailingQueries(store.pool))
    await second.register()
    await asyncio.wait_for(first.renew(), 5)
    await second.renew()
    assert (len(of_first.ownership.epochs), len(of_second.ownership.epochs)) == (32, 32)
    await asyncio.gather(first.drain(), second.drain())


async def test_an_incarnation_that_the_database_does_not_know_is_over(
    store: OrchestratorStore,
) -> None:
    """A database that went back may give its number away again."""
    async with running(store) as core:
        before = core.memory.ownership.incarnation
        await store.pool.execute("delete from orchestrator.incarnations")
        await core.renew()
        await until(lambda: core.memory.ownership.incarnation > before)
        await until(lambda: len(core.memory.ownership.epochs) == 64)
        assert await core.start(TWO_STEPS)


async def test_an_incarnation_that_ends_while_the_next_one_begins_leaves_one(
    store: OrchestratorStore,
) -> None:
    """All parts of the process speak for the same one afterwards."""
    async with running(store) as core:
        gate = core.queries.hold("register_incarnation")
        core.life.incarnation.over()
        await core.queries.reached["register_incarnation"].wait()
        core.life.incarnation.over()
        core.queries.held.clear()
        await core.renew()
        gate.set()
        await until(lambda: not core.memory.background.busy)
        assert len(core.memory.ownership.epochs) == 64
        assert core.memory.line.incarnation == core.memory.ownership.incarnation
        assert await alive(store) == [core.memory.ownership.incarnation]
        assert await core.start(TWO_STEPS)


async def test_a_renewal_answered_before_a_claim_does_not_take_the_claim_back(
    store: OrchestratorStore,
) -> None:
    """Its answer is from before; the partitions are ours."""
    failing, clock = FailingQueries(store.pool), FakeClock()
    keeper, told = keeper_of(failing, clock)
    await keeper.register()
    clock.ahead_ms = YOUNG_MS
    gate = failing.hold("renew_lease")
    renewal = asyncio.create_task(keeper.renew())
    await failing.reached["renew_lease"].wait()
    failing.held.clear()
    keeper.next_claim_ms = 0.0
    await keeper.claim_if_due()
    gate.set()
    await renewal
    assert len(told.ownership.epochs) == 64
    assert told.gains == [(64, None)]
    await keeper.drain()


async def test_a_claim_whose_answer_was_lost_counts_as_a_take_over_after_a_crash(
    store: OrchestratorStore,
) -> None:
    """The former owner left no list: workers get the full second to reconnect."""
    failing, clock = FailingQueries(store.pool), FakeClock()
    keeper, told = keeper_of(failing, clock)
    await keeper.register()
    clock.ahead_ms = YOUNG_MS
    failing.failures["unpublished_incarnations"] = 1
    loop = lease_loop(keeper, told)
    assert await loop.run_once()
    assert told.gains == [(64, None)]
    await keeper.drain()


@pytest.mark.parametrize("workers", [["w1", "w2"], [], None])
async def test_a_new_owner_learns_which_workers_may_reconnect(
    store: OrchestratorStore, workers: list[str] | None
) -> None:
    """The dead owner's list; None if it had too many workers or stored no list."""
    failing = FailingQueries(store.pool)
    first, told_nothing = keeper_of(failing)
    await first.register()
    await first.renew()
    await store.partitions.record_workers(told_nothing.ownership.incarnation, ["before"])
    await store.partitions.record_workers(told_nothing.ownership.incarnation, workers)
    await store.partitions.end_lease(told_nothing.ownership.incarnation)
    second, told = keeper_of(failing)
    await second.register()
    await second.renew()
    assert told_nothing.gains == [(64, None)]
    assert told.gains == [(64, None if workers is None else frozenset(workers))]
    await store.partitions.record_workers(told.ownership.incarnation, ["w3"])
    listed = await store.pool.fetch("select * from orchestrator.attached_workers")
    assert [tuple(row) for row in listed] == [(told.ownership.incarnation, ["w3"])]
    await second.drain()


async def test_a_restored_lease_is_reported_although_a_later_step_failed(
    store: OrchestratorStore,
) -> None:
    """Else what became ready meanwhile would wait for something else to happen."""
    failing = FailingQueries(store.pool)
    clock = FakeClock()
    keeper, told = keeper_of(failing, clock)
    await keeper.register()
    clock.ahead_ms = LEASE_MS
    failing.failures["unpublished_incarnations"] = 1
    assert await lease_loop(keeper, told).run_once()
    assert failing.failed["unpublished_incarnations"] == 1
    assert told.resumptions == 1
    await keeper.renew()
    assert told.resumptions == 1
    await keeper.drain()


async def test_a_lease_that_holds_again_brings_back_nothing_that_was_taken_meanwhile(
    store: OrchestratorStore,
) -> None:
    """Not for a moment either: answers from memory would be those of an owner of before."""
    failing, clock = FailingQueries(store.pool), FakeClock()
    keeper, told = keeper_of(failing, clock)
    await keeper.register()
    await keeper.renew()
    other, of_other = keeper_of(FailingQueries(store.pool))
    await other.register()
    clock.ahead_ms = LEASE_MS
    await store.partitions.end_lease(told.ownership.incarnation)
    await other.renew()
    assert len(of_other.ownership.epochs) == 64
    # The claim in flight delays all consequences of a renewal except this one.
    told.committing.clear()
    raising = asyncio.create_task(keeper.raise_epoch(3, 7))
    renewal = asyncio.create_task(keeper.renew())
    for _ in range(20):
        await pause(0.01)
        assert not (told.ownership.lease_valid and told.ownership.epochs)
    told.committing.set()
    await asyncio.gather(raising, renewal)
    assert told.ownership.lease_valid
    assert not told.ownership.epochs
    await other.drain()
    await keeper.drain()


async def test_an_epoch_is_raised_once_however_many_dispatches_were_refused(
    store: OrchestratorStore,
) -> None:
    """And above what was seen."""
    keeper, told = keeper_of(FailingQueries(store.pool))
    await keeper.register()
    await keeper.renew()
    await asyncio.gather(*(keeper.raise_epoch(3, 7) for _ in range(5)))
    assert told.ownership.epochs[3] == 8
    await keeper.drain()
