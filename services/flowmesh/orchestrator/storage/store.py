"""The tables of the schema `orchestrator`, by subject. SQL is in `sql/`."""

from __future__ import annotations

from typing import Any

from flowmesh.orchestrator.storage.database import Queries
from flowmesh.orchestrator.storage.meter_store import MeterStore
from flowmesh.orchestrator.storage.stores.archive_store import ArchiveStore
from flowmesh.orchestrator.storage.stores.bulk_store import BulkStore
from flowmesh.orchestrator.storage.stores.dead_letter_store import DeadLetterStore
from flowmesh.orchestrator.storage.stores.erasure_store import ErasureStore
from flowmesh.orchestrator.storage.stores.execution_store import ExecutionStore
from flowmesh.orchestrator.storage.stores.history_days import HistoryDays
from flowmesh.orchestrator.storage.stores.kept_signal_store import KeptSignalStore
from flowmesh.orchestrator.storage.stores.limit_store import LimitStore
from flowmesh.orchestrator.storage.stores.link_key_store import LinkKeyStore
from flowmesh.orchestrator.storage.stores.message_store import MessageStore
from flowmesh.orchestrator.storage.stores.outbox_store import OutboxStore
from flowmesh.orchestrator.storage.stores.partition_store import PartitionStore
from flowmesh.orchestrator.storage.stores.payload_store import PayloadStore
from flowmesh.orchestrator.storage.stores.quota_store import QuotaStore, UsageStore
from flowmesh.orchestrator.storage.stores.rebuild_store import RebuildStore
from flowmesh.orchestrator.storage.stores.retention_store import RetentionStore
from flowmesh.orchestrator.storage.stores.schedule_store import ScheduleStore
from flowmesh.orchestrator.storage.stores.start_store import StartStore
from flowmesh.orchestrator.storage.stores.stats_store import StatsStore


class OrchestratorStore:
    """All stores on one pool. Composition passes each consumer the stores that it uses."""

    def __init__(self, queries: Queries) -> None:
        self.pool: Any = queries.pool
        self.keys = queries.keys
        self.archive = ArchiveStore(queries)
        self.bulks = BulkStore(queries)
        self.erasures = ErasureStore(queries)
        self.executions = ExecutionStore(queries)
        self.history_days = HistoryDays(queries)
        self.kept_signals = KeptSignalStore(queries)
        self.dead_letters = DeadLetterStore(queries)
        self.limits = LimitStore(queries)
        self.link_keys = LinkKeyStore(queries)
        self.messages = MessageStore(queries)
        self.meters = MeterStore(queries)
        self.outbox = OutboxStore(queries)
        self.partitions = PartitionStore(queries)
        self.payloads = PayloadStore(queries)
        self.quotas = QuotaStore(queries)
        self.rebuilds = RebuildStore(queries)
        self.retention = RetentionStore(queries)
        self.schedule = ScheduleStore(queries)
        self.starts = StartStore(queries)
        self.stats = StatsStore(queries)
        self.usage = UsageStore(queries)
