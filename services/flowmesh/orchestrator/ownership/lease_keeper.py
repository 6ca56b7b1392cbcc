"""The lease of this process: registration, renewal once a second, and their consequences.

A process is an incarnation with one lease on the database clock. With each renewal it takes free
partitions, hands over a surplus, and drops partitions that another owner has by then.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.errors import FlowmeshError
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.model.ids import PARTITION_COUNT
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.database import CONNECTION_LOST
from flowmesh.orchestrator.storage.stores.outbox_store import OutboxStore
from flowmesh.orchestrator.storage.stores.partition_store import (
    ClaimedPartition,
    PartitionStore,
    Tenure,
)
from flowmesh.runtime import Clock, Loop

EPOCH_MAX = 1 << 62
"""Epochs from here on are never assigned to an owner."""

RENEW_RETRY_S = 0.2
RECEIVE_TIMEOUT_S = 1.0
CLAIM_PAUSE_MIN_MS = 20
CLAIM_PAUSE_MAX_MS = 500

LEASE_MS = 3_000
"""Duration of a lease from its registration or last renewal."""


class Owner(Protocol):
    """Reactions of this process to changes of its partitions."""

    async def gained(self, partitions: dict[int, int], workers: frozenset[str] | None) -> None:
        """Take over partitions, given with their epochs.

        `workers` may hold their tasks and be about to attach; None if they are unknown.
        """

    def lost(self, partitions: Iterable[int]) -> None:
        """Drop lost partitions: no task, answer or event of them may leave."""

    def resumed(self) -> None:
        """Continue after an expired lease was renewed."""


class LeaseKeeper:
    """Registers the incarnation, renews its lease, and takes and hands over partitions.

    `barrier` waits until no commit is in flight; `renewed` is called after each renewal.
    """

    def __init__(
        self,
        *,
        store: PartitionStore,
        outbox: OutboxStore,
        ownership: Ownership,
        owner: Owner,
        barrier: Callable[[], Awaitable[None]],
        renewed: Callable[[Tenure], None],
        clock: Clock,
        log: Any,
        address: str,
        data_dir_id: str,
        partition_stub: Callable[[str], pb_grpc.PartitionServiceAsyncStub],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._ownership = ownership
        self._owner = owner
        self._barrier = barrier
        self._renewed = renewed
        self._clock = clock
        self._log = log
        self._address = address
        self._data_dir_id = data_dir_id
        self._partition_stub = partition_stub
        self._lock = asyncio.Lock()
        self._calls: set[asyncio.Task[None]] = set()
        self._draining = False
        # True between the end of one incarnation and the registration of the next.
        self._over = False
        # True if the lease has expired and the owner has not been resumed since.
        self._lapsed = False
        # True if a claim was sent and its outcome is unknown.
        self._claiming = False
        self.next_claim_ms = math.inf

    @property
    def lease_valid(self) -> bool:
        return self._ownership.lease_valid

    async def register(self) -> int:
        """Register a new incarnation without partitions; return its id."""
        asked_ms = self._clock.monotonic_ms()
        incarnation = await self._store.register(self._address, self._data_dir_id, LEASE_MS)
        self._ownership.begin(incarnation, asked_ms, asked_ms + LEASE_MS)
        self._over = False
        return incarnation

    async def renew(self) -> Tenure | None:
        """Renew the lease, then take, hand over and drop partitions according to the answer.

        Returns None once this incarnation has handed everything over and needs no lease. The
        incarnation is over if the answer is not `renewed`: the caller registers a new one.
        """
        if self._ended():
            return None
        ownership = self._ownership
        asked_ms, incarnation = self._clock.monotonic_ms(), ownership.incarnation
        changes = ownership.changes
        tenure = await self._store.renew(incarnation, LEASE_MS)
        failpoint("orchestrator.renewing")
        ownership.observe_time(tenure.now_us)
        # Kept until the owner is resumed: a step in between may fail and be repeated.
        self._lapsed |= not ownership.lease_valid
        if tenure.renewed and incarnation == ownership.incarnation and ownership.lease_valid:
            ownership.extend_lease(asked_ms + LEASE_MS)
        async with self._lock:
            if self._ended() or incarnation != ownership.incarnation:
                # Other owners must not wait for a lease that was renewed after its end.
                await self._store.end_lease(incarnation)
                return None
            if not tenure.renewed:
                return tenure
            current = changes == ownership.changes
            self.lost(self._overtaken(tenure))
            # After the drop: the renewal of an expired lease must not revive lost partitions.
            ownership.extend_lease(asked_ms + LEASE_MS)
            if current:
                await self._follow(tenure)
        self._renewed(tenure)
        if self._lapsed:
            self._lapsed = False
            self._owner.resumed()
        return tenure

    def _overtaken(self, tenure: Tenure) -> list[int]:
        """Return owned partitions that another incarnation has at a higher epoch.

        This holds however late the answer arrives.
        """
        incarnation, epochs = self._ownership.incarnation, self._ownership.epochs
        return [
            partition
            for partition, (epoch, owner) in tenure.partitions.items()
            if owner != incarnation and epoch > epochs.get(partition, epoch)
        ]

    def _ended(self) -> bool:
        return self._draining or self._over

    async def _follow(self, tenure: Tenure) -> None:
        ownership = self._ownership
        ownership.see(
            {i: address for i, (address, _) in tenure.alive.items()},
            {p: incarnation for p, (_, incarnation) in tenure.partitions.items()},
        )
        mine = {p: e for p, (e, i) in tenure.partitions.items() if i == ownership.incarnation}
        gone = [p for p, epoch in ownership.epochs.items() if mine.get(p, -1) < epoch]
        if gone:
            self.lost(gone)
        received = {p: e for p, e in mine.items() if ownership.epochs.get(p, -1) < e}
        if received:
            await self._gain(received, None if self._claiming else self._attaching_workers())
        self._claiming = False
        others = [left for i, (_, left) in tenure.alive.items() if i != ownership.incarnation]
        self.next_claim_ms = self._clock.monotonic_ms() + min(others, default=math.inf) + 20
        free = sum(1 for i in ownership.owners.values() if i is None or i not in tenure.alive)
        if free:
            await self._claim(len(tenure.alive))
        await self._hand_over_surplus(tenure)

    async def claim_if_due(self) -> None:
        """Claim the partitions of an owner whose lease has just ended."""
        if self._ended() or self._clock.monotonic_ms() < self.next_claim_ms:
            return
        self.next_claim_ms = math.inf
        async with self._lock:
            if self._ended():
                return
            await self._claim(max(len(self._ownership.addresses) - 1, 1))

    async def _claim(self, alive: int) -> None:
        share = math.ceil(PARTITION_COUNT / max(alive, 1)) - len(self._ownership.epochs)
        if share <= 0:
            return
        self._claiming = True
        rows = await self._store.claim(self._ownership.incarnation, share)
        if rows:
            epochs = {row.id: row.epoch for row in rows}
            await self._gain(epochs, _workers_of(rows))
        self._claiming = False

    async def _gain(self, partitions: dict[int, int], workers: frozenset[str] | None) -> None:
        """Take partitions whose raised epochs are committed: state may be read from now on."""
        # A partition owned at an older epoch had another owner since: drop its state.
        ownership = self._ownership
        self.lost([p for p in partitions if p in ownership.epochs])
        failpoint("orchestrator.epoch_raised")
        rows = await self._outbox.unpublished(ownership.incarnation)
        inherited = {row.incarnation: row.position for row in rows}
        ownership.gain(partitions, inherited)
        self._log.info("partitions_gained", count=len(partitions))
        await self._owner.gained(partitions, workers)

    def _attaching_workers(self) -> frozenset[str] | None:
        """Return workers that may still attach after a hand-over: none; None while young."""
        return None if self._ownership.young else frozenset()

    def lost(self, partitions: Iterable[int]) -> None:
        """Drop partitions that another owner has, or is about to have."""
        gone = self._ownership.drop(partitions)
        if gone:
            self._log.info("partitions_lost", count=len(gone))
            self._owner.lost(gone)

    async def raise_epoch(self, partition: int, epoch_seen: int) -> None:
        """Raise the epoch of an owned partition above one that a worker has seen."""
        async with self._lock:
            mine = self._ownership.epochs.get(partition)
            if mine is None or mine > epoch_seen or epoch_seen >= EPOCH_MAX:
                return
            # A hand-over to itself: commits in flight under the old epoch end first.
            self.lost([partition])
            await self._barrier()
            try:
                epoch = await self._store.raise_epoch(
                    partition, epoch=epoch_seen, incarnation=self._ownership.incarnation
                )
                if epoch is not None:
                    await self._gain({partition: epoch}, self._attaching_workers())
            except CONNECTION_LOST as error:
                # The next renewal finds the partition with its present epoch.
                self._log.info("raise_epoch_failed", error=type(error).__name__)

    # --- handing over ---

    async def _hand_over_surplus(self, tenure: Tenure) -> None:
        """Hand surplus partitions to owners that have fewer than their share."""
        share = math.ceil(PARTITION_COUNT / max(len(tenure.alive), 1))
        counts = dict.fromkeys(tenure.alive, 0)
        for incarnation in self._ownership.owners.values():
            if incarnation in counts:
                counts[incarnation] += 1
        epochs, mine = self._ownership.epochs, self._ownership.incarnation
        while len(epochs) > share:
            receiver = min(counts, key=counts.__getitem__)
            if receiver == mine or counts[receiver] >= share:
                return
            await self._hand_over([next(reversed(epochs))], receiver)
            counts[receiver] += 1

    async def _hand_over(self, partitions: list[int], receiver: int) -> None:
        handed = pb.ReceivePartitionsRequest()
        for partition in partitions:
            epoch = self._ownership.epochs.get(partition)
            if epoch is None:
                continue
            self.lost([partition])
            await self._barrier()
            raised = await self._store.hand_over(
                partition,
                epoch=epoch,
                incarnation=self._ownership.incarnation,
                receiver=receiver,
            )
            if raised is not None:
                self._ownership.assign(partition, receiver)
                handed.partitions.add(partition=partition, epoch=raised)
        # Not awaited: a receiver that does not answer must not delay the renewal of the lease.
        call = asyncio.create_task(self._notify(self._ownership.addresses[receiver], handed))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _notify(self, address: str, handed: pb.ReceivePartitionsRequest) -> None:
        try:
            await self._partition_stub(address).ReceivePartitions(handed, timeout=RECEIVE_TIMEOUT_S)
        except FlowmeshError as error:
            # The next renewal of the receiver finds it, a second later at most.
            self._log.info("hand_over_call_failed", reason=error.reason)

    async def receive(self) -> None:
        """Take partitions that were handed to this incarnation, according to the database."""
        async with self._lock:
            if self._ended():
                return
            ownership = self._ownership
            tenure = await self._store.renew(ownership.incarnation, LEASE_MS)
            mine = {
                p: e
                for p, (e, i) in tenure.partitions.items()
                if i == ownership.incarnation and ownership.epochs.get(p, -1) < e
            }
            if mine:
                await self._gain(mine, self._attaching_workers())

    async def drain(self) -> None:
        """Hand all partitions over at once, or free them if there is no other owner."""
        self._draining = True
        async with self._lock:
            ownership = self._ownership
            others = sorted(i for i in ownership.addresses if i != ownership.incarnation)
            mine = list(ownership.epochs)
            for n, receiver in enumerate(others):
                await self._hand_over(mine[n :: len(others)], receiver)
            if not others:
                self.lost(mine)
                await self._barrier()
            if self._calls:
                await asyncio.wait(self._calls)
            await self._store.release(self._ownership.incarnation)
            await self._store.end_lease(self._ownership.incarnation)

    def forget_all(self) -> None:
        """Drop all partitions: the incarnation is over."""
        self._over = True
        self.lost(list(self._ownership.epochs))
        self._ownership.forget_positions()


def _workers_of(claimed: Iterable[ClaimedPartition]) -> frozenset[str] | None:
    """Return the workers of all former owners of claimed partitions; None if any are unknown."""
    found: set[str] = set()
    for row in claimed:
        if row.workers is None:
            return None
        found.update(row.workers)
    return frozenset(found)


class LeaseLoop(Loop):
    """Renews the lease, the only periodic query; retries soon after a lost connection.

    `expired` is called when the lease has expired by the clock of this process, `over` when the
    database does not know the incarnation any more.
    """

    interval_ms = 1_000

    def __init__(
        self, keeper: LeaseKeeper, *, expired: Callable[[], None], over: Callable[[], None]
    ) -> None:
        self._keeper = keeper
        self._expired = expired
        self._over = over

    async def run_once(self) -> bool:
        while True:
            try:
                tenure = await self._keeper.renew()
                break
            except CONNECTION_LOST:
                if not self._keeper.lease_valid:
                    self._expired()
                    return False
            await asyncio.sleep(RENEW_RETRY_S)
        if tenure is not None and not tenure.renewed:
            self._over()
        return tenure is not None and tenure.renewed


class ClaimLoop(Loop):
    """Claims partitions when the lease of another owner ends; sends no query before."""

    jitter = 0.0

    def __init__(self, keeper: LeaseKeeper, clock: Clock, log: Any) -> None:
        self._keeper = keeper
        self._clock = clock
        self._log = log

    async def run_once(self) -> None:
        try:
            await self._keeper.claim_if_due()
        except CONNECTION_LOST as error:
            self._log.info("claim_failed", error=type(error).__name__)

    def pause_ms(self) -> float:
        wait_ms = self._keeper.next_claim_ms - self._clock.monotonic_ms()
        return min(max(wait_ms, CLAIM_PAUSE_MIN_MS), CLAIM_PAUSE_MAX_MS)
