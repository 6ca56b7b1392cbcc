"""Sealed keys of the values of executions as rows."""

from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import PayloadKey, Wrapped


class PayloadKeyStore:
    """Reads and changes of keys."""

    def __init__(self, database: Database) -> None:
        self._sql, self._pool = database.sql, database.pool

    async def keys(self, namespace: str) -> list[PayloadKey]:
        """Return the keys of a namespace, oldest first."""
        rows = self._sql.payload_keys(self._pool, namespace=namespace)
        return [PayloadKey.of(row) async for row in rows]

    async def every(self) -> list[PayloadKey]:
        """Return the keys of all namespaces, oldest first."""
        return [PayloadKey.of(row) async for row in self._sql.all_payload_keys(self._pool)]

    async def insert(self, namespace: str, number: int, wrapped: Wrapped) -> None:
        """Store a key unless there is one with its number."""
        await self._sql.insert_payload_key(
            self._pool,
            namespace=namespace,
            number=number,
            sealed_key=wrapped.value,
            wrapped_by=wrapped.by,
        )

    async def destroy(self, namespace: str) -> None:
        """Remove the keys of a namespace; their rows stay."""
        await self._sql.destroy_payload_keys(self._pool, namespace=namespace)
