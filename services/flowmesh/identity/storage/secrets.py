"""Sealed secrets and the sealed keys of namespaces as rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flowmesh.identity.limits import SECRET_IMPORT_S, TOMBSTONE_DAYS
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

    async def versions(
        self, namespace: str, after: tuple[str, int], count: int
    ) -> list[tuple[SecretVersion, bytes]]:
        """Return the next versions of all secrets with their sealed values, by name and number."""
        rows = self._sql.versions_of_secrets(
            self._at, namespace=namespace, name=after[0], version=after[1], count=count
        )
        return [(SecretVersion.of(row), row["sealed"]) async for row in rows]

    async def note_export(
        self, namespace: str, import_id: str, page: int, names: list[str]
    ) -> None:
        """Record that secrets leave, for the audit log."""
        await self._sql.note_export(
            self._at, namespace=namespace, import_id=import_id, page=page, secrets=names
        )

    async def open_import(self, namespace: str, import_id: str, sealed_key: bytes) -> None:
        """Open the import of a namespace in place of the one before."""
        await self._sql.open_import(
            self._at, namespace=namespace, import_id=import_id, sealed_key=sealed_key
        )

    async def lock_import(self, namespace: str, import_id: str) -> tuple[bytes, int] | None:
        """Return the sealed key of an open import, and the number of its stored pages."""
        row = await self._sql.lock_import(
            self._at, namespace=namespace, import_id=import_id, seconds=SECRET_IMPORT_S
        )
        return row and (row["sealed_key"], row["pages"])

    async def count_page(self, namespace: str, *, last: bool) -> None:
        """Count a page of an import; the last one ends it."""
        await (self._sql.end_import if last else self._sql.count_page)(
            self._at, namespace=namespace
        )

    async def delete_all(self, namespace: str) -> None:
        """Delete the secrets of a namespace."""
        await self._sql.delete_secrets(self._at, namespace=namespace)

    async def insert_copy(self, namespace: str, version: SecretVersion, sealed: bytes) -> None:
        """Store a version as another cell had it."""
        await self._sql.insert_secret_copy(
            self._at,
            namespace=namespace,
            name=version.name,
            version=version.version,
            sealed=sealed,
            created_by=version.created_by,
            created_us=version.created_at_us,
        )

    async def erase(self) -> None:
        """Delete old imports, and the keys, so the secrets, of projects deleted long ago."""
        await self._sql.delete_old_imports(self._at, seconds=SECRET_IMPORT_S)
        await self._sql.erase_data_keys(self._at, days=TOMBSTONE_DAYS)
