"""Workspace files: uploads and downloads in pieces, versions, and the quota of bytes."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from flowmesh.access.roles import EDIT, OPERATE, READ
from flowmesh.errors import (
    Conflict,
    FlowmeshError,
    Invalid,
    NotFound,
    Timeout,
    TooLarge,
    Violation,
    WrongState,
)
from flowmesh.identity.limits import (
    FILE_BYTES_MAX,
    FILE_NUMBER_MAX,
    FILE_PIECE_BYTES,
    FILE_TRANSFER_S,
    FILE_UPLOADS_MAX,
    FILE_VERSIONS_MAX,
)
from flowmesh.identity.permissions import Permissions, caller
from flowmesh.identity.storage.files import FileStore
from flowmesh.identity.storage.quotas import QuotaStore
from flowmesh.identity.storage.records import Place, Project, StoredFile
from flowmesh.identity.workspace.paths import check_path, end_of, twin_of
from flowmesh.runtime.namespace_quotas import quota_exceeded

MEDIA_TYPE = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")


@dataclass(frozen=True, slots=True)
class _Received:
    """A content whose pieces are stored."""

    content: int
    size: int
    digest: bytes


class Files:
    """The files of all projects, on behalf of the caller."""

    def __init__(self, *, store: FileStore, quotas: QuotaStore, permissions: Permissions) -> None:
        self._store, self._quotas = store, quotas
        self._permissions = permissions
        self._uploads: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def put(
        self,
        project: str,
        path: str,
        media_type: str,
        chunks: AsyncIterator[bytes],
        *,
        number: int = 0,
    ) -> StoredFile:
        """Store a new version of a file; none if the chunks end with an error.

        `number` is that of a version that moves from another cell.
        """
        if number:
            await self._permissions.require(Place(), OPERATE)
            check_number(number)
        namespace = (await self._permissions.tenant(Project, project, EDIT)).namespace
        check_path(path)
        media_type = media_type or MEDIA_TYPE
        if not _MEDIA_TYPE.fullmatch(media_type):
            raise _wrong("media_type", f"{media_type[:80]!r} is no media type such as text/csv")
        quota = (await self._quotas.of_project(project)).file_bytes
        async with self._uploading(project):
            content = await self._store.begin(project)
            try:
                received = await self._receive(namespace, content, chunks, quota)
                await self._commit(project, path, media_type, received, quota, number)
            finally:
                # Also the copy of a content that the project had before.
                await self._store.discard(content)
        return await self._found(project, path, 0)

    async def get(self, project: str, path: str, version: int) -> StoredFile:
        """Return a version of a file; 0 is the newest."""
        await self._permissions.tenant(Project, project, READ)
        check_path(path)
        return await self._found(project, path, version)

    async def content(self, file: StoredFile) -> AsyncIterator[bytes]:
        """Yield the bytes of a file in pieces; raise FILE_NOT_FOUND if it is deleted meanwhile."""
        for number in range(-(-file.size_bytes // FILE_PIECE_BYTES)):
            piece = await self._store.piece(file.content, number)
            if piece is None:
                raise _missing(file.path)
            yield piece

    async def files(self, project: str, prefix: str, after: str, count: int) -> list[StoredFile]:
        """Return the newest versions of the files with a prefix, by path."""
        await self._permissions.tenant(Project, project, READ)
        return await self._store.files(project, prefix, end_of(prefix), after, count)

    async def delete(self, project: str, path: str) -> None:
        """Delete all versions of a file."""
        await self._permissions.tenant(Project, project, EDIT)
        check_path(path)
        async with self._store.changing() as store:
            await store.lock(project)
            if not await store.delete(project, path):
                raise _missing(path)

    async def _receive(
        self, namespace: str, content: int, chunks: AsyncIterator[bytes], quota: int
    ) -> _Received:
        """Store the pieces of a content."""
        digest, size, number = hashlib.sha256(), 0, 0
        waiting = bytearray()
        async for chunk in chunks:
            size += len(chunk)
            if size > FILE_BYTES_MAX:
                raise TooLarge("FILE_TOO_LARGE", f"a file has at most {FILE_BYTES_MAX >> 20} MiB")
            if quota and size > quota:
                raise quota_exceeded("file_bytes", quota, size)
            digest.update(chunk)
            waiting += chunk
            while len(waiting) >= FILE_PIECE_BYTES:
                piece = bytes(waiting[:FILE_PIECE_BYTES])
                await self._store.insert_piece(namespace, content, number, piece)
                del waiting[:FILE_PIECE_BYTES]
                number += 1
        if waiting:
            await self._store.insert_piece(namespace, content, number, bytes(waiting))
        return _Received(content, size, digest.digest())

    async def _commit(
        self,
        project: str,
        path: str,
        media_type: str,
        received: _Received,
        quota: int,
        number: int,
    ) -> None:
        """Make a received content the newest version of a file."""
        async with self._store.changing() as store:
            used = await store.lock(project)
            content = await store.content_of(project, received.digest)
            if content is None:
                content = received.content
                if quota and used + received.size > quota:
                    raise quota_exceeded("file_bytes", quota, used)
                await store.finish(project, content, received.digest, received.size)
            version = await store.next_version(project, path, twin_of(path), number)
            if version is None:
                other = await store.twin(project, twin_of(path))
                text = f"the file {other!r} differs from {path!r} only in case or spelling"
                raise Conflict("FILE_PATH_TAKEN", text)
            if number and version != number:
                text = (
                    f"file {path[:100]!r} has version {version - 1}, and {number} is no later one"
                )
                raise WrongState("FILE_VERSION_TAKEN", text)
            await store.insert_version(project, path, version, content, media_type, caller().id)
            await store.delete_before(project, path, version - FILE_VERSIONS_MAX + 1)

    async def _found(self, project: str, path: str, version: int) -> StoredFile:
        found = await self._store.file(project, path, version)
        if found is None:
            raise _missing(path)
        return found

    @asynccontextmanager
    async def _uploading(self, project: str) -> AsyncIterator[None]:
        """Bound the uploads of a project at once, and the time of each."""
        uploads = self._uploads.get(project)
        if uploads is None:
            uploads = self._uploads[project] = asyncio.Semaphore(FILE_UPLOADS_MAX)
        try:
            async with asyncio.timeout(FILE_TRANSFER_S), uploads:
                yield
        except TimeoutError:
            text = f"the file did not arrive within {FILE_TRANSFER_S} s"
            raise Timeout("DEADLINE_EXCEEDED", text) from None


def check_number(number: int) -> None:
    """Raise Invalid for a number that a version cannot have."""
    if number > FILE_NUMBER_MAX:
        raise _wrong("version", f"{number:,} is above {FILE_NUMBER_MAX:,}")


def _missing(path: str) -> FlowmeshError:
    return NotFound("FILE_NOT_FOUND", f"there is no file {path[:100]!r} in the project")


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(
        "REQUEST_INVALID", message, violations=(Violation(field, message, "REQUEST_INVALID"),)
    )
