"""What must be done now and then: days made ahead, and what is past its retention deleted.

How long an ended execution is kept its workflow says, else its namespace, else a setting.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.orchestrator.model.ids import first_id_of
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.batch import DAY_US
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.orchestrator.storage.stores.retention_store import Expiry
from flowmesh.runtime import Loop

DELETE_ROWS_MAX = 200
"""Executions deleted, and before that archived as one file, in one statement."""

PLANS_READ_MAX = 500
BULKS_KEPT_US = 30 * DAY_US


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What one round deleted."""

    executions: int
    snapshots: int
    payloads: int
    days: int


class HousekeepingLoop(Loop):
    """Every ten minutes; nothing waits for it, and any number of processes may do it. `now_us` asks
    the database for its time.

    `finish_erasures` completes what a crash interrupted.
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
            # What cannot be archived is not deleted either; the next round tries again.
            self._log.error("archive_failed", problem=type(error).__name__)
            executions = 0
        cleaned = Cleaned(
            executions=executions,
            snapshots=await self._store.retention.delete_snapshots(),
            payloads=await self._store.payloads.collect(),
            # Nothing is added to a day before yesterday; what is empty there stays empty.
            days=await self._store.history_days.drop_empty(now_us // DAY_US - 1),
        )
        await self._store.bulks.delete_ended(now_us - BULKS_KEPT_US)
        await self._store.messages.delete_keyed_signals()
        await self._store.starts.delete_expired(now_us)
        return cleaned

    async def _read_plans(self) -> None:
        """Writes beside each new plan how long it asks to keep its executions."""
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
        """In small statements, so that no commit waits long for a lock; archived before."""
        total, last = 0, ""
        while True:
            ids = await find(Expiry(last, first_id_of(expired_us), expired_us, DELETE_ROWS_MAX))
            if not ids:
                return total
            await self._archiving.take(ids)
            deleted = await self._store.retention.delete_executions(ids)
            self._metrics.executions_deleted.inc(deleted)
            total, last = total + deleted, ids[-1]
