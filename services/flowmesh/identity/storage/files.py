"""Workspace files and the pieces of their contents as rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import StoredFile


class FileStore:
    """Reads and changes of files. Inside `changing` all changes are one transaction."""

    def __init__(self, database: Database, connection: object | None = None) -> None:
        self._database = database
        self._sql = database.sql
        self._at = connection or database.pool

    @asynccontextmanager
    async def changing(self) -> AsyncIterator["FileStore"]:
        """Commit all changes of the block, or none."""
        async with self._database.transaction() as connection:
            yield FileStore(self._database, connection)

    async def begin(self, project: str) -> int:
        """Insert a content without pieces."""
        return int(await self._sql.begin_content(self._at, project=project))

    async def insert_piece(self, namespace: str, content: int, number: int, data: bytes) -> None:
        await self._sql.insert_piece(
            self._at, namespace=namespace, content=content, number=number, data=data
        )

    async def discard(self, content: int) -> None:
        """Delete a content that was not finished."""
        await self._sql.delete_unfinished(self._at, id=content)

    async def discard_abandoned(self, seconds: int) -> None:
        """Delete the contents whose upload began before this time and did not finish."""
        await self._sql.delete_abandoned(self._at, seconds=seconds)

    async def lock(self, project: str) -> int:
        """Serialize the changes of a project's files; return the bytes in use."""
        return int(await self._sql.lock_files(self._at, project=project))

    async def used_bytes(self, project: str) -> int:
        return int(await self._sql.used_bytes(self._at, project=project) or 0)

    async def content_of(self, project: str, digest: bytes) -> int | None:
        found = await self._sql.content_of_digest(self._at, project=project, digest=digest)
        return None if found is None else int(found)

    async def finish(self, project: str, content: int, digest: bytes, size: int) -> None:
        """Keep a content, and count its bytes."""
        await self._sql.finish_content(self._at, id=content, digest=digest, size_bytes=size)
        await self._sql.add_used_bytes(self._at, project=project, size_bytes=size)

    async def next_version(
        self, project: str, path: str, twin: bytes, least: int = 0
    ) -> int | None:
        """Return the number of a new version, `least` or a later one.

        Returns None if another path has the same twin.
        """
        of = {"project": project, "path": path, "least": least}
        first = await self._sql.insert_file(self._at, twin=twin, **of)
        found = first or await self._sql.next_version(self._at, **of)
        return None if found is None else int(found)

    async def twin(self, project: str, twin: bytes) -> str:
        return str(await self._sql.twin(self._at, project=project, twin=twin))

    async def insert_version(
        self,
        project: str,
        path: str,
        version: int,
        content: int,
        media_type: str,
        created_by: str,
    ) -> None:
        await self._sql.insert_version(
            self._at,
            project=project,
            path=path,
            version=version,
            content=content,
            media_type=media_type,
            created_by=created_by,
        )

    async def delete_before(self, project: str, path: str, version: int) -> bool:
        """Delete the versions before one, and contents that no file has any more."""
        contents = [
            row["content"]
            async for row in self._sql.delete_versions(
                self._at, project=project, path=path, before=version
            )
        ]
        if not contents:
            return False
        freed = [
            row["size_bytes"] async for row in self._sql.delete_unused(self._at, contents=contents)
        ]
        await self._sql.add_used_bytes(self._at, project=project, size_bytes=-sum(freed))
        return True

    async def delete(self, project: str, path: str) -> bool:
        """Delete a file with all versions; return whether there was one."""
        found = await self.delete_before(project, path, 2**31 - 1)
        await self._sql.delete_file(self._at, project=project, path=path)
        return found

    async def file(self, project: str, path: str, version: int) -> StoredFile | None:
        row = await self._sql.file(self._at, project=project, path=path, version=version)
        return row and StoredFile.of(row)

    async def files(
        self, project: str, prefix: str, end: str, after: str, count: int
    ) -> list[StoredFile]:
        rows = self._sql.files(
            self._at, project=project, prefix=prefix, end=end, after=after, count=count
        )
        return [StoredFile.of(row) async for row in rows]

    async def piece(self, content: int, number: int) -> bytes | None:
        found: bytes | None = await self._sql.piece(self._at, content=content, number=number)
        return found
