"""Retention of ended executions by namespace."""

from flowmesh.errors import Invalid
from flowmesh.orchestrator.storage.batch import DAY_US
from flowmesh.orchestrator.storage.stores.retention_store import RetentionStore

RETENTION_MS_MIN = 60_000
RETENTION_MS_MAX = 3_650 * DAY_US // 1_000


class RetentionRules:
    """Reads and sets the retention of namespaces; `default_days` applies to all others."""

    def __init__(self, *, store: RetentionStore, default_days: float) -> None:
        self._store = store
        self._default_ms = int(default_days * DAY_US // 1_000)

    async def get(self, namespace: str) -> tuple[int, bool]:
        """Return the retention in milliseconds, and whether the namespace has its own."""
        own = await self._store.of_namespace(namespace)
        return own or self._default_ms, own is not None

    async def set(self, namespace: str, retention_ms: int) -> None:
        """Set the retention of a namespace; 0 restores the default. Raises RETENTION_INVALID."""
        if retention_ms == 0:
            await self._store.unset(namespace)
            return
        if not RETENTION_MS_MIN <= retention_ms <= RETENTION_MS_MAX:
            text = f"a retention of {retention_ms} ms; allowed is 1 minute to 3,650 days, or 0"
            raise Invalid("RETENTION_INVALID", text)
        await self._store.set(namespace, retention_ms)
