"""Periodic maintenance: creates tables of coming days, and deletes expired rows.

The retention of an execution is set by its workflow, else by its namespace, else by a setting.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.orchestrator.model.ids import first_id_of
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.batch import DAY_US, HOUR_US
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.orchestrator.storage.stores.retention_store import Expiry
from flowmesh.runtime import Loop

DELETE_ROWS_MAX = 200
"""Executions deleted in one statement, and archived as one file before."""

PLANS_READ_MAX = 500
BULKS_KEPT_US = 30 * DAY_US
METERS_FOLDED_HOURS = 48
"""Sources of metered use are kept apart for bookings of the last day."""

METERS_KEPT_HOURS = 400 * 24


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The numbers of deleted rows and tables in one round."""

    executions: int
    snapshots: int
    payloads: int
    days: int


class HousekeepingLoop(Loop):
    """Runs every ten minutes in any number of processes; nothing depends on its timing.

    `now_us` reads the time of the database. `finish_erasures` completes interrupted erasures.
    """

    interval_ms = 600_000

    def __init__(
        self,
        *,
        store: OrchestratorStore,
        now_us: Callable[[], Awaitable[int]],
        metrics: OrchestratorMetrics,
        retention_days: float,
        archiving: Archiving,
        finish_erasures: Callable[[], Awaitable[int]],
        log: Any,
    ) -> None:
        self._store = store
        self._now_us = now_us
        self._metrics = metrics
        self._retention_us = int(retention_days * DAY_US)
        self._archiving = archiving
        self._finish_erasures = finish_erasures
        self._log = log

    async def run_once(self) -> Cleaned:
        now_us = await self._now_us()
        await self._store.history_days.ensure(now_us // DAY_US)
        await self._finish_erasures()
        await self._read_plans()
        try:
            executions = await self._delete_expired(now_us)
        except OSError as error:
            # Do not delete executions that could not be archived; the next round retries.
            self._metrics.archive_failures.inc()
            self._log.error(
                "archive_failed",
                problem=f"FLOWMESH_ARCHIVE_DIR cannot be written: {error}",
                effect="expired executions stay in the database",
            )
            executions = 0
        cleaned = Cleaned(
            executions=executions,
            snapshots=await self._store.retention.delete_snapshots(),
            payloads=await self._store.payloads.collect(),
            # Nothing is added to a day before yesterday, so an empty table stays empty.
            days=await self._store.history_days.drop_empty(now_us // DAY_US - 1),
        )
        await self._store.bulks.delete_ended(now_us - BULKS_KEPT_US)
        await self._store.kept_signals.delete_expired()
        await self._store.stats.delete_unused()
        await self._store.meters.fold(now_us // HOUR_US - METERS_FOLDED_HOURS)
        await self._store.meters.delete(now_us // HOUR_US - METERS_KEPT_HOURS)
        await self._store.messages.delete_keyed_signals()
        await self._store.starts.delete_expired(now_us)
        return cleaned

    async def _read_plans(self) -> None:
        """Store the retention of each new plan in its row."""
        while rows := await self._store.retention.unread_plans(PLANS_READ_MAX):
            for row in rows:
                plan = plan_pb2.Plan.FromString(row.body)
                await self._store.retention.record_plan(
                    row.digest,
                    namespace=plan.namespace,
                    workflow_id=plan.workflow_id,
                    retention_ms=plan.retention_ms,
                )

    async def _delete_expired(self, now_us: int) -> int:
        store, total = self._store.retention, 0
        for plans in await store.of_plans():
            find = partial(store.expired_of_plans, plans)
            total += await self._delete(find, now_us - plans.retention_ms * 1_000)
        for own in await store.of_namespaces():
            find = partial(store.expired_of_namespace, own.namespace)
            total += await self._delete(find, now_us - own.retention_ms * 1_000)
        return total + await self._delete(store.expired_by_default, now_us - self._retention_us)

    async def _delete(self, find: Callable[[Expiry], Awaitable[list[str]]], expired_us: int) -> int:
        """Archive and delete in small statements, so that no commit waits long for a lock."""
        total, last = 0, ""
        while True:
            ids = await find(Expiry(last, first_id_of(expired_us), expired_us, DELETE_ROWS_MAX))
            if not ids:
                return total
            await self._archiving.take(ids)
            deleted = await self._store.retention.delete_executions(ids)
            self._metrics.executions_deleted.inc(deleted)
            total, last = total + deleted, ids[-1]
