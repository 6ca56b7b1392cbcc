"""Counts the executions of namespaces with a quota, once a second."""

import asyncio
from collections.abc import Callable

from flowmesh.api.identity.v1 import quota_service_pb2 as pb
from flowmesh.orchestrator.limits.quotas import SECOND_US, NamespaceUse, QuotaCounters, RowCounts
from flowmesh.orchestrator.model.ids import first_id_of
from flowmesh.orchestrator.storage.stores.quota_store import QuotaStore
from flowmesh.runtime import Loop
from flowmesh.runtime.namespace_quotas import NamespaceQuotas

DAY_US = 86_400 * SECOND_US
# Starts of the last second that are counted to divide a quota among orchestrators.
LATEST_MAX = 100_000
# Slow counts are repeated less often: they take at most a tenth of the time.
PAUSES_PER_COUNT = 9


class QuotaLoop(Loop):
    """Keeps the counters in step with the rows.

    All orchestrators count at the begin of each second, so that none uses the rest that another
    one has taken before.
    """

    jitter = 0.0

    def __init__(
        self,
        *,
        counters: QuotaCounters,
        quotas: NamespaceQuotas,
        store: QuotaStore,
        now_us: Callable[[], int],
    ) -> None:
        self._counters = counters
        self._quotas = quotas
        self._store = store
        self._now_us = now_us
        self._counted_at_us = 0
        self._took_ms = 0.0

    def pause_ms(self) -> float:
        rest_ms = (SECOND_US - self._now_us() % SECOND_US) / 1_000
        return max(rest_ms, PAUSES_PER_COUNT * self._took_ms)

    async def run_once(self) -> int:
        """Count each namespace with a quota of executions; return their number."""
        begun_us = self._now_us()
        uses = self._counters.limit(self._quotas.by_namespace, self._quotas.used_up)
        for namespace, use in uses.items():
            await self._count(namespace, use, begun_us)
            await asyncio.sleep(0)  # between namespaces others have their turn
        self._counted_at_us = begun_us
        self._took_ms = (self._now_us() - begun_us) / 1_000
        return len(uses)

    async def _count(self, namespace: str, use: NamespaceUse, now_us: int) -> None:
        changes, quota, share = use.changes, use.quota, self._counters.share
        rows = RowCounts(
            running=await self._running(namespace, quota),
            day=await self._day(namespace, quota, now_us),
            latest=await self._latest(namespace) if share < 1 else 0,
        )
        use.counted(rows, changes, share, self._now_us())

    async def _running(self, namespace: str, quota: pb.Quota) -> int:
        most = quota.running_executions
        return await self._store.running(namespace, most + 1) if most else 0

    async def _day(self, namespace: str, quota: pb.Quota, now_us: int) -> int:
        most = quota.executions_per_day
        if not most:
            return 0
        first_id = first_id_of(now_us - now_us % DAY_US)
        return await self._store.started_since(namespace, first_id, most + 1)

    async def _latest(self, namespace: str) -> int:
        first_id = first_id_of(self._counted_at_us)
        return await self._store.started_since(namespace, first_id, LATEST_MAX)
