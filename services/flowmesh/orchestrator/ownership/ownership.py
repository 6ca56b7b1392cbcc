"""The incarnation of this process, its partitions and its lease, and the owners of the others.

Every commit checks the epoch of its partitions, so an owner that was paused cannot commit. This
module holds the knowledge of the process; `lease_keeper.py` renews the lease and updates it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.runtime import Clock

OFFSET_STEP_US = 200
"""Largest step by which one answer sets the known database time back."""

YOUNG_MS = 3_000
"""Time after its start during which an incarnation takes partitions over as after a crash."""


class Ownership:
    """Partitions and epochs of this incarnation, and the addresses of the other owners."""

    def __init__(self, *, clock: Clock, metrics: OrchestratorMetrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._offset_us: int | None = None
        self._last_now_us = 0
        self._lease_until_ms = 0.0
        self._began_ms = 0.0
        self._owners: dict[int, int | None] = {}
        self._addresses: dict[int, str] = {}
        self._after: dict[int, int] = {}
        self.incarnation = 0
        self.epochs: dict[int, int] = {}
        self.inherited: dict[int, int] = {}
        # Number of changes of the epochs, to recognize an answer from before the last one.
        self.changes = 0

    # --- time ---

    def observe_time(self, database_us: int) -> None:
        """Update the offset of the database clock from an answer that has just come.

        A delayed answer makes that clock look slow, never fast, so a smaller offset is adopted in
        small steps.
        """
        offset_us = database_us - self._ticks_us()
        if self._offset_us is None or offset_us > self._offset_us:
            self._offset_us = offset_us
        else:
            self._offset_us -= min(self._offset_us - offset_us, OFFSET_STEP_US)

    def now_us(self) -> int:
        """Return the time of the database clock as known here; monotonic."""
        self._last_now_us = max(self._last_now_us, self._ticks_us() + (self._offset_us or 0))
        return self._last_now_us

    def _ticks_us(self) -> int:
        # Not the wall clock, which can be set: no timer may fire early.
        return int(self._clock.monotonic_ms() * 1_000)

    @property
    def lease_valid(self) -> bool:
        """True if the lease of this process has not expired, by its own clock."""
        return self._clock.monotonic_ms() < self._lease_until_ms

    @property
    def young(self) -> bool:
        """True if worker services may not have found this incarnation yet."""
        return self._clock.monotonic_ms() - self._began_ms < YOUNG_MS

    # --- owners ---

    def owner_address(self, partition: int) -> str | None:
        """Return the address of another live owner of a partition, as last seen; None if none."""
        incarnation = self._owners.get(partition)
        if incarnation is None or incarnation == self.incarnation:
            return None
        return self._addresses.get(incarnation)

    def peers(self) -> list[str]:
        """Return the addresses of the other live incarnations, as last seen."""
        return [at for i, at in sorted(self._addresses.items()) if i != self.incarnation]

    def is_alive(self, incarnation: int) -> bool:
        """Return whether an incarnation had a lease, as last seen."""
        return incarnation in self._addresses

    def take_after(self) -> bytes | None:
        """Take the positions of earlier owners that events of the next commit must wait for."""
        if not self._after:
            return None
        batch = history_service_pb2.EventBatch()
        for incarnation, position in sorted(self._after.items()):
            batch.after.add(incarnation=incarnation, position=position)
        self._after = {}
        return batch.SerializeToString()

    def give_back_after(self, after: bytes | None) -> None:
        """Return taken positions that were not committed to the next commit."""
        if after is not None:
            for former in history_service_pb2.EventBatch.FromString(after).after:
                self._after.setdefault(former.incarnation, former.position)

    # --- changes ---

    def begin(self, incarnation: int, began_ms: float, lease_until_ms: float) -> None:
        """Become a new incarnation without partitions."""
        self.incarnation = incarnation
        self._began_ms = began_ms
        self._lease_until_ms = lease_until_ms

    def extend_lease(self, until_ms: float) -> None:
        self._lease_until_ms = until_ms

    def see(self, addresses: dict[int, str], owners: dict[int, int | None]) -> None:
        """Replace the known live incarnations and the owners of all partitions."""
        self._addresses = addresses
        self._owners = owners

    def assign(self, partition: int, incarnation: int) -> None:
        """Record that a partition was handed to another incarnation."""
        self._owners[partition] = incarnation

    def gain(self, partitions: Mapping[int, int], inherited: dict[int, int]) -> None:
        """Add partitions with their epochs.

        `inherited` are outbox positions of earlier incarnations that are not published yet.
        """
        self.inherited = inherited
        self._after.update(inherited)
        self.changes += 1
        for partition in partitions:
            self._owners[partition] = self.incarnation
        self.epochs.update(partitions)
        self._metrics.partitions_owned.set(len(self.epochs))

    def drop(self, partitions: Iterable[int]) -> list[int]:
        """Remove partitions; return those that were owned."""
        gone = [p for p in partitions if self.epochs.pop(p, None) is not None]
        if gone:
            self.changes += 1
            self._metrics.partitions_owned.set(len(self.epochs))
        return gone

    def forget_positions(self) -> None:
        """Drop the positions that events of the next commit would wait for."""
        self._after = {}

    @property
    def owners(self) -> Mapping[int, int | None]:
        """The owner's incarnation of each partition, as last seen; None if it has none."""
        return self._owners

    @property
    def addresses(self) -> Mapping[int, str]:
        """Addresses of all live incarnations, this one included, as last seen."""
        return self._addresses
