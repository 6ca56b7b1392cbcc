"""Which partitions this process owns, for how long, and who owns the others.

A process is an incarnation with one lease on the database clock. Every commit checks the epoch of
its partitions, so an owner that was paused cannot commit; this module only makes sure that it
notices early and that free partitions find an owner soon.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.errors import FlowmeshError
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.model.ids import PARTITION_COUNT
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.storage.store import CONNECTION_LOST, OrchestratorStore, Tenure
from flowmesh.runtime import Clock, Loop

OFFSET_STEP_US = 200
"""How far one answer may set the clock back."""

EPOCH_MAX = 1 << 62
"""What is above is no epoch that an owner ever had."""

RENEW_RETRY_S = 0.2
TELL_TIMEOUT_S = 1.0
YOUNG_MS = 3_000
"""So long after its beginning an incarnation takes partitions over as after a crash."""

LEASE_MS = 3_000
"""As in `sql/queries.sql`: a lease is renewed for so long."""


class Owner(Protocol):
    """What ownership tells its process."""

    async def gained(self, partitions: dict[int, int], workers: frozenset[str] | None) -> None:
        """Partitions with their epochs are ours from now on.

        `workers` may hold their tasks and be on their way here; None where nobody knows who is.
        """

    def lost(self, partitions: Iterable[int]) -> None:
        """Partitions are no longer ours: nothing about them may leave."""

    def resumed(self) -> None:
        """A lease that was over is renewed: what had to wait may leave."""

    async def barrier(self) -> None:
        """Returns when no commit that was begun before is in flight."""

    def incarnation_over(self) -> None:
        """The database does not know this incarnation: a new one must be registered."""


class Ownership:
    """The incarnation's partitions and the map of all others, renewed once a second."""

    def __init__(
        self,
        *,
        store: OrchestratorStore,
        clock: Clock,
        log: Any,
        address: str,
        data_dir_id: str,
        metrics: OrchestratorMetrics,
        partition_stub: Callable[[str], pb_grpc.PartitionServiceAsyncStub],
    ) -> None:
        self._store = store
        self._clock = clock
        self._address = address
        self._data_dir_id = data_dir_id
        self._partition_stub = partition_stub
        self._metrics = metrics
        self._offset_us: int | None = None
        self._last_now_us = 0
        self._lease_until_ms = 0.0
        self._began_ms = 0.0
        self._owners: dict[int, int | None] = {}
        self._addresses: dict[int, str] = {}
        self._after: dict[int, int] = {}
        self._lock = asyncio.Lock()
        self._calls: set[asyncio.Task[None]] = set()
        self._draining = False
        # Between the end of one incarnation and the registration of the next.
        self._over = False
        # The lease was over at some time, and the owner has not been told that it holds again.
        self._lapsed = False
        # A claim was sent and nothing is known of its outcome.
        self._claiming = False
        # Counts what changed here, so that an answer from before is known as such.
        self._moves = 0
        self.log = log
        self.owner: Owner
        # Called with every renewal of the lease.
        self.renewed: Callable[[Tenure], None] = _nothing
        self.incarnation = 0
        self.epochs: dict[int, int] = {}
        self.inherited: dict[int, int] = {}
        self.next_claim_ms = math.inf

    # --- time ---

    def observe_time(self, database_us: int) -> None:
        """Learns how far the database clock is ahead of ours from an answer that has just come.

        An answer that was late on its way makes the clock look slow, never fast: a smaller
        offset is believed only little by little.
        """
        offset_us = database_us - self._ticks_us()
        if self._offset_us is None or offset_us > self._offset_us:
            self._offset_us = offset_us
        else:
            self._offset_us -= min(self._offset_us - offset_us, OFFSET_STEP_US)

    def now_us(self) -> int:
        """The database clock as known here; never goes back."""
        self._last_now_us = max(self._last_now_us, self._ticks_us() + (self._offset_us or 0))
        return self._last_now_us

    def _ticks_us(self) -> int:
        # Not the wall clock: somebody may set that, and no timer must fire early for it.
        return int(self._clock.monotonic_ms() * 1_000)

    @property
    def lease_valid(self) -> bool:
        """Whether this process may still believe that it owns anything, by its own clock."""
        return self._clock.monotonic_ms() < self._lease_until_ms

    @property
    def young(self) -> bool:
        """Whether worker services may not have found this incarnation yet."""
        return self._clock.monotonic_ms() - self._began_ms < YOUNG_MS

    # --- who owns what ---

    def owner_address(self, partition: int) -> str | None:
        """Address of the live owner of a partition as last seen; None while it has none."""
        incarnation = self._owners.get(partition)
        if incarnation is None or incarnation == self.incarnation:
            return None
        return self._addresses.get(incarnation)

    def peers(self) -> list[str]:
        """Addresses of the other live incarnations, as last seen."""
        return [at for i, at in sorted(self._addresses.items()) if i != self.incarnation]

    def is_alive(self, incarnation: int) -> bool:
        """Whether an incarnation had a lease when this process looked last."""
        return incarnation in self._addresses

    def take_after(self) -> bytes | None:
        """Positions of earlier owners that events of the next commit must wait for."""
        if not self._after:
            return None
        batch = history_service_pb2.EventBatch()
        for incarnation, position in sorted(self._after.items()):
            batch.after.add(incarnation=incarnation, position=position)
        self._after = {}
        return batch.SerializeToString()

    def give_back_after(self, after: bytes | None) -> None:
        """What was taken was not committed: the next commit carries it."""
        if after is not None:
            for former in history_service_pb2.EventBatch.FromString(after).after:
                self._after.setdefault(former.incarnation, former.position)

    # --- life ---

    async def register(self) -> int:
        """Becomes a new incarnation that owns nothing yet."""
        asked_ms = self._clock.monotonic_ms()
        self.incarnation = await self._store.register(self._address, self._data_dir_id)
        self._began_ms = asked_ms
        self._lease_until_ms = asked_ms + LEASE_MS
        self._over = False
        return self.incarnation

    async def renew(self) -> Tenure | None:
        """Renews the lease, then takes, gives and drops what the answer asks for.

        None when this incarnation has handed everything over and needs no lease any more.
        """
        if self._ended():
            return None
        asked_ms, moves, incarnation = self._clock.monotonic_ms(), self._moves, self.incarnation
        tenure = await self._store.renew(incarnation)
        failpoint("orchestrator.renewing")
        self.observe_time(tenure.now_us)
        # Kept until it is told: what comes between may fail, and the next renewal is not the first.
        self._lapsed |= not self.lease_valid
        if tenure.renewed and incarnation == self.incarnation and self.lease_valid:
            self._lease_until_ms = asked_ms + LEASE_MS
        async with self._lock:
            if self._ended() or incarnation != self.incarnation:
                # Nobody must wait for a lease that was renewed behind its end.
                await self._store.one("end_lease", incarnation=incarnation)
                return None
            if not tenure.renewed:
                self.owner.incarnation_over()
                return tenure
            current = moves == self._moves
            self.lost(self._overtaken(tenure))
            # Not before, if it was over: what somebody took meanwhile must not be ours by it again.
            self._lease_until_ms = asked_ms + LEASE_MS
            if current:
                await self._follow(tenure)
        self.renewed(tenure)
        if self._lapsed:
            self._lapsed = False
            self.owner.resumed()
        return tenure

    def _overtaken(self, tenure: Tenure) -> list[int]:
        """Partitions that somebody else has at a higher epoch, however late the answer comes."""
        return [
            partition
            for partition, (epoch, owner) in tenure.partitions.items()
            if owner != self.incarnation and epoch > self.epochs.get(partition, epoch)
        ]

    def _ended(self) -> bool:
        return self._draining or self._over

    async def _follow(self, tenure: Tenure) -> None:
        self._addresses = {i: address for i, (address, _) in tenure.alive.items()}
        self._owners = {p: incarnation for p, (_, incarnation) in tenure.partitions.items()}
        mine = {p: e for p, (e, i) in tenure.partitions.items() if i == self.incarnation}
        gone = [p for p, epoch in self.epochs.items() if mine.get(p, -1) < epoch]
        if gone:
            self.lost(gone)
        received = {p: e for p, e in mine.items() if self.epochs.get(p, -1) < e}
        if received:
            await self._gain(received, None if self._claiming else self._on_their_way())
        self._claiming = False
        others = [left for i, (_, left) in tenure.alive.items() if i != self.incarnation]
        self.next_claim_ms = self._clock.monotonic_ms() + min(others, default=math.inf) + 20
        free = sum(1 for i in self._owners.values() if i is None or i not in tenure.alive)
        if free:
            await self._claim(len(tenure.alive))
        await self._hand_over_surplus(tenure)

    async def claim_if_due(self) -> None:
        """Tries for the partitions of an owner whose lease has just ended."""
        if self._ended() or self._clock.monotonic_ms() < self.next_claim_ms:
            return
        self.next_claim_ms = math.inf
        async with self._lock:
            if self._ended():
                return
            await self._claim(max(len(self._addresses) - 1, 1))

    async def _claim(self, alive: int) -> None:
        share = math.ceil(PARTITION_COUNT / max(alive, 1)) - len(self.epochs)
        if share <= 0:
            return
        self._claiming = True
        rows = await self._store.claim(self.incarnation, share)
        if rows:
            epochs = {row["id"]: row["epoch"] for row in rows}
            await self._gain(epochs, _workers_of(rows))
        self._claiming = False

    async def _gain(self, partitions: dict[int, int], workers: frozenset[str] | None) -> None:
        """The epoch is raised and committed: only now state may be read."""
        # Ours at an older epoch is somebody else's since, unnoticed: what is known is of then.
        self.lost(p for p in partitions if p in self.epochs)
        failpoint("orchestrator.epoch_raised")
        rows = await self._store.rows("unpublished_incarnations", incarnation=self.incarnation)
        self.inherited = {row["incarnation"]: row["position"] for row in rows}
        self._after.update(self.inherited)
        self._moves += 1
        for partition in partitions:
            self._owners[partition] = self.incarnation
        self.epochs.update(partitions)
        self._metrics.partitions_owned.set(len(self.epochs))
        self.log.info("partitions_gained", count=len(partitions))
        await self.owner.gained(partitions, workers)

    def _on_their_way(self) -> frozenset[str] | None:
        """Workers that may still come with tasks after a hand-over: none, unless this is young."""
        return None if self.young else frozenset()

    def lost(self, partitions: Iterable[int]) -> None:
        """Drops partitions that another owner has, or is about to have."""
        gone = [p for p in partitions if self.epochs.pop(p, None) is not None]
        if not gone:
            return
        self._moves += 1
        self._metrics.partitions_owned.set(len(self.epochs))
        self.log.info("partitions_lost", count=len(gone))
        self.owner.lost(gone)

    async def raise_epoch(self, partition: int, epoch_seen: int) -> None:
        """A worker has seen a higher epoch: go above it if the partition is really ours."""
        async with self._lock:
            mine = self.epochs.get(partition)
            if mine is None or mine > epoch_seen or epoch_seen >= EPOCH_MAX:
                return
            # As if handed over to ourselves: what is in flight under the old epoch is done first.
            self.lost([partition])
            await self.owner.barrier()
            try:
                epoch = await self._store.one(
                    "raise_epoch",
                    partition=partition,
                    epoch=epoch_seen,
                    incarnation=self.incarnation,
                )
                if epoch is not None:
                    await self._gain({partition: epoch}, self._on_their_way())
            except CONNECTION_LOST as error:
                # The next renewal finds it ours, at whatever epoch it has by then.
                self.log.info("raise_epoch_failed", error=type(error).__name__)

    # --- handing over ---

    async def _hand_over_surplus(self, tenure: Tenure) -> None:
        """Gives one partition to an owner that has fewer than its share, if there is one."""
        share = math.ceil(PARTITION_COUNT / max(len(tenure.alive), 1))
        counts = dict.fromkeys(tenure.alive, 0)
        for incarnation in self._owners.values():
            if incarnation in counts:
                counts[incarnation] += 1
        while len(self.epochs) > share:
            receiver = min(counts, key=counts.__getitem__)
            if receiver == self.incarnation or counts[receiver] >= share:
                return
            await self._hand_over([next(reversed(self.epochs))], receiver)
            counts[receiver] += 1

    async def _hand_over(self, partitions: list[int], receiver: int) -> None:
        handed = pb.ReceivePartitionsRequest()
        for partition in partitions:
            epoch = self.epochs.get(partition)
            if epoch is None:
                continue
            self.lost([partition])
            await self.owner.barrier()
            raised = await self._store.one(
                "hand_over_partition",
                partition=partition,
                epoch=epoch,
                incarnation=self.incarnation,
                receiver=receiver,
            )
            if raised is not None:
                self._owners[partition] = receiver
                handed.partitions.add(partition=partition, epoch=raised)
        # Nothing waits for the call: a receiver that does not answer must not cost us our lease.
        call = asyncio.create_task(self._tell(self._addresses[receiver], handed))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _tell(self, address: str, handed: pb.ReceivePartitionsRequest) -> None:
        try:
            await self._partition_stub(address).ReceivePartitions(handed, timeout=TELL_TIMEOUT_S)
        except FlowmeshError as error:
            # The receiver finds out with its next renewal, a second later at most.
            self.log.info("hand_over_call_failed", reason=error.reason)

    async def receive(self) -> None:
        """Partitions were handed to this incarnation; the database is asked, not the caller."""
        async with self._lock:
            if self._ended():
                return
            tenure = await self._store.renew(self.incarnation)
            mine = {
                p: e
                for p, (e, i) in tenure.partitions.items()
                if i == self.incarnation and self.epochs.get(p, -1) < e
            }
            if mine:
                await self._gain(mine, self._on_their_way())

    async def drain(self) -> None:
        """Hands everything over at once, or frees it when nobody else is there."""
        self._draining = True
        async with self._lock:
            others = sorted(i for i in self._addresses if i != self.incarnation)
            mine = list(self.epochs)
            for n, receiver in enumerate(others):
                await self._hand_over(mine[n :: len(others)], receiver)
            if not others:
                self.lost(mine)
                await self.owner.barrier()
            if self._calls:
                await asyncio.wait(self._calls)
            await self._store.one("release_partitions", incarnation=self.incarnation)
            await self._store.one("end_lease", incarnation=self.incarnation)

    def forget_all(self) -> None:
        """The incarnation is over: nothing here is ours any more."""
        self._over = True
        self.lost(list(self.epochs))
        self._after = {}


def _workers_of(claimed: Iterable[Any]) -> frozenset[str] | None:
    """Workers of all former owners of partitions that were claimed; None if one named none."""
    found: set[str] = set()
    for row in claimed:
        if row["workers"] is None:
            return None
        found.update(row["workers"])
    return frozenset(found)


def _nothing(_tenure: Tenure) -> None:
    """Nobody wants to know."""


class LeaseLoop(Loop):
    """Keeps the lease, the only periodic query; a lost connection is tried again at once."""

    interval_ms = 1_000

    def __init__(self, ownership: Ownership, on_expired: Callable[[], None]) -> None:
        self._ownership = ownership
        self._on_expired = on_expired

    async def run_once(self) -> bool:
        while True:
            try:
                tenure = await self._ownership.renew()
                break
            except CONNECTION_LOST:
                if not self._ownership.lease_valid:
                    self._on_expired()
                    return False
            await asyncio.sleep(RENEW_RETRY_S)
        return tenure is not None and tenure.renewed


class ClaimTimer:
    """Wakes at the moment another owner's lease ends; asks nothing before."""

    def __init__(self, ownership: Ownership, clock: Clock) -> None:
        self._ownership = ownership
        self._clock = clock

    async def run(self) -> None:
        while True:
            wait_ms = self._ownership.next_claim_ms - self._clock.monotonic_ms()
            await asyncio.sleep(min(max(wait_ms, 20), 500) / 1000)
            try:
                await self._ownership.claim_if_due()
            except CONNECTION_LOST as error:
                self._ownership.log.info("claim_failed", error=type(error).__name__)
