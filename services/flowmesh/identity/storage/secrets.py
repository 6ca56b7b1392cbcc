"""Sealed secrets and the sealed keys of namespaces as rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flowmesh.identity.limits import TOMBSTONE_DAYS
from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import SecretVersion, Wrapped


class SecretStore:
    """Reads and changes of secrets. Inside `changing` all changes are one transaction."""

    def __init__(self, database: Database, connection: object | None = None) -> None:
        self._database = database
        self._sql = database.sql
        self._at = connection or database.pool

    @asynccontextmanager
    async def changing(self, namespace: str) -> AsyncIterator["SecretStore"]:
        """Commit all changes of the block, or none; other changes of the namespace wait."""
        async with self._database.transaction() as connection:
            await self._sql.lock_secrets(connection, namespace=namespace)
            yield SecretStore(self._database, connection)

    async def add_key(self, namespace: str, wrapped: Wrapped) -> None:
        """Store the key of a namespace unless it has one."""
        await self._sql.insert_data_key(
            self._at, namespace=namespace, sealed_key=wrapped.value, wrapped_by=wrapped.by
        )

    async def key(self, namespace: str) -> Wrapped | None:
        row = await self._sql.data_key(self._at, namespace=namespace)
        return row and Wrapped(row["wrapped_by"], row["sealed_key"])

    async def counts(self, namespace: str, name: str) -> tuple[int, int]:
        """Return the newest version of a name (0 for none) and the number of other names."""
        row = await self._sql.secret_counts(self._at, namespace=namespace, name=name)
        return row["newest"], row["others"]

    async def insert(
        self, namespace: str, name: str, version: int, sealed: bytes, created_by: str
    ) -> SecretVersion:
        row = await self._sql.insert_secret_version(
            self._at,
            namespace=namespace,
            name=name,
            version=version,
            sealed=sealed,
            created_by=created_by,
        )
        return SecretVersion.of(row)

    async def delete_versions(self, namespace: str, name: str, until: int) -> None:
        """Delete the versions of a secret up to `until`."""
        await self._sql.delete_old_versions(self._at, namespace=namespace, name=name, until=until)

    async def secrets(self, namespace: str, after: str, count: int) -> list[SecretVersion]:
        """Return the newest version of each secret, by name."""
        rows = self._sql.secrets(self._at, namespace=namespace, after=after, count=count)
        return [SecretVersion.of(row) async for row in rows]

    async def sealed(self, namespace: str, name: str, version: int) -> tuple[int, bytes] | None:
        """Return the number and the sealed value of a version; 0 is the newest."""
        row = await self._sql.sealed_secret(
            self._at, namespace=namespace, name=name, version=version
        )
        return row and (row["version"], row["sealed"])

    async def delete(self, namespace: str, name: str) -> bool:
        """Delete all versions of a secret; return whether there were any."""
        return bool(await self._sql.delete_secret(self._at, namespace=namespace, name=name))

    async def erase(self) -> None:
        """Delete the keys, and so the secrets, of projects that were deleted long ago."""
        await self._sql.erase_data_keys(self._at, days=TOMBSTONE_DAYS)
