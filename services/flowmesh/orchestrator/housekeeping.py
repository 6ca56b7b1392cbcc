"""What must be done now and then: days made ahead, and what is past its retention deleted."""

from dataclasses import dataclass

from flowmesh.orchestrator.batch import DAY_US
from flowmesh.orchestrator.ids import first_id_of
from flowmesh.orchestrator.metrics import OrchestratorMetrics
from flowmesh.orchestrator.store import OrchestratorStore
from flowmesh.runtime import Clock, Loop

DELETE_ROWS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What one round deleted."""

    executions: int
    snapshots: int
    payloads: int
    days: int


class HousekeepingLoop(Loop):
    """Every ten minutes; nothing waits for it, and any number of processes may do it."""

    interval_ms = 600_000

    def __init__(
        self,
        *,
        store: OrchestratorStore,
        clock: Clock,
        metrics: OrchestratorMetrics,
        retention_days: float,
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._retention_days = retention_days

    async def run_once(self) -> Cleaned:
        now_us = self._clock.now_us()
        await self._store.ensure_history_days(now_us // DAY_US)
        expired_us = now_us - int(self._retention_days * DAY_US)
        cleaned = Cleaned(
            executions=await self._delete_ended(expired_us),
            snapshots=await self._store.one("delete_snapshots"),
            payloads=await self._store.one("collect_payloads"),
            days=await self._store.drop_empty_days(expired_us // DAY_US),
        )
        self._metrics.executions_deleted.inc(cleaned.executions)
        return cleaned

    async def _delete_ended(self, expired_us: int) -> int:
        """Deletes in small statements, so that no commit waits long for a lock."""
        total = 0
        while True:
            deleted: int = await self._store.one(
                "delete_ended",
                started_before_id=first_id_of(expired_us),
                ended_before=expired_us,
                rows_max=DELETE_ROWS_MAX,
            )
            total += deleted
            if deleted < DELETE_ROWS_MAX:
                return total
