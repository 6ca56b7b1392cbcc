"""Counts the executions that have not ended, for the metric `active_workflows`."""

import time
from collections.abc import Mapping
from typing import ClassVar

from flowmesh.orchestrator.storage.stores.quota_store import QuotaStore
from flowmesh.runtime import Loop
from flowmesh.telemetry.metrics import Metrics

ACTIVE_MAX = 1_000_000
# Slow counts are repeated less often: they take at most a tenth of the time.
PAUSES_PER_COUNT = 9


class ActiveLoop(Loop):
    """Counts in the process that owns the first partition; the others export 0."""

    interval_ms: ClassVar[int] = 2_000
    # While the count stays.
    rest_ms: ClassVar[int] = 10_000

    def __init__(
        self, *, store: QuotaStore, partitions: Mapping[int, int], metrics: Metrics
    ) -> None:
        self._store, self._partitions = store, partitions
        # The name is that of its source, without a prefix.
        self._active = metrics.gauge("active_workflows", "Executions that have not ended.")
        self._took_ms = 0.0
        self._found, self._resting = 0, False

    def pause_ms(self) -> float:
        pause_ms = self.rest_ms if self._resting else self.interval_ms
        return max(pause_ms, PAUSES_PER_COUNT * self._took_ms)

    async def run_once(self) -> int:
        """Return the count, which ends at a million."""
        began = time.monotonic()
        found = await self._store.active(ACTIVE_MAX) if 0 in self._partitions else 0
        self._took_ms = (time.monotonic() - began) * 1_000
        self._found, self._resting = found, found == self._found
        self._active.set(found)
        return found
