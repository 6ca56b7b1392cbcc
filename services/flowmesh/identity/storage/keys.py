"""API keys and the digests of their secrets as rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import ApiKey, LiveKey, instant


class KeyStore:
    """Reads and changes of API keys. Inside `changing` all changes are one transaction."""

    def __init__(self, database: Database, connection: object | None = None) -> None:
        self._database = database
        self._sql = database.sql
        self._at = connection or database.pool

    @asynccontextmanager
    async def changing(self) -> AsyncIterator["KeyStore"]:
        """Commit all changes of the block, or none."""
        async with self._database.transaction() as connection:
            yield KeyStore(self._database, connection)

    async def count(self, project: str) -> int:
        return int(await self._sql.count_keys(self._at, project=project))

    async def lock_quota(self, project: str) -> tuple[int, int]:
        """Return the quota of keys and their number; other new keys wait for this change.

        0 is unlimited, and waits for nothing.
        """
        quota = await self._sql.lock_key_quota(self._at, project=project)
        return (quota, await self.count(project)) if quota else (0, 0)

    async def insert(self, key: ApiKey) -> ApiKey:
        row = await self._sql.insert_key(
            self._at,
            id=key.id,
            project=key.project,
            name=key.name,
            role=key.role.value,
            queues=list(key.queues),
            task_types=list(key.task_types),
            networks=list(key.networks),
            permissions=list(key.permissions),
            created_by=key.created_by,
            expires_at=instant(key.expires_at_us),
        )
        return ApiKey.of(row)

    async def update(self, key: ApiKey) -> ApiKey | None:
        """Store the name, the networks and the expiry of a key; return None if it is gone."""
        row = await self._sql.update_key(
            self._at,
            id=key.id,
            name=key.name,
            networks=list(key.networks),
            expires_at=instant(key.expires_at_us),
        )
        return row and ApiKey.of(row)

    async def insert_secret(self, digest: bytes, key: str) -> None:
        await self._sql.insert_secret(self._at, digest=digest, key=key)

    async def end_secrets(self, key: str, seconds: int) -> None:
        """Let the present secrets of a key end after a while."""
        await self._sql.end_secrets(self._at, key=key, seconds=seconds)

    async def of_secret(self, id: str, digest: bytes) -> LiveKey | None:
        """Return a valid key by the digest of a secret."""
        row = await self._sql.key_of_secret(self._at, id=id, digest=digest)
        return row and LiveKey.of(row)

    async def live(self, id: str) -> LiveKey | None:
        """Return a valid key."""
        row = await self._sql.live_key(self._at, id=id)
        return row and LiveKey.of(row)

    async def issue(self, key: ApiKey, app: str) -> ApiKey:
        """Store the key of an application, or change its role, queues and maker."""
        row = await self._sql.issue_key(
            self._at,
            id=key.id,
            project=key.project,
            name=key.name,
            role=key.role.value,
            queues=list(key.queues),
            task_types=list(key.task_types),
            permissions=list(key.permissions),
            created_by=key.created_by,
            app=app,
        )
        return ApiKey.of(row)

    async def project_of(self, namespace: str) -> str:
        """Return the project of a namespace; empty if there is none."""
        row = await self._sql.project_of_namespace(self._at, namespace=namespace)
        return str(row["id"]) if row else ""

    async def delete_of_app(self, namespace: str, app: str) -> str:
        """Delete the key of an application; return its id, empty if it has none."""
        return await self._sql.delete_app_key(self._at, namespace=namespace, app=app) or ""

    async def key(self, id: str) -> ApiKey | None:
        row = await self._sql.key(self._at, id=id)
        return row and ApiKey.of(row)

    async def of_project(self, project: str, before_us: int | None, count: int) -> list[ApiKey]:
        rows = self._sql.keys(self._at, project=project, before_us=before_us, count=count)
        return [ApiKey.of(row) async for row in rows]

    async def note_use(self, id: str) -> None:
        await self._sql.note_use(self._at, id=id)

    async def delete(self, id: str) -> bool:
        return bool(await self._sql.delete_key(self._at, id=id))
